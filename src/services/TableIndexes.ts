/**
 * Gives tables the indexes that the config asks for, beside the sync.
 *
 * Owns those indexes only: never the keys of a table, nor an index somebody else made. Rows can be written all the while.
 */
import type { Effect, Option } from "effect"
import { Context } from "effect"
import type { SqlError } from "effect/sql"
import type { IndexPlan } from "../domain/postgres/table/tableIndexes.ts"

/** The columns of each index that is wanted. */
export type WantedIndexes = ReadonlyArray<ReadonlyArray<string>>

/** What happened to one index. `left out`: rows that are there have no room in it, so nothing is left of it. */
export interface IndexEvent {
  readonly kind: "building" | "built" | "dropped broken" | "left out"
  readonly name: string
  readonly columns: ReadonlyArray<string>
}

/** The advisory lock that whoever builds indexes of a table holds. */
export interface IndexLock {
  /** The text whose `hashtextextended` is its key. */
  readonly name: string
  /** The server process of the session that holds it; none where it was released meanwhile. */
  readonly processId: number | undefined
}

/** An index that has no room for a row. */
export interface FullIndex {
  readonly name: string
  readonly columns: ReadonlyArray<string>
  readonly isPrimaryKey: boolean
  /** It was one of those this service builds, and is gone. */
  readonly isDropped: boolean
}

export class TableIndexes extends Context.Service<TableIndexes, {
  /** What `build` would do now; it changes nothing, and a table that is missing needs all of them. */
  readonly plan: (table: string, wanted: WantedIndexes) => Effect.Effect<IndexPlan, SqlError.SqlError>
  /**
   * Drops what an interrupted build left behind and builds what is missing, one after the other, for as long as that takes.
   * Those that rows have no room in are left out.
   * Does nothing and gives the lock where another session holds it. Interruption leaves the statement that runs to
   * PostgreSQL, which finishes it.
   */
  readonly build: (
    table: string,
    wanted: WantedIndexes,
    onEvent: (event: IndexEvent) => Effect.Effect<void>
  ) => Effect.Effect<Option.Option<IndexLock>, SqlError.SqlError>
  /**
   * Drops the index that has no room for a row, where it is one of those this service builds, so that rows can be written
   * again. `name` is undefined where PostgreSQL does not name it: then one that may be it is dropped. None is found where
   * nobody has such an index any more.
   */
  readonly dropFull: (
    table: string,
    name: string | undefined
  ) => Effect.Effect<Option.Option<FullIndex>, SqlError.SqlError>
}>()("ampsync/services/TableIndexes") {}
