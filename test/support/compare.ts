/** Compares the contents of PostgreSQL with the simulated chain: every row, every column, by value. */
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import { canonicalJson } from "../../src/simulator/canonicalJson.ts"
import { type ExpectedRow, expectedRows } from "../../src/simulator/expected.ts"
import { TABLE_NAMES, type TableName } from "../../src/simulator/tables.ts"
import type { TestDatabase } from "./postgres.ts"
import type { Observation } from "./snapshots.ts"
import type { World } from "./world.ts"

const MAX_REPORTED = 5

export interface Comparison {
  /** Table in PostgreSQL; named as the simulator's where absent. */
  readonly as?: string
  /** Columns the query yields; all where absent. */
  readonly columns?: ReadonlyArray<string>
  readonly where?: (row: ExpectedRow) => boolean
  /** All rows of the simulator's table, where they were made before. */
  readonly expected?: ReadonlyArray<ExpectedRow>
  /** The column that counts within one position is numbered by it. */
  readonly position?: string
}

const quote = (name: string) => `"${name.replaceAll("\"", "\"\"")}"`

/** The text of a column, whatever the session's time zone is. */
const textOf = ({ name, type }: { readonly name: string; readonly type: string }): string =>
  type === "timestamp with time zone"
    ? `(${quote(name)} AT TIME ZONE 'UTC')::text || '+00' AS ${quote(name)}`
    : `${quote(name)}::text AS ${quote(name)}`

/** All rows of a table as text, JSONB in canonical form, without the columns that ampsync adds. */
export const storedRows = Effect.fnUntraced(function*(database: TestDatabase, table: string) {
  const columns = yield* database.query<{ name: string; type: string }>(
    `SELECT attname AS name, format_type(atttypid, atttypmod) AS type FROM pg_attribute
     WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped AND attname NOT IN ('_row_index', '_range_end')`,
    [`${database.schema}.${quote(table)}`]
  )
  const json = columns.filter(({ type }) => type === "jsonb").map(({ name }) => name)
  const rows = yield* database.query<Record<string, string | null>>(
    `SELECT ${columns.map(textOf).join(", ")} FROM ${quote(table)}`
  )
  for (const row of rows) {
    for (const name of json) if (row[name] !== null) row[name] = canonicalJson(row[name]!)
  }
  return rows
})

const lineOf = (row: ExpectedRow): string =>
  JSON.stringify(Object.fromEntries(Object.entries(row).toSorted(([a], [b]) => a < b ? -1 : 1)))

const project = (row: ExpectedRow, columns: ReadonlyArray<string> | undefined): ExpectedRow =>
  columns === undefined ? row : Object.fromEntries(columns.map((name) => [name, row[name] ?? null]))

/** The differences between a table and the canonical chain, one sentence each; empty when every value is equal. */
export const differences = Effect.fnUntraced(function*(
  { database, simulator }: World,
  table: TableName,
  comparison: Comparison = {}
) {
  const stored = (yield* storedRows(database, comparison.as ?? table)).map(lineOf)
  const wanted = new Map<string, number>()
  let wantedRows = 0
  for (const row of comparison.expected ?? expectedRows(simulator.chain, table, simulator.startBlock)) {
    if (comparison.where?.(row) === false) continue
    const line = lineOf(project(row, comparison.columns))
    wanted.set(line, (wanted.get(line) ?? 0) + 1)
    wantedRows += 1
  }
  const found: Array<string> = []
  for (const line of stored) {
    const left = wanted.get(line) ?? 0
    if (left === 0) found.push(`too much: ${line.slice(0, 400)}`)
    else wanted.set(line, left - 1)
  }
  for (const [line, left] of wanted) if (left > 0) found.push(`missing: ${line.slice(0, 400)}`)
  if (stored.length !== wantedRows) found.unshift(`${stored.length} rows instead of ${wantedRows}`)
  return found.slice(0, MAX_REPORTED).map((text) => `${comparison.as ?? table}: ${text}`)
})

/** The same for several tables and their checkpoints. */
export const allDifferences = Effect.fnUntraced(function*(
  world: World,
  tables: ReadonlyArray<TableName> = TABLE_NAMES
) {
  const found = yield* Effect.forEach(
    tables,
    (table) => Effect.zipWith(differences(world, table), bookkeepingDifferences(world, table), (a, b) => [...a, ...b])
  )
  return found.flat()
})

/** No reader saw a wrong row at any time, and none is there at the end. Ends the observation. */
export const assertAlwaysRight = Effect.fnUntraced(function*(world: World, { violations }: Observation) {
  assert.deepStrictEqual(yield* violations, [])
  assert.deepStrictEqual(yield* allDifferences(world), [])
})

/** The differences between the checkpoint of a table and the table itself, or the canonical chain. */
export const bookkeepingDifferences = Effect.fnUntraced(function*(
  { database, simulator }: World,
  table: string,
  position = "_block_num"
) {
  const [row] = yield* database.query<Record<string, string | null>>(
    `SELECT c.max_block_num, c.watermark_hash, c.rows, c.provisional_rows,
       (SELECT count(*) FROM ${quote(table)}) AS counted,
       (SELECT count(*) FROM ${quote(table)} WHERE ${quote(position)} > coalesce(c.max_block_num, -1)) AS above,
       (SELECT count(*) FROM (SELECT 1 FROM ${quote(table)} GROUP BY ${quote(position)}
          HAVING min(_row_index) <> 0 OR max(_row_index) <> count(*) - 1) AS holes) AS holes,
       (SELECT max(block_num) FROM _ampsync_watermarks w WHERE w.table_name = c.table_name) AS newest
     FROM _ampsync_checkpoints c WHERE table_name = $1`,
    [table]
  )
  if (row === undefined) return [`${table}: has no checkpoint`]
  const { max_block_num: watermark } = row
  const hash = watermark === null ? null : simulator.chain.hashAt(BigInt(watermark!)) ?? null
  return [
    ["rows", row["rows"], row["counted"]],
    ["provisional rows", row["provisional_rows"], row["above"]],
    ["hash of the watermark", row["watermark_hash"], hash],
    ["newest entry of the history", row["newest"], watermark],
    ["positions with holes in their row index", row["holes"], "0"]
  ].flatMap(([what, recorded, actual]) =>
    recorded === actual ? [] : [`${table}: ${what}: ${recorded} instead of ${actual}`]
  )
})
