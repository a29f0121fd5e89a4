/**
 * Checks whether a database has what a sync needs of it, without leaving anything behind.
 *
 * Owns the questions to the server; what the answers mean is decided by the caller.
 */
import { Context, type Effect, Schema } from "effect"
import type { SqlError } from "effect/sql"
import type { PublishedTable, ReplicationFacts } from "../domain/health/ReplicationFacts.ts"
import type { ServerFacts } from "../domain/health/ServerFacts.ts"
import type { TablePlan } from "./TableSink.ts"

/** What is between a client and PostgreSQL. `transaction`: another session may answer each transaction. */
export type Pooling = "none" | "session" | "transaction"

/** A step that a start or a commit would take was refused. */
export class TrialFailed extends Schema.TaggedError<TrialFailed>()("TrialFailed", {
  /** Completes "cannot ...". */
  step: Schema.String,
  /** In the words of the server. */
  reason: Schema.String,
  /** A lock that somebody holds, a connection that was lost: nothing is known of the right. */
  transient: Schema.Boolean
}) {
  override get message() {
    return `cannot ${this.step}: ${this.reason}`
  }
}

/** What to try with one table. */
export interface TableTrial {
  readonly plan: TablePlan
  /** The columns that the COPY names; those of the key are always there. */
  readonly columns: ReadonlyArray<string>
  /** The columns of each index that would be built. */
  readonly indexes: ReadonlyArray<ReadonlyArray<string>>
  /** Statements that have to come first: those of a schema and a publication that are missing. */
  readonly before: ReadonlyArray<string>
  /** Partitions will be made of it. */
  readonly isPartitioned?: boolean
}

export class DatabaseChecks extends Context.Service<DatabaseChecks, {
  readonly facts: Effect.Effect<ServerFacts, SqlError.SqlError>
  /** Finds out on two connections outside of the pool. */
  readonly pooling: Effect.Effect<Pooling, SqlError.SqlError>
  /** Those of `tables` and of the bookkeeping that are published. */
  readonly publishedTables: (
    tables: ReadonlyArray<string>
  ) => Effect.Effect<ReadonlyArray<PublishedTable>, SqlError.SqlError>
  readonly replication: Effect.Effect<ReplicationFacts, SqlError.SqlError>
  /** Runs `statements`, and writes rows of the bookkeeping, in a transaction that is rolled back. */
  readonly tryBookkeeping: (statements: ReadonlyArray<string>) => Effect.Effect<void, TrialFailed>
  /**
   * Creates the table with its indexes where it is missing, copies no row into it and deletes none, in a transaction that is
   * rolled back. Of a table that exists nothing is altered: its lock would hold up a sync; there the rights of its owner count.
   */
  readonly tryTable: (trial: TableTrial) => Effect.Effect<void, TrialFailed>
  /** Sends a notification in a transaction that is rolled back. */
  readonly tryNotify: Effect.Effect<void, TrialFailed>
}>()("ampsync/services/DatabaseChecks") {}
