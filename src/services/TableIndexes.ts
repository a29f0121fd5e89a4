/**
 * Builds the indexes that the config defines, and the keys that a table was created without, while the sync runs.
 *
 * Owns those only: never keys that a table has, nor an index somebody else created.
 */
import type { Effect, Option } from "effect"
import { Context } from "effect"
import type { SqlError } from "effect/sql"
import type { TableDefinition } from "../domain/postgres/table/tableDdl.ts"
import type { IndexPlan } from "../domain/postgres/table/tableIndexes.ts"
import type { TableRejected } from "./TableLeases.ts"

/** The columns of each index that is wanted. */
export type WantedIndexes = ReadonlyArray<ReadonlyArray<string>>

/**
 * What happened to one index. `left out`: existing rows are too large for it, so it was dropped. `waiting`: the build, or a drop,
 * waits for the transaction of a server process. `queued`: for builds of other tables, as many as may be at work.
 */
export type IndexEvent =
  | {
    readonly kind: "building" | "built" | "dropped broken" | "left out"
    readonly name: string
    readonly columns: ReadonlyArray<string>
  }
  | { readonly kind: "waiting"; readonly processId: number }
  | { readonly kind: "queued" }

/** Runs an effect while nothing is written to a table: between two chunks, the next of which waits until the effect has ended. */
export type WhileAtRest = <E>(effect: Effect.Effect<void, E>) => Effect.Effect<void, E>

/** The advisory lock of a session that builds indexes of a table. */
export interface IndexLock {
  /** The text whose `hashtextextended` is its key. */
  readonly name: string
  /** The server process of the session that holds it; undefined where it was released meanwhile. */
  readonly processId: number | undefined
}

/** An index that a row is too large for. */
export interface FullIndex {
  readonly name: string
  readonly columns: ReadonlyArray<string>
  readonly isPrimaryKey: boolean
  /** It was one of those this service builds, and was dropped. */
  readonly isDropped: boolean
}

export class TableIndexes extends Context.Service<TableIndexes, {
  /** Computes what `build` would do now; a table that is missing needs all of them. */
  readonly plan: (table: string, wanted: WantedIndexes) => Effect.Effect<IndexPlan, SqlError.SqlError>
  /**
   * Drops what an interrupted build left behind and builds what is missing, one after the other, without a time limit,
   * while rows are written. Those that rows are too large for are left out.
   * Does nothing and returns the lock where another session holds it. After an interruption PostgreSQL finishes the
   * statement that runs.
   */
  readonly build: (
    table: string,
    wanted: WantedIndexes,
    onEvent: (event: IndexEvent) => Effect.Effect<void>
  ) => Effect.Effect<Option.Option<IndexLock>, SqlError.SqlError>
  /**
   * As `build`, for the keys and indexes of a table that was created without them. They are built while the table is at rest:
   * the build blocks writers, whereas readers notice only the end, where the indexes become keys in a moment. An interruption
   * ends the statement that runs where PostgreSQL notices that its client is gone, which 13 does not. Fails where rows have
   * the same key, or are too large for it, and where somebody has locked the table for longer than two seconds, or longer
   * than `deadlock_timeout` where that is more.
   */
  readonly buildDeferred: (
    definition: TableDefinition,
    whileAtRest: WhileAtRest,
    onEvent: (event: IndexEvent) => Effect.Effect<void>
  ) => Effect.Effect<Option.Option<IndexLock>, SqlError.SqlError | TableRejected>
  /** Whether the table is one that was created without its keys and does not have them. */
  readonly lacksKeys: (table: string) => Effect.Effect<boolean, SqlError.SqlError>
  /** Keeps deletions cheap in a table that has no keys yet; does nothing where it has them. */
  readonly summarize: (table: string) => Effect.Effect<void, SqlError.SqlError>
  /**
   * Drops the index that a row is too large for, where it is one of those this service builds, so that rows can be written
   * again. `name` is undefined where PostgreSQL does not name it: then one that may be it is dropped. Returns none where
   * the table has no such index any more. Ends builds on the table that are in its way; where somebody else is, also a reader,
   * it reports the server process, and fails within seconds.
   */
  readonly dropFull: (
    table: string,
    name: string | undefined,
    onEvent: (event: IndexEvent) => Effect.Effect<void>
  ) => Effect.Effect<Option.Option<FullIndex>, SqlError.SqlError>
}>()("ampsync/services/TableIndexes") {}
