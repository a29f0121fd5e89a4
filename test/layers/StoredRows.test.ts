import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Result } from "effect"
import type { ArrowField } from "../../src/domain/arrow/ArrowSchema.ts"
import { designTable } from "../../src/domain/postgres/table/designTable.ts"
import { BlockComparison } from "../../src/domain/verify/BlockComparison.ts"
import { layer as storedRows } from "../../src/layers/StoredRows.ts"
import { makeRowReader } from "../../src/programs/verbs/verify/readRows.ts"
import { PgPool } from "../../src/services/PgPool.ts"
import { StoredRows } from "../../src/services/StoredRows.ts"
import { batchOf, columnOf, type Value } from "../domain/arrow/columns.ts"
import { type Kind, randomFrom, scalarKinds } from "../domain/postgres/randomColumns.ts"
import { everyField, kinds } from "../readers/everyType.ts"
import { hashOf, prepareTable } from "../support/chunks.ts"
import {
  BINARY,
  BLOCK,
  commitRows,
  field,
  override,
  readyBench,
  requestOf,
  UINT32,
  UTF8
} from "../support/sinkBench.ts"
import { testSettings } from "../support/testSettings.ts"

type Bench = Effect.Success<ReturnType<typeof readyBench>>
type Request = ReturnType<typeof requestOf>

const withStoredRows = ({ database, pool }: Pick<Bench, "database" | "pool">) =>
  Effect.provide(storedRows.pipe(
    Layer.provide(Layer.succeed(PgPool, pool)),
    Layer.provideMerge(Layer.fresh(testSettings(database)))
  ))

/** Compares rows as a server would send them with what is stored of `request`'s table. */
const comparedWith = (
  { database, pool }: Bench,
  request: Request,
  fields: ReadonlyArray<ArrowField>,
  rows: ReadonlyArray<ReadonlyArray<Value>>
) =>
  Effect.gen(function*() {
    const { snapshot } = yield* StoredRows
    const design = Result.getOrThrow(designTable(database.schema, request))
    const to = rows.at(-1)![0] as bigint
    return yield* snapshot(request.table, (stored) =>
      Effect.gen(function*() {
        const reader = yield* makeRowReader(design, stored!)
        const comparison = new BlockComparison(-1n, false)
        const batch = batchOf(fields.map((one, index) => columnOf(one, rows.map((row) => row[index]!))))
        const range = {
          network: "anvil",
          start: 0n,
          end: to,
          hash: hashOf(to),
          prevHash: undefined,
          timestamp: undefined
        }
        yield* reader.read(batch, range, -1n, to, (block, hash) => comparison.add(block, hash))
        const columns = design.columns.map(({ name }) => name)
        comparison.settle(yield* stored!.digests(columns, -1n, to), to)
        return comparison
      }))
  }).pipe(withStoredRows({ database, pool }))

const sample = (seed: number, chosen: ReadonlyArray<Kind>, rows: number) => {
  const random = randomFrom(seed)
  return Array.from({ length: rows }, (_, row): ReadonlyArray<Value> => [
    BigInt(Math.floor(row / 3)),
    "7",
    "7",
    "7",
    7n,
    ...chosen.map((kind) => kind.type.kind !== "union" && random() < 0.2 ? null : kind.value(random))
  ])
}

const text = (value: unknown): string =>
  JSON.stringify(value, (_, part: unknown) => typeof part === "bigint" || typeof part === "number" ? `${part}n` : part)

const other = (rows: ReadonlyArray<ReadonlyArray<Value>>, row: ReadonlyArray<Value>, index: number): Value =>
  rows.find((one) => one[index] !== null && text(one[index]) !== text(row[index]))?.[index] ?? row[index]!

describe("rows of a stream have the hash of the stored ones", () => {
  it.live("in every type, with nulls, NaN, JSON and arrays, and one other value is seen", () =>
    Effect.gen(function*() {
      const bench = yield* readyBench()
      const request = requestOf("everything", everyField)
      const rows = sample(3, kinds, 3 * everyField.length)
      const writer = yield* prepareTable(bench.sink, request)
      yield* commitRows(writer, everyField, rows)
      const equal = yield* comparedWith(bench, request, everyField, rows)
      assert.deepStrictEqual([equal.rows, equal.named], [rows.length, []])
      // In block n the column n has the value of another row.
      const changed = rows.map((row, at) => at % 3 === 0 && at > 0 ? row.with(at / 3, other(rows, row, at / 3)) : row)
      const expected = changed.filter((row, at) => text(row) !== text(rows[at]!)).length
      assert.isAbove(expected, everyField.length - 10)
      assert.strictEqual((yield* comparedWith(bench, request, everyField, changed)).differing, expected)
    }), 60_000)

  it.live("in columns whose type the config names", () =>
    Effect.gen(function*() {
      const bench = yield* readyBench()
      const decimal = scalarKinds.find(({ type }) => type.kind === "decimal" && type.scale === 2)!
      const fields = [BLOCK, field("h", BINARY), field("n", UTF8), field("u", UINT32), field("d", decimal.type)]
      const request = requestOf("owned", fields, {
        columns: [
          override("h", "text"),
          override("n", "numeric"),
          override("u", "bigint"),
          override("d", "numeric(60,4)")
        ]
      })
      const writer = yield* prepareTable(bench.sink, request)
      const random = randomFrom(9)
      const rows = ["0", "-0.00", "1.500", "100000000", "0.00001", "-12345678901234567890.10", (2n ** 255n).toString()]
        .map((n, row): ReadonlyArray<Value> => [BigInt(row), "\u0001\u00ff", n, BigInt(row), decimal.value(random)])
      yield* commitRows(writer, fields, rows)
      const { named, rows: found } = yield* comparedWith(bench, request, fields, rows)
      assert.deepStrictEqual([found, named], [rows.length, []])
    }))

  it.live("and blocks that were replaced since the snapshot are known", () =>
    Effect.gen(function*() {
      const bench = yield* readyBench()
      const writer = yield* prepareTable(bench.sink, requestOf("t", [BLOCK]))
      yield* commitRows(writer, [BLOCK], [[0n], [1n], [2n]])
      const asked = Effect.flatMap(StoredRows, (rows) => rows.replacedSince({ table: "t", newestReorg: 0n })).pipe(
        withStoredRows(bench)
      )
      assert.strictEqual(yield* asked, 3n)
      yield* bench.database.query(
        "INSERT INTO _ampsync_reorgs (table_name, first_block, depth, new_hash) VALUES ('t', 2, 1, '')"
      )
      assert.strictEqual(yield* asked, 2n)
      yield* bench.database.query("UPDATE _ampsync_checkpoints SET max_block_num = NULL")
      assert.strictEqual(yield* asked, 0n)
    }))
})
