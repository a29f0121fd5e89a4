/**
 * Gives tables the indexes that the config asks for, beside the sync.
 *
 * Owns those indexes only: never the keys of a table, nor an index somebody else made. Rows can be written all the while.
 */
import type { Effect } from "effect"
import { Context } from "effect"
import type { SqlError } from "effect/sql"
import type { IndexPlan } from "../domain/postgres/tableIndexes.ts"

/** The columns of each index that is wanted. */
export type WantedIndexes = ReadonlyArray<ReadonlyArray<string>>

/** What happened to one index. */
export interface IndexEvent {
  readonly kind: "building" | "built" | "dropped broken"
  readonly name: string
}

export class TableIndexes extends Context.Service<TableIndexes, {
  /** What `build` would do now; it changes nothing, and a table that is missing needs all of them. */
  readonly plan: (table: string, wanted: WantedIndexes) => Effect.Effect<IndexPlan, SqlError.SqlError>
  /**
   * Drops what an interrupted build left behind and builds what is missing, one after the other, for as long as that takes.
   * False where somebody else is building indexes of this table now. Interruption leaves the statement that runs to
   * PostgreSQL, which finishes it.
   */
  readonly build: (
    table: string,
    wanted: WantedIndexes,
    onEvent: (event: IndexEvent) => Effect.Effect<void>
  ) => Effect.Effect<boolean, SqlError.SqlError>
}>()("ampsync/services/TableIndexes") {}
