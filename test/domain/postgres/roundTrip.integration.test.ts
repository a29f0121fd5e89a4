import { assert, describe, it } from "@effect/vitest"
import { Table } from "apache-arrow"
import { Effect, Result } from "effect"
import { Readable } from "node:stream"
import { pipeline } from "node:stream/promises"
import { Client } from "pg"
import { from as copyFrom } from "pg-copy-streams"
import type { ColumnBatch } from "../../../src/domain/arrow/ColumnBatch.ts"
import { formatArrowType } from "../../../src/domain/arrow/formatArrowType.ts"
import {
  copyColumns,
  copyHeader,
  copyTrailer,
  makeCopyPlan,
  type RowCursor
} from "../../../src/domain/postgres/encode/encodeCopy.ts"
import { quoteIdentifier } from "../../../src/domain/postgres/table/identifiers.ts"
import { planColumns } from "../../../src/domain/postgres/types/PgType.ts"
import { encodeAll } from "../../support/encodeAll.ts"
import { testDatabase } from "../../support/postgres.ts"
import { batchOf, columnOf, field, type Value } from "../arrow/columns.ts"
import { decodeFrames } from "../arrow/decodeStream.ts"
import { framesOf } from "../arrow/ipcFrames.ts"
import {
  arrayOf,
  dictionaryOf,
  fixedArrayOf,
  jsonListOf,
  type Kind,
  mapOf,
  type Random,
  randomFrom,
  runsOf,
  scalarKinds,
  structOf,
  unionOf
} from "./randomColumns.ts"

interface Sample {
  readonly kinds: ReadonlyArray<Kind>
  readonly columns: ReadonlyArray<ReadonlyArray<Value>>
  readonly rows: number
}

const sampleOf = (random: Random, kinds: ReadonlyArray<Kind>, rows: number, nulls: number): Sample => ({
  kinds,
  rows,
  columns: kinds.map((kind) =>
    Array.from({ length: rows }, () => random() < nulls && kind.type.kind !== "union" ? null : kind.value(random))
  )
})

const nameOf = (index: number) => `c "${index}"`

/** Through apache-arrow's IPC, at an address that is not aligned to anything. */
const batchByApache = ({ columns, kinds }: Sample): ColumnBatch => {
  const vectors = kinds.map((kind, index) => [nameOf(index), kind.apache!(columns[index]!)] as const)
  const { batches } = Result.getOrThrow(decodeFrames(framesOf(new Table(Object.fromEntries(vectors)), 3)))
  return batches[0]!
}

const batchByHand = ({ columns, kinds }: Sample): ColumnBatch =>
  batchOf(kinds.map((kind, index) => columnOf(field(nameOf(index), kind.type), columns[index]!)))

/** Tuples of all rows, cut at random places. */
const encodeInSlices = (random: Random, batch: ColumnBatch, columns: ReturnType<typeof planOf>["columns"]) => {
  const plan = makeCopyPlan({ columns, position: { kind: "rangeEnd" }, textNul: "refuse" })
  const pieces: Array<Uint8Array> = []
  let cursor: RowCursor | undefined
  for (let from = 0; from < batch.rows;) {
    const to = Math.min(batch.rows, from + 1 + Math.floor(random() * 20))
    const encoded = Result.getOrThrow(encodeAll(plan, { batch, from, to, range: { start: 1n, end: 9n }, cursor }))
    pieces.push(encoded.bytes)
    cursor = encoded.cursor
    from = to
  }
  return { pieces, names: copyColumns(plan).map(quoteIdentifier).join(", ") }
}

const planOf = (batch: ColumnBatch) => ({ columns: Result.getOrThrow(planColumns(batch.schema)) })

const literal = (text: string) => `'${text.replaceAll("'", "''")}'`

/** Copies a batch into a table, writes the same values as text into another, and returns the values that differ. */
const differences = (url: string, schema: string, random: Random, sample: Sample, batch: ColumnBatch) =>
  Effect.promise(async () => {
    const { columns } = planOf(batch)
    const client = new Client({ connectionString: url })
    await client.connect()
    try {
      await client.query(
        `SET search_path TO ${schema}; SET timezone TO 'Asia/Tokyo'; SET standard_conforming_strings TO on`
      )
      const definitions = columns.map(({ name, type }) => `${quoteIdentifier(name)} ${type}`).join(", ")
      const systemColumns = `_row_index integer, _range_end bigint`
      await client.query(
        `CREATE TEMP TABLE copied (${definitions}, ${systemColumns}); CREATE TEMP TABLE expected (LIKE copied)`
      )
      const { names, pieces } = encodeInSlices(random, batch, columns)
      const copy = client.query(copyFrom(`COPY copied (${names}) FROM STDIN (FORMAT BINARY)`))
      await pipeline(Readable.from([copyHeader, ...pieces, copyTrailer].map((piece) => Buffer.from(piece))), copy)
      for (let row = 0; row < sample.rows; row++) {
        const values = sample.kinds.map((kind, index) => {
          const value = sample.columns[index]![row]!
          return value === null ? "NULL" : `${literal(kind.text(value))}::${columns[index]!.type}`
        })
        await client.query(`INSERT INTO expected VALUES (${values.join(", ")}, ${row}, 9)`)
      }
      const found: Array<unknown> = []
      for (const [index, { name, type }] of columns.entries()) {
        const column = quoteIdentifier(name)
        const { rows } = await client.query(
          `SELECT _row_index AS row, copied.${column}::text AS copied, expected.${column}::text AS expected
           FROM copied FULL JOIN expected USING (_row_index, _range_end)
           WHERE copied.${column}::text IS DISTINCT FROM expected.${column}::text ORDER BY 1 LIMIT 2`
        )
        for (const row of rows) found.push({ type: `${formatArrowType(sample.kinds[index]!.type)} as ${type}`, ...row })
      }
      const { rows: counted } = await client.query("SELECT count(*)::int AS rows FROM copied")
      return { differences: found, copied: counted[0].rows }
    } finally {
      await client.end()
    }
  })

const check = (seed: number, kinds: ReadonlyArray<Kind>, build: (sample: Sample) => ColumnBatch) =>
  Effect.gen(function*() {
    const random = randomFrom(seed)
    const database = yield* testDatabase
    const rows = 40 + Math.floor(random() * 40)
    const sample = sampleOf(random, kinds, rows, random() < 0.3 ? 0 : 0.25)
    const found = yield* differences(database.url, database.schema, random, sample, build(sample))
    assert.deepStrictEqual(found, { differences: [], copied: rows }, `seed ${seed}`)
  })

const [bool, int64, uint64, text, binary, time, decimal] = [
  "Boolean",
  "Int64",
  "UInt64",
  "Utf8",
  "Binary",
  "Timestamp(nanosecond, +00:00)",
  "Decimal128(38, 2)"
].map((name) => scalarKinds.find((kind) => formatArrowType(kind.type) === name)!) as [
  Kind,
  Kind,
  Kind,
  Kind,
  Kind,
  Kind,
  Kind
]

describe("values come back from PostgreSQL as they were", () => {
  const byApache = scalarKinds.filter((kind) => kind.apache !== undefined)

  for (const seed of [1, 2, 3, 4, 5]) {
    it.live(`every scalar type that apache-arrow writes, nulls and slices at random (seed ${seed})`, () =>
      Effect.scoped(check(seed, byApache, batchByApache)))
  }

  for (const seed of [11, 12]) {
    it.live(`every scalar type laid out by hand (seed ${seed})`, () =>
      Effect.scoped(check(seed, scalarKinds, batchByHand)))
    it.live(`lists of every scalar type as arrays (seed ${seed})`, () => {
      const lists = scalarKinds.map((kind, index) => arrayOf(([32, 64, "view32", "view64"] as const)[index % 4]!, kind))
      return Effect.scoped(check(seed, [...lists, fixedArrayOf(3, text), fixedArrayOf(2, uint64)], batchByHand))
    })
    it.live(`structs of every scalar type as JSONB (seed ${seed})`, () => {
      const structs = scalarKinds.map((kind) => structOf([kind, text]))
      return Effect.scoped(check(seed, structs, batchByHand))
    })
    it.live(`maps, unions, dictionaries, runs and what is nested deeper (seed ${seed})`, () => {
      const struct = structOf([time, uint64, arrayOf(32, binary)])
      const kinds = [
        mapOf(uint64),
        mapOf(struct),
        jsonListOf(struct),
        jsonListOf(arrayOf("view32", decimal)),
        structOf([jsonListOf(mapOf(bool)), fixedArrayOf(2, struct)]),
        unionOf("sparse", [int64, text]),
        unionOf("dense", [uint64, text, struct]),
        jsonListOf(unionOf("dense", [bool, binary])),
        dictionaryOf(8, text),
        dictionaryOf(64, decimal),
        dictionaryOf(16, arrayOf(32, int64)),
        dictionaryOf(32, struct),
        structOf([dictionaryOf(32, binary), runsOf(32, text)]),
        arrayOf(32, dictionaryOf(16, text)),
        runsOf(16, text),
        runsOf(64, time),
        runsOf(32, struct)
      ]
      return Effect.scoped(check(seed, kinds, batchByHand))
    })
  }
})
