/**
 * Reads a synced table back, as text.
 *
 * Owns no table and writes nothing. It returns what any other client of the database would read.
 */
import { Context, Effect, Layer } from "effect"
import type { SqlError } from "effect/sql"
import { quoteIdentifier } from "../domain/postgres/table/identifiers.ts"
import { qualifiedName, type TableColumn } from "../domain/postgres/table/tableDdl.ts"
import { DatabaseConfig } from "../services/Config.ts"
import { PgPool } from "../services/PgPool.ts"

/** The values of one row in the order of the columns asked for: `value::text` under UTC. */
export type TextRow = ReadonlyArray<string | null>

export interface Reading {
  readonly table: string
  readonly columns: ReadonlyArray<string>
  /** Columns to sort by, in this order. */
  readonly orderBy: ReadonlyArray<string>
}

export class TableReader extends Context.Service<TableReader, {
  /** The columns of `table` in the order of their creation; none where there is no such table. */
  readonly columns: (table: string) => Effect.Effect<ReadonlyArray<TableColumn>, SqlError.SqlError>
  /**
   * Passes all rows of one snapshot to `visit`, provisional ones included, some thousands at a time; the next ones are
   * fetched when it is done.
   */
  readonly read: <E, R>(
    reading: Reading,
    visit: (rows: ReadonlyArray<TextRow>) => Effect.Effect<void, E, R>
  ) => Effect.Effect<void, E | SqlError.SqlError, R>
}>()("ampsync/demo/TableReader") {}

const COLUMNS = `SELECT a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type, NOT a.attnotnull AS nullable
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
  WHERE n.nspname = $1 AND c.relname = $2 AND a.attnum > 0 AND NOT a.attisdropped
  ORDER BY a.attnum`

/** One snapshot for all pages, and texts that do not depend on the server's settings. */
const SESSION = [
  "SET LOCAL TimeZone TO 'UTC'",
  "SET LOCAL DateStyle TO 'ISO'",
  "SET LOCAL IntervalStyle TO 'postgres'",
  "SET LOCAL bytea_output TO 'hex'",
  "SET LOCAL extra_float_digits TO 1"
]

/** Rows have some hundred bytes each: a page is less than a megabyte, and round trips do not matter. */
const PAGE_ROWS = 2_000

const make = Effect.gen(function*() {
  const { databaseSchema } = yield* DatabaseConfig
  const { sql, transaction } = yield* PgPool

  const columns = (table: string) => sql.unsafe<TableColumn>(COLUMNS, [databaseSchema, table])

  const nextPage = Effect.map(
    sql.unsafe(`FETCH ${PAGE_ROWS} FROM reading`).values,
    (rows) => rows as ReadonlyArray<TextRow>
  )

  const read: TableReader["Service"]["read"] = (reading, visit) =>
    transaction(
      `ampsync read ${reading.table}`,
      Effect.gen(function*() {
        for (const statement of SESSION) yield* sql.unsafe(statement)
        yield* sql.unsafe(`DECLARE reading NO SCROLL CURSOR FOR ${selectOf(databaseSchema, reading)}`)
        for (let rows = yield* nextPage; rows.length > 0; rows = yield* nextPage) yield* visit(rows)
      }),
      "ISOLATION LEVEL REPEATABLE READ READ ONLY"
    )

  return TableReader.of({ columns, read })
})

export const layer: Layer.Layer<TableReader, never, DatabaseConfig | PgPool> = Layer.effect(TableReader, make)

const selectOf = (schema: string, { columns, orderBy, table }: Reading): string =>
  `SELECT ${columns.map((column) => `${quoteIdentifier(column)}::text`).join(", ")}
   FROM ${qualifiedName({ schema, table })} ORDER BY ${
    // Qualified: alone, the name of a column that is selected as text would mean the text.
    orderBy.map((column) => `${qualifiedName({ schema, table })}.${quoteIdentifier(column)}`).join(", ")}`
