import { assert, describe, it } from "@effect/vitest"
import { Message, MessageHeader } from "apache-arrow"
import type { RecordBatch } from "apache-arrow/ipc/metadata/message"
import { Result } from "effect"
import type { FlightData } from "../../src/domain/flight/FlightData.ts"
import { Chain } from "../../src/simulator/Chain.ts"
import { datasetsOf } from "../../src/simulator/datasets.ts"
import { Faults } from "../../src/simulator/faults.ts"
import { planQuery } from "../../src/simulator/plan.ts"
import { streamingQuery } from "../../src/simulator/queryStream.ts"
import type { Dialect } from "../../src/simulator/tables.ts"

/** A stream that is pulled by hand, so that things can happen between two of its messages. */
const pulled = (dialect: Dialect, sql: string) => {
  const chain = new Chain({ seed: 1, dialect, blocks: 30 })
  const names = { network: "anvil", rawName: "anvil", derivedName: "example", version: "0.1.0", versionSuffix: "x" }
  const plan = Result.getOrThrow(planQuery(dialect, datasetsOf({ ...names, dialect, startBlock: 0n }), sql))
  const settings = { chain, faults: new Faults(), maxRangeBlocks: 1000, maxBatchRows: 8192, keepAliveMillis: 30_000 }
  const messages = streamingQuery(settings, plan, undefined, new AbortController().signal)
  return { chain, pull: async () => (await messages.next()).value as FlightData }
}

const headerOf = (message: FlightData) => {
  const decoded = Message.decode(message.dataHeader)
  assert.strictEqual(decoded.headerType, MessageHeader.RecordBatch)
  assert.strictEqual(decoded.bodyLength, message.dataBody.length)
  return decoded.header() as unknown as RecordBatch
}

describe("messages of a stream", () => {
  it("a reorg between the keep-alive of a range and its rows does not change the rows", async () => {
    const { chain, pull } = pulled("amp", "SELECT hash FROM anvil.blocks")
    const expected = [...chain.rows("blocks")].map((row) => Buffer.from(row["hash"] as Uint8Array).toString("hex"))
    await pull()
    assert.strictEqual(headerOf(await pull()).length, 0)
    chain.reorg(20)
    const rows = await pull()
    const values = headerOf(rows).buffers[1]!
    const bytes = rows.dataBody.subarray(values.offset, values.offset + values.length)
    assert.strictEqual(Buffer.from(bytes).toString("hex"), expected.join(""))
    const { ranges: [range] } = JSON.parse(Buffer.from(rows.appMetadata).toString()) as { ranges: [{ hash: string }] }
    assert.strictEqual(range.hash, `0x${expected.at(-1)}`)
  })

  it("bodies are laid out as arrow-rs does: 64-byte alignment, validity always there, no offsets for no rows", async () => {
    const { pull } = pulled("amp", "SELECT * FROM anvil.transactions")
    await pull()
    const empty = headerOf(await pull())
    assert.deepStrictEqual([empty.length, empty.nodes.length], [0, 39])
    assert.isTrue(empty.buffers.every((buffer) => buffer.length === 0))
    const rows = headerOf(await pull())
    assert.isTrue(rows.buffers.every((buffer) => buffer.offset % 64 === 0))
    // `_block_num` cannot be null, and yet its bitmap is there.
    assert.deepStrictEqual([rows.nodes[0]!.nullCount, rows.buffers[0]!.length], [0, Math.ceil(rows.length / 8)])
  })
})
