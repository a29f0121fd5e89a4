/** Batch queries: their rows, and the metadata of the servers. */
import { assert, describe, it } from "@effect/vitest"
import { Message, MessageHeader } from "apache-arrow"
import { Effect } from "effect"
import type { Dialect } from "../../src/simulator/tables.ts"
import { rowsOf } from "./arrowFlightReader.ts"
import { desk, tableOf } from "./streaming.ts"

/** Every message of a batch query: its kind, its rows, and its `app_metadata` as text. */
const messagesOf = Effect.fnUntraced(function*(dialect: Dialect, where: string, startBlock = 0) {
  const { reader, simulator } = yield* desk({ dialect, blocks: 30, startBlock })
  const sql = `SELECT block_num, hash FROM ${tableOf(dialect, "blocks")} ${where}`
  const messages = yield* Effect.promise(async () => {
    const ticket = Buffer.from(await reader.ticket(sql))
    const messages: Array<readonly [kind: string, metadata: string]> = []
    for await (const { appMetadata, dataHeader } of reader.client.raw.doGet({ ticket })) {
      const { headerType } = Message.decode(dataHeader)
      messages.push([MessageHeader[headerType], Buffer.from(appMetadata).toString()])
    }
    return messages
  })
  return { messages, simulator }
})

/** The blocks of a batch query over 30 blocks. */
const blocksOf = Effect.fnUntraced(function*(dialect: Dialect, where: string) {
  const { reader } = yield* desk({ dialect, blocks: 30 })
  const sql = `SELECT block_num FROM ${tableOf(dialect, "blocks")} ${where}`
  const batches = yield* Effect.promise(() => reader.batches(sql))
  return batches.flatMap(({ batch }) => rowsOf(batch)).map((row) => Number(row["block_num"]))
})

describe("a batch query of the simulator", () => {
  it.live("amp: names the synced range with the head's hash and time, whether or not there are rows", () =>
    Effect.gen(function*() {
      for (const [where, startBlock] of [["WHERE block_num = 12", 0], ["WHERE block_num > 99999", 7]] as const) {
        const { messages, simulator: { chain } } = yield* messagesOf("amp", where, startBlock)
        const parent = startBlock === 0 ? `0x${"0".repeat(64)}` : chain.hashAt(BigInt(startBlock) - 1n)
        // Recorded from a real server, key by key: wire/batch.jsonl.
        const range = `{"hash":"${
          chain.hashAt(29n)
        }","network":"anvil","numbers":{"end":29,"start":${startBlock}},"prev_hash":"${parent}","timestamp":1710000348}`
        assert.deepStrictEqual(messages, [
          ["Schema", ""],
          ["RecordBatch", `{"ranges":[${range}],"ranges_complete":false}`],
          ["RecordBatch", `{"ranges":[${range}],"ranges_complete":true}`]
        ])
      }
    }))

  it.live("nozzle: names no range, and sends nothing at all where there are no rows", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual((yield* messagesOf("nozzle", "WHERE block_num = 12")).messages, [
        ["Schema", ""],
        ["RecordBatch", "{\"ranges\":[]}"]
      ])
      assert.deepStrictEqual((yield* messagesOf("nozzle", "WHERE block_num > 99999")).messages, [])
    }))

  for (const dialect of ["nozzle", "amp"] as const) {
    it.live(`${dialect}: returns the requested blocks, by number, list, range and alternative`, () =>
      Effect.gen(function*() {
        const cases: ReadonlyArray<readonly [where: string, blocks: ReadonlyArray<number>]> = [
          ["WHERE block_num IN (3, 29, 5, 400)", [3, 5, 29]],
          ["WHERE block_num = 4 OR block_num = 9", [4, 9]],
          ["WHERE block_num IN (2) OR block_num BETWEEN 27 AND 126", [2, 27, 28, 29]],
          ["WHERE block_num > 26 AND (block_num = 1 OR block_num = 28)", [28]],
          ["WHERE block_num = 1 OR block_num > 26 AND block_num < 28", [1, 27]],
          ["WHERE block_num >= 20 ORDER BY block_num LIMIT 3", [20, 21, 22]],
          ["ORDER BY block_num ASC LIMIT 1", [0]],
          ["ORDER BY block_num DESC LIMIT 2", [29, 28]],
          ["WHERE block_num < 10 ORDER BY block_num DESC LIMIT 1", [9]]
        ]
        for (const [where, blocks] of cases) assert.deepStrictEqual(yield* blocksOf(dialect, where), blocks, where)
      }))
  }
})
