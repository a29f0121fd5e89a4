/**
 * The connections to the target database.
 *
 * Owns connecting, pooling, transactions and COPY, and decides which failures may heal (`SqlError.isRetryable`). It knows
 * no table. No error carries a row value or a password: server texts that may quote values are replaced by their SQLSTATE.
 */
import type { Effect } from "effect"
import { Context } from "effect"
import type { SqlClient, SqlError } from "effect/sql"

export type RunStatement = <Row extends object>(
  statement: string,
  params?: ReadonlyArray<unknown>
) => Effect.Effect<ReadonlyArray<Row>, SqlError.SqlError>

export class PgPool extends Context.Service<PgPool, {
  /** Statements run on the connection of the transaction they are in, or on any. `bigint` columns arrive as text. */
  readonly sql: SqlClient.SqlClient
  /**
   * Runs `effect` in one transaction on one connection. `activity` becomes the connection's `application_name` for as long
   * as it lasts, so that a session that hangs can be told from another.
   */
  readonly transaction: <A, E, R>(
    activity: string,
    effect: Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | SqlError.SqlError, R>
  /**
   * Sends `pieces` as the data of one `COPY ... FROM STDIN` inside the current transaction. Invariant I6: it completes, or
   * fails and takes its transaction with it; interruption closes the connection rather than leave half a row.
   */
  readonly copyIn: (
    statement: string,
    pieces: ReadonlyArray<Uint8Array>
  ) => Effect.Effect<void, SqlError.SqlError>
  /**
   * Lends a connection that is opened for it and closed after, outside of the pool: what lasts for hours there keeps nobody
   * waiting. No transaction surrounds its statements, and no timeout of the server ends them; what it is doing when it is
   * closed, the server does to the end. `activity` is its `application_name`.
   */
  readonly apart: <A, E, R>(
    activity: string,
    use: (run: RunStatement) => Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | SqlError.SqlError, R>
}>()("ampsync/services/PgPool") {}
