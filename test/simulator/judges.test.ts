import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { PlainRow } from "../../src/simulator/Chain.ts"
import { startSimulator } from "../../src/simulator/Simulator.ts"
import { type Dialect, TABLE_NAMES, type TableName } from "../../src/simulator/tables.ts"
import { arrowFlightReader, rowsOf } from "./arrowFlightReader.ts"
import { preparedStatements } from "./preparedStatements.ts"
import { rustBatches, rustUnavailable } from "./rustFlightReader.ts"

const refOf = (dialect: Dialect, table: TableName): string =>
  dialect === "amp" ? `"_/example@0.1.0".${table}` : `example.${table}`

/** Compares row by row: a difference names its row instead of printing both tables. */
const assertSameRows = (actual: ReadonlyArray<PlainRow>, expected: ReadonlyArray<PlainRow>) => {
  assert.strictEqual(actual.length, expected.length)
  expected.forEach((row, i) => assert.deepStrictEqual(actual[i], row, `row ${i}`))
}

const cases = (["nozzle", "amp"] as const).flatMap((dialect) => TABLE_NAMES.map((table) => ({ dialect, table })))

describe("the simulator read by arrow-flight-client", () => {
  for (const { dialect, table } of cases) {
    it.live(`delivers every row of ${table} in the ${dialect} dialect, value by value`, () =>
      Effect.gen(function*() {
        const simulator = yield* startSimulator({ dialect, blocks: 150, seed: 11 })
        const reader = yield* arrowFlightReader(simulator.flightUrl)
        const batches = yield* Effect.promise(() => reader.batches(`SELECT * FROM ${refOf(dialect, table)}`))
        assertSameRows(batches.flatMap((_) => rowsOf(_.batch)), [...simulator.chain.rows(table)])
      }))
  }

  it.live("splits batches of more than 2 MiB and of more than 8192 rows without losing a row", () =>
    Effect.gen(function*() {
      const simulator = yield* startSimulator({ dialect: "nozzle", blocks: 2500, seed: 5 })
      const reader = yield* arrowFlightReader(simulator.flightUrl)
      const batches = yield* Effect.promise(() => reader.batches("SELECT tx_hash, input FROM anvil.transactions"))
      assert.isAbove(batches.length, 2)
      for (const { batch, rows } of batches) {
        assert.isAtMost(rows, 8192)
        assert.isBelow(batch.data.children.reduce((bytes, child) => bytes + child.byteLength, 0), 2.2 * 1024 * 1024)
      }
      const hashes = batches.flatMap((_) => rowsOf(_.batch)).map((row) => row["tx_hash"])
      assert.deepStrictEqual(hashes, [...simulator.chain.rows("transactions")].map((row) => row["tx_hash"]))
    }))

  it.live("delivers chosen columns under chosen names, and only the requested blocks", () =>
    Effect.gen(function*() {
      const simulator = yield* startSimulator({ dialect: "amp", blocks: 60 })
      const reader = yield* arrowFlightReader(simulator.flightUrl)
      const sql =
        `SELECT "to", t.value AS amount, block_num FROM example.transactions t WHERE _block_num BETWEEN 10 AND 20 AND block_num % 3 = 0`
      const batches = yield* Effect.promise(() => reader.batches(sql))
      const expected = [...simulator.chain.rows("transactions", 10n, 20n)]
        .filter((row) => (row["block_num"] as bigint) % 3n === 0n)
        .map((row) => ({ to: row["to"], amount: row["value"], block_num: row["block_num"] }))
      assert.isNotEmpty(expected)
      assert.deepStrictEqual(batches.flatMap((_) => rowsOf(_.batch)), expected as Array<PlainRow>)
    }))

  it.live("counts the rows of a query, also of one inside another", () =>
    Effect.gen(function*() {
      const simulator = yield* startSimulator({ dialect: "nozzle", blocks: 60 })
      const reader = yield* arrowFlightReader(simulator.flightUrl)
      const sql = "SELECT count(*) AS n FROM (SELECT * FROM example.logs WHERE _block_num >= 10) WHERE block_num <= 12"
      const [batch] = yield* Effect.promise(() => reader.batches(sql))
      assert.deepStrictEqual(rowsOf(batch!.batch), [{ n: BigInt([...simulator.chain.rows("logs", 10n, 12n)].length) }])
    }))
})

describe.skipIf(rustUnavailable !== undefined)(
  `the simulator read by the Rust client of arrow-rs${rustUnavailable === undefined ? "" : ` (${rustUnavailable})`}`,
  () => {
    for (const { dialect, table } of cases) {
      it.live(`delivers every row of ${table} in the ${dialect} dialect, value by value`, () =>
        Effect.gen(function*() {
          const simulator = yield* startSimulator({ dialect, blocks: 150, seed: 12 })
          const sql = `SELECT * FROM ${refOf(dialect, table)}`
          const url = yield* preparedStatements(simulator.flightUrl)
          const batches = yield* Effect.promise(() => rustBatches(url, sql))
          assertSameRows(batches.flatMap(rowsOf), [...simulator.chain.rows(table)])
        }))
    }

    it.live("accepts a stream that ends, keep-alive and completion batches included", () =>
      Effect.gen(function*() {
        const simulator = yield* startSimulator({ dialect: "amp", blocks: 40, maxRangeBlocks: 7 })
        const url = yield* preparedStatements(simulator.flightUrl)
        const streaming = Effect.promise(() =>
          rustBatches(url, `SELECT * FROM example.transactions`, { "amp-stream": "true" })
        )
        const ending = Effect.gen(function*() {
          // Schema, and for each of the six ranges its rows and its completion, at the very least.
          while (simulator.faults.messagesSent < 13) yield* Effect.sleep("20 millis")
          for (let seen = 0; seen !== simulator.faults.messagesSent;) {
            seen = simulator.faults.messagesSent
            yield* Effect.sleep("250 millis")
          }
          simulator.faults.endStreams()
        })
        const [batches] = yield* Effect.all([streaming, ending], { concurrency: 2 })
        assertSameRows(batches.flatMap(rowsOf), [...simulator.chain.rows("transactions")])
      }))
  }
)
