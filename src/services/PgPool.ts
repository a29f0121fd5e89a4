/**
 * The connections to the target database.
 *
 * Owns connecting, pooling, transactions and COPY, and decides which failures may be retried (`SqlError.isRetryable`). It
 * knows no table. No error carries a row value or a password: server texts that may quote values are replaced by their SQLSTATE.
 */
import type { Effect, Scope } from "effect"
import { Context } from "effect"
import { type SqlClient, SqlError } from "effect/sql"
import type { TransactionMode } from "../domain/sql/transaction.ts"

/** Runs one statement and returns its rows. */
export type RunStatement = <Row extends object>(
  statement: string,
  params?: ReadonlyArray<unknown>
) => Effect.Effect<ReadonlyArray<Row>, SqlError.SqlError>

/** Runs statements in any session of a client. */
export const runOn = (sql: SqlClient.SqlClient): RunStatement => (statement, params = []) =>
  sql.unsafe(statement, [...params])

/** The server's response to one text of statements. */
export interface PgAnswer {
  /**
   * Waits, as long as the server reports that it is at work, until the text's COPY requests data, or until the whole text
   * was executed where it has none; returns the result of the statements before it.
   */
  readonly copying: Effect.Effect<PgResult, SqlError.SqlError>
  /** Waits until the whole text was executed. */
  readonly done: Effect.Effect<PgResult, SqlError.SqlError>
}

/** What the statements of a text returned, in their order. */
export interface PgResult {
  /** The rows of all of them, each value as text. */
  readonly rows: ReadonlyArray<ReadonlyArray<string | null>>
  /** The command tag of each, such as `DELETE 3`. */
  readonly tags: ReadonlyArray<string>
}

export type Guards = Readonly<Record<string, number>>

export interface SendOptions {
  /** The last statement is a COPY, whose data follows. */
  readonly endsInCopy?: boolean
  /** Statements, counted from 0, that divide by zero to stop those behind them, by their names. */
  readonly guards?: Guards
}

/**
 * One connection whose messages are written without delay and answered in order. After the first failure every effect fails with
 * it, and nothing more is sent.
 */
export interface PgPipeline {
  /**
   * Whether a transaction may be sent behind one whose COMMIT is not answered. Poolers in transaction mode accept the texts
   * of one transaction together, but hang on the next one.
   */
  readonly isDirect: boolean
  /** Sends statements as one text. */
  readonly send: (text: string, options?: SendOptions) => PgAnswer
  /** Sends data of the COPY that the last text ends in; `written` is called once `bytes` may be overwritten. */
  readonly copyData: (bytes: Uint8Array, written: () => void) => void
  /** Ends the COPY. */
  readonly copyDone: () => void
  /** Waits until the bytes that the network has not accepted yet are below the limit of a connection. */
  readonly drained: Effect.Effect<void, SqlError.SqlError>
  /** The name of the guard that failed; undefined where `error` is about something else. */
  readonly failedGuard: (error: SqlError.SqlError) => string | undefined
}

/** The cause of a `SqlError` where a row is too large for a b-tree index. */
export class IndexRowTooLarge {
  readonly sqlState = "54000"
  /** The index; undefined where PostgreSQL does not name it, as above 8 kB. */
  readonly index: string | undefined
  constructor(index: string | undefined) {
    this.index = index
  }
}

/** The cause of `error` where a row is too large for an index; undefined otherwise. */
export const indexRowTooLarge = (error: SqlError.SqlError): IndexRowTooLarge | undefined =>
  error.reason.cause instanceof IndexRowTooLarge ? error.reason.cause : undefined

/** The cause of a `SqlError` where a row has no partition in its table. */
export const NO_PARTITION = "SQLSTATE 23514, no partition"

/** Whether a statement divided by zero, which is how statements of the bookkeeping stop their transaction. */
export const isDivisionByZero = (error: SqlError.SqlError): boolean => error.reason.cause === "SQLSTATE 22012"

/** Whether PostgreSQL waited too long for a lock that another session holds. */
export const isLocked = (error: unknown): boolean =>
  error instanceof SqlError.SqlError && error.reason._tag === "LockTimeoutError"

export class PgPool extends Context.Service<PgPool, {
  /** Statements run on the connection of the transaction they are in, or on any. `bigint` columns arrive as text. */
  readonly sql: SqlClient.SqlClient
  /**
   * Runs `effect` in one transaction on one connection. `activity` becomes the connection's `application_name` for as long
   * as it lasts, so that a session that hangs can be identified. `mode` cannot be set by `effect`.
   */
  readonly transaction: <A, E, R>(
    activity: string,
    effect: Effect.Effect<A, E, R>,
    mode?: TransactionMode
  ) => Effect.Effect<A, E | SqlError.SqlError, R>
  /**
   * Lends a connection on which statements and COPY data are sent without awaiting their responses. Invariant I6: when the
   * scope closes in the middle of a transaction, a COMMIT that was sent has two seconds to be answered, and then the
   * connection is closed, so that half a COPY never stays.
   */
  readonly pipeline: Effect.Effect<PgPipeline, SqlError.SqlError, Scope.Scope>
  /**
   * Opens a connection outside of the pool for `use`, and closes it afterwards: work of hours there blocks nobody else. Its
   * statements run outside of a transaction and without timeouts of the server; a statement that runs when the connection
   * is closed is finished by the server. `activity` is its `application_name`. A pooler may lend the session to others
   * meanwhile, with these settings; they are reset at the end.
   */
  readonly withDedicatedConnection: <A, E, R>(
    activity: string,
    use: (run: RunStatement) => Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | SqlError.SqlError, R>
  /**
   * Runs statements in one transaction, sent as one text, on a connection outside of the pool. Its settings are those of
   * `transaction`, and end with it: a pooler never lends them to others.
   */
  readonly dedicatedTransaction: (
    activity: string,
    statements: ReadonlyArray<string>
  ) => Effect.Effect<void, SqlError.SqlError>
}>()("ampsync/services/PgPool") {}
