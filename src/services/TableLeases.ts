/**
 * Decides which process may write a table. Invariant I3: only the holder of the lease writes.
 *
 * Owns the holder of each table and the heartbeats of processes. A live holder loses its lease to `takeOver`
 * alone; one without a heartbeat for six seconds counts as dead.
 */
import type { Effect } from "effect"
import { Context, Schema } from "effect"
import type { SqlError } from "effect/sql"
import type { TableOwner } from "../domain/bookkeeping/TableIdentity.ts"
import type { WriterLease } from "../domain/bookkeeping/WriterLease.ts"
import type { TransactionMode } from "../domain/sql/transaction.ts"
import type { RunStatement } from "./PgPool.ts"

/** The statements that open a transaction, as one text. */
export interface Opening {
  readonly text: string
  /** The statement, counted from 0, that divides by zero where the lease is no longer held. */
  readonly guard: number
}

/** Another live process writes this table. */
export class TableHeld extends Schema.TaggedError<TableHeld>()("TableHeld", {
  table: Schema.String,
  writer: Schema.String
}) {
  override get message() {
    return `table "${this.table}" is being written by ${this.writer}`
  }
}

/** The lease was lost: another process acquired it. The transaction was rolled back. */
export class Fenced extends Schema.TaggedError<Fenced>()("Fenced", { table: Schema.String }) {
  override get message() {
    return `another process took over table "${this.table}"`
  }
}

/** The table cannot be filled as it is; `reason` has the cause and what to do. */
export class TableRejected extends Schema.TaggedError<TableRejected>()("TableRejected", {
  table: Schema.String,
  reason: Schema.String
}) {
  override get message() {
    return `table "${this.table}" is rejected: ${this.reason}`
  }
}

export class TableLeases extends Context.Service<TableLeases, {
  /** The name of this process in the bookkeeping. */
  readonly writer: string
  /** Acquires the lease of a table in the current transaction; the data table itself is not checked. */
  readonly acquire: (owner: TableOwner) => Effect.Effect<WriterLease, SqlError.SqlError | TableHeld | TableRejected>
  /**
   * As `acquire`, but also from a living process, which finds out at its next commit and stands by. Only for work that releases
   * the lease soon.
   */
  readonly takeOver: (owner: TableOwner) => Effect.Effect<WriterLease, SqlError.SqlError | TableRejected>
  /**
   * Makes this process the holder of all of these tables, or of none where another live process holds one of them; returns that
   * process, or undefined where this process holds one as well, and goes on with what it has. Leaves tables of other datasets alone.
   * Where a transaction locks one of the tables, it terminates stale sessions as `evictStale` does and fails; the caller may
   * retry.
   */
  readonly reserve: (owners: ReadonlyArray<TableOwner>) => Effect.Effect<string | undefined, SqlError.SqlError>
  /** Releases the lease of `table` where this process holds it, so that the next process need not wait. */
  readonly release: (table: string) => Effect.Effect<void, SqlError.SqlError>
  /** Records that this process is alive. */
  readonly heartbeat: Effect.Effect<void, SqlError.SqlError>
  /**
   * Terminates sessions that hang in a transaction on `table`: those of dead writers, and abandoned ones of this process.
   * Returns their number.
   */
  readonly evictStale: (table: string) => Effect.Effect<number, SqlError.SqlError>
  /**
   * Terminates sessions of any process that lock `table` for the build of an index. Call it only as the holder of the lease, and not
   * while this process builds an index of the table. Returns their number.
   */
  readonly evictBuild: (table: string) => Effect.Effect<number, SqlError.SqlError>
  /** Fails unless `lease` is held, and takes the next commit number for the current transaction. */
  readonly fence: (lease: WriterLease) => Effect.Effect<void, SqlError.SqlError | Fenced>
  /** The statements that open a transaction and fence it, for callers that do not await their response. */
  readonly open: (lease: WriterLease) => Opening
  /**
   * Whether the last commit under `lease` is in the database: false where another process took over, and where the database
   * lost transactions, as a promoted replica does.
   */
  readonly isCurrent: (lease: WriterLease) => Effect.Effect<boolean, SqlError.SqlError>
  /** Runs `effect` in one transaction, on a session that `evictStale` terminates when it hangs. */
  readonly transaction: <A, E, R>(
    table: string,
    effect: Effect.Effect<A, E, R>,
    mode?: TransactionMode
  ) => Effect.Effect<A, E | SqlError.SqlError, R>
  /** As `PgPool.withDedicatedConnection`, on a session that `evictStale` terminates when it hangs in a transaction. */
  readonly withDedicatedConnection: <A, E, R>(
    table: string,
    use: (run: RunStatement) => Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | SqlError.SqlError, R>
  /** As `PgPool.dedicatedTransaction`, on a session that `evictStale` terminates when it hangs. */
  readonly dedicatedTransaction: (
    table: string,
    statements: ReadonlyArray<string>
  ) => Effect.Effect<void, SqlError.SqlError>
}>()("ampsync/services/TableLeases") {}
