/**
 * Reads a synced table back, as text.
 *
 * Owns no table and writes nothing. What it gives is what any other client of the database would see.
 */
import type { Effect } from "effect"
import { Context } from "effect"
import type { SqlError } from "effect/sql"
import type { TableColumn } from "../domain/postgres/tableDdl.ts"

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
   * Gives all rows of one snapshot to `visit`, provisional ones included, some thousands at a time; the next ones are
   * fetched when it is done with them.
   */
  readonly read: <E, R>(
    reading: Reading,
    visit: (rows: ReadonlyArray<TextRow>) => Effect.Effect<void, E, R>
  ) => Effect.Effect<void, E | SqlError.SqlError, R>
}>()("ampsync/services/TableReader") {}
