/**
 * Decides which process may write a table. Invariant I3: whoever does not hold the lease writes nothing.
 *
 * Owns who holds each table and the heartbeats of processes. A living holder is never deprived of its lease: one that gave no
 * heartbeat for six seconds counts as dead.
 */
import type { Effect } from "effect"
import { Context, Schema } from "effect"
import type { SqlError } from "effect/sql"
import type { TableOwner } from "../domain/bookkeeping/TableIdentity.ts"
import type { WriterLease } from "../domain/bookkeeping/WriterLease.ts"
import type { RunStatement } from "./PgPool.ts"

/** Statements as one text. */
export interface Opening {
  readonly text: string
  /** The statement, counted from 0, that divides by zero where the lease is no longer held. */
  readonly guard: number
}

/** Another process writes this table, and was alive a moment ago. */
export class TableHeld extends Schema.TaggedError<TableHeld>()("TableHeld", {
  table: Schema.String,
  writer: Schema.String
}) {
  override get message() {
    return `table "${this.table}" is being written by ${this.writer}`
  }
}

/** The lease ended: another process acquired it. Nothing of the transaction was kept. */
export class Fenced extends Schema.TaggedError<Fenced>()("Fenced", { table: Schema.String }) {
  override get message() {
    return `another process took over table "${this.table}"`
  }
}

/** The table cannot be filled; `reason` names what is in the way and what to do. */
export class TableRejected extends Schema.TaggedError<TableRejected>()("TableRejected", {
  table: Schema.String,
  reason: Schema.String
}) {
  override get message() {
    return `table "${this.table}" is rejected: ${this.reason}`
  }
}

export class TableLeases extends Context.Service<TableLeases, {
  /** This process as the bookkeeping names it. */
  readonly writer: string
  /** Acquires the lease of a table in the current transaction; the data table itself is not checked. */
  readonly acquire: (owner: TableOwner) => Effect.Effect<WriterLease, SqlError.SqlError | TableHeld | TableRejected>
  /** Gives up the lease of `table` where this process holds it, so that the next process need not wait. */
  readonly release: (table: string) => Effect.Effect<void, SqlError.SqlError>
  /** Records that this process is alive. */
  readonly heartbeat: Effect.Effect<void, SqlError.SqlError>
  /**
   * Ends sessions that hang in a transaction on `table`: those of dead writers, and abandoned ones of this process. Gives
   * their number.
   */
  readonly evictStale: (table: string) => Effect.Effect<number, SqlError.SqlError>
  /** Fails unless `lease` is held, and claims the next commit for the current transaction. */
  readonly fence: (lease: WriterLease) => Effect.Effect<void, SqlError.SqlError | Fenced>
  /** The text that opens a transaction and does what `fence` does, for those who do not wait for the answer. */
  readonly open: (lease: WriterLease) => Opening
  /**
   * Whether the last commit under `lease` is in the database: false where another process took over, and where the database
   * lost transactions, as a promoted replica does.
   */
  readonly isCurrent: (lease: WriterLease) => Effect.Effect<boolean, SqlError.SqlError>
  /** Runs `effect` in one transaction, on a session that `evictStale` finds should it hang. */
  readonly transaction: <A, E, R>(
    table: string,
    effect: Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | SqlError.SqlError, R>
  /** As `PgPool.withDedicatedConnection`, on a session that `evictStale` finds while it is in a transaction. */
  readonly withDedicatedConnection: <A, E, R>(
    table: string,
    use: (run: RunStatement) => Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | SqlError.SqlError, R>
}>()("ampsync/services/TableLeases") {}
