/** The simulator compared with recordings of real servers: the same situation must give the same messages. */
import { assert, describe, it } from "@effect/vitest"
import { Message } from "apache-arrow"
import type { RecordBatch } from "apache-arrow/ipc/metadata/message"
import { Effect } from "effect"
import { BlockSource } from "../../src/simulator/BlockSource.ts"
import type { Chain } from "../../src/simulator/Chain.ts"
import { newColumn } from "../../src/simulator/columns.ts"
import * as Fill from "../../src/simulator/fill.ts"
import { batchMessages } from "../../src/simulator/microbatch.ts"
import { Random, seedOf } from "../../src/simulator/random.ts"
import { type Simulator, startSimulator } from "../../src/simulator/Simulator.ts"
import type { Dialect, TableName } from "../../src/simulator/tables.ts"
import { isKeepAlive, linesOf, openCall, rangesOf, recorded, type WireCall, type WireStream } from "../support/wire.ts"

const server = (dialect: Dialect, options: { readonly blocks: number; readonly startBlock?: number }) =>
  startSimulator({ dialect, version: "0.0.1", seed: 3, ...options })

/** Brings the chain into the state in which the real server sent `range`. */
const reach = (chain: Chain, range: { readonly start: number; readonly end: number }, origin: number): void => {
  const tip = Number(chain.tip)
  if (range.end <= tip && range.start > origin) return
  if (range.start > tip) return chain.mine(range.end - tip)
  // A range that begins at the first block again was replaced from below it on.
  const below = origin > 0 && range.start === origin ? 3 : 0
  if (range.end > tip) chain.reorg(tip + 1 - range.start + below, range.end + 1 - range.start + below)
}

/** Reads until everything of blocks `start` to `end` has arrived. */
const readRange = async (
  { chain }: Simulator,
  stream: WireStream,
  table: TableName,
  range: { readonly start: number; readonly end: number }
): Promise<void> => {
  let left = chain.countRows(table, BigInt(range.start), BigInt(range.end))
  for (;;) {
    const message = await stream.next()
    if (message === undefined) return
    left -= message.rows ?? 0
    if (chain.dialect === "amp" ? message.metadata?.endsWith(`"ranges_complete":true}`) : left <= 0) return
  }
}

/** Lets the simulator repeat a recorded stream. */
const replay = Effect.fnUntraced(
  function*(
    dialect: Dialect,
    call: WireCall,
    { blocks, startBlock = 0 }: { readonly blocks: number; readonly startBlock?: number }
  ) {
    const simulator = yield* server(dialect, { blocks, startBlock })
    const sql = call.sql.replace("_/near@", "_/anvil@").replace("_/mine@0.1.0", "_/example@0.0.1").replace(
      ".heads",
      ".blocks"
    )
    const headers = Object.fromEntries(
      Object.entries(call.headers).map(([key, value]) => [
        key,
        value.replace(/0x[0-9a-f]{64}/, simulator.chain.hashAt(BigInt(blocks - 1))!)
      ])
    )
    const stream = yield* openCall(simulator.flightUrl, sql, headers)
    const table = /\.(blocks|transactions|logs)/.exec(sql)![1] as TableName
    for (const [i, range] of rangesOf(call.messages).entries()) {
      if (i > 0 || range.start >= blocks) reach(simulator.chain, range, startBlock)
      yield* Effect.promise(() => readRange(simulator, stream, table, range))
    }
    return stream.call
  }
)

const withoutSignsOfLife = (call: WireCall): ReadonlyArray<string> =>
  linesOf({ ...call, messages: call.messages.filter((message) => !isKeepAlive(message)) })

/** Fixture, name of the recorded stream, blocks at its beginning, first block of the dataset. */
const STREAMS: ReadonlyArray<
  readonly [dialect: Dialect, name: string, situation: { readonly blocks: number; readonly startBlock?: number }]
> = [
  ["amp", "history of blocks", { blocks: 1244 }],
  ["amp", "history of transactions", { blocks: 1244 }],
  ["amp", "history of logs", { blocks: 1244 }],
  ["amp", "live reorgs of blocks", { blocks: 1244 }],
  ["amp", "a start after reorgs", { blocks: 1417 }],
  ["amp", "a reorg of 140 blocks", { blocks: 1679 }],
  ["amp", "a reorg below the first block", { blocks: 1591, startBlock: 1586 }],
  ["amp", "a derived dataset", { blocks: 1254 }],
  ["amp", "a large block", { blocks: 1588 }],
  ["nozzle", "history of blocks", { blocks: 1598 }],
  ["nozzle", "history of transactions", { blocks: 1598 }],
  ["nozzle", "history of logs", { blocks: 1598 }],
  ["nozzle", "live reorgs of blocks", { blocks: 1620 }]
]

describe("streams of the simulator beside recorded ones", () => {
  for (const [dialect, name, situation] of STREAMS) {
    it.live(`${dialect}: ${name}`, () =>
      Effect.gen(function*() {
        const real = recorded(`${dialect}-streams`)[name]!
        const simulated = yield* replay(dialect, real, situation)
        assert.deepStrictEqual(withoutSignsOfLife(simulated), withoutSignsOfLife(real))
        assert.deepStrictEqual(simulated.info?.fields, real.info?.fields)
        assert.deepStrictEqual(simulated.info?.endpointFields, real.info?.endpointFields)
        if (!name.startsWith("a derived")) assert.deepStrictEqual(simulated.info?.schema, real.info?.schema)
      }))
  }

  for (const [dialect, name] of [["amp", "just deployed"], ["nozzle", "just dumped"]] as const) {
    it.live(`${dialect}: ${name}, no data yet`, () =>
      Effect.gen(function*() {
        const real = recorded(`${dialect}-streams`)[name]!
        const simulator = yield* server(dialect, { blocks: 0 })
        const stream = yield* openCall(simulator.flightUrl, real.sql, real.headers)
        yield* Effect.promise(async () => {
          while (await stream.next() !== undefined);
        })
        assert.deepStrictEqual(linesOf(stream.call), linesOf(real))
        assert.deepStrictEqual(stream.call.end, real.end)
      }))
  }
})

describe("resume headers", () => {
  for (const [name, real] of Object.entries(recorded("amp-resume"))) {
    it.live(`amp: ${name}`, () =>
      Effect.gen(function*() {
        const simulator = yield* server("amp", { blocks: 1500 })
        const orphan = simulator.chain.hashAt(1499n)!
        simulator.reorg(1, 3)
        const head = simulator.chain.hashAt(1501n)!
        const [realHead] = /0xe3934ea[0-9a-f]+/.exec(JSON.stringify(recorded("amp-resume")["the head"]))!
        const [realOrphan] = /0x[0-9a-f]{64}/.exec(
          JSON.stringify(recorded("amp-resume")["an orphaned block"]!.headers)
        )!
        const headers = Object.fromEntries(
          Object.entries(real.headers).map(([key, value]) => [
            key,
            value.replace(realHead, head).replace(realOrphan, orphan)
          ])
        )
        const stream = yield* openCall(simulator.flightUrl, real.sql, headers)
        yield* Effect.promise(async () => {
          for (const range of rangesOf(real.messages)) await readRange(simulator, stream, "blocks", range)
        })
        const more = yield* Effect.promise(() =>
          Promise.race([stream.next(), new Promise((resolve) => setTimeout(() => resolve("silence"), 150))])
        )
        assert.strictEqual(more, real.end === null ? "silence" : undefined)
        assert.deepStrictEqual(withoutSignsOfLife(stream.call), withoutSignsOfLife(real))
        assert.deepStrictEqual(stream.call.end, real.end)
      }))
  }
})

describe("errors, word by word", () => {
  for (const [dialect, fixture] of [["amp", "amp-errors"], ["nozzle", "nozzle-errors"]] as const) {
    for (const [name, real] of Object.entries(recorded(fixture))) {
      // A query without a table is of no use to a reader of tables, and the simulator does not evaluate it.
      if (real.sql === "SELECT 1") continue
      it.live(`${dialect}: ${name}`, () =>
        Effect.gen(function*() {
          const simulator = yield* startSimulator({
            dialect,
            blocks: 3,
            version: "0.0.1",
            rawName: name.startsWith("unregistered") ? "other" : "anvil"
          })
          simulator.faults.notSynced = true
          const stream = yield* openCall(simulator.flightUrl, real.sql, real.headers)
          assert.isUndefined(yield* Effect.promise(stream.next))
          const text = (end: WireCall["end"]) => JSON.stringify(end).replaceAll(/[0-9a-f]{64}/g, "hash")
          assert.strictEqual(text(stream.call.end), text(real.end))
        }))
    }
  }
})

describe("incremental queries", () => {
  for (const [name, real] of Object.entries(recorded("amp-queries"))) {
    it.live(`amp: ${name}`, () =>
      Effect.gen(function*() {
        const simulator = yield* server("amp", { blocks: 1581 })
        const stream = yield* openCall(simulator.flightUrl, real.sql, real.headers)
        assert.deepStrictEqual(stream.call.info, real.info)
        yield* Effect.promise(async () => {
          const isComplete = (text?: string | null) => text?.endsWith(`"ranges_complete":true}`) === true
          for (let left = rangesOf(real.messages).length; left > 0;) {
            const message = await stream.next()
            if (message === undefined || isComplete(message.metadata)) left -= 1
          }
          if (real.end !== null) await stream.next()
        })
        assert.deepStrictEqual(withoutSignsOfLife(stream.call), withoutSignsOfLife(real))
        assert.deepStrictEqual(stream.call.end, real.end)
      }))
  }
})

describe("large batches", () => {
  it("are cut into as many pieces as 2 MiB fit into them, rounded up, of equal row counts, and the rest is one more", () => {
    const sizes = recorded("amp-streams")["a large block"]!.messages
      .filter(({ metadata, rows }) => rows! > 0 && metadata?.includes(`"start":1000}`) === true)
      .map(({ rows }) => rows!)
    const total = sizes.reduce((sum, rows) => sum + rows, 0)
    const field = { name: "input", type: { kind: "binary", offsets: 32 }, nullable: false } as const
    const column = newColumn(field)
    // 9.6 MB in all, nearly all of it in 24 neighbouring rows, as in the recording.
    Fill.binary((_, row) => row >= 560 && row < 584 ? 400_000 : 100)(
      column,
      new BlockSource(1, { fork: 0, number: 0n }, new Uint8Array(32)),
      total,
      new Random(seedOf([1]), 1)
    )
    const messages = [...batchMessages([field], [{ columns: [column], from: 0, to: total }], new Uint8Array(0))]
    const rows = messages.map(({ dataHeader }) =>
      (Message.decode(dataHeader).header() as unknown as RecordBatch).length
    )
    assert.deepStrictEqual(rows, sizes)
  })
})

describe("a batch query", () => {
  it.live("amp: without rows names the synced range twice", () =>
    Effect.gen(function*() {
      const real = recorded("amp-batch")["no rows"]!
      const simulator = yield* server("amp", { blocks: 1502 })
      const stream = yield* openCall(simulator.flightUrl, real.sql, real.headers)
      yield* Effect.promise(async () => {
        while (await stream.next() !== undefined);
      })
      assert.deepStrictEqual(linesOf(stream.call), linesOf(real))
      assert.deepStrictEqual([stream.call.end, stream.call.info], [real.end, real.info])
    }))
})
