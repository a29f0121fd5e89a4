/** Connections from a pool of `pg`, scoped. */
import { Effect } from "effect"
import type { Scope } from "effect"
import { SqlError } from "effect/sql"
import type { HostPool } from "../../services/HostPool.ts"
import { classify, connectionLost } from "./classify.ts"
import { PooledConnection } from "./PooledConnection.ts"
import type { SilenceLimits } from "./Silence.ts"

/** The time limit of short statements on a new connection. */
export const ANSWER_MILLIS = 10_000

/** How statements of a session are watched. */
export interface SessionOptions {
  readonly limits: SilenceLimits
  /** Without a pooler in between. */
  readonly isPostgres: boolean
}

/** For a peer that is unknown yet, and for short statements: the time alone decides. */
export const unknownServer = (millis: number): SessionOptions => ({
  limits: { millis: Math.min(millis, ANSWER_MILLIS) },
  isPostgres: false
})

/** The words of `pg` for a connection that the pool itself closed, as it was not ready in time. */
const CLOSED = "Connection terminated unexpectedly"

/** The pool wraps the error of an attempt that it ended for its time, and has one of its own while all are lent. */
const failureOf = (cause: Error | undefined, timeoutMillis: number | undefined): SqlError.SqlError => {
  const closed = cause?.cause
  if (closed instanceof SqlError.SqlError) {
    const limit = timeoutMillis === undefined ? "in time" : `within ${timeoutMillis / 1000} s`
    const { message, operation = "connect" } = closed.reason
    const text = message.replace(CLOSED, `no connection ${limit}`)
    return new SqlError.SqlError({
      reason: new SqlError.ConnectionError({ message: text, operation, cause: "timeout" })
    })
  }
  return cause?.message === "timeout exceeded when trying to connect"
    ? connectionLost(
      "no connection of the pool was free in time; where that repeats, raise MAX_DB_CONNECTIONS",
      "connect"
    )
    : classify(cause, "connect")
}

const timeoutOf = (pool: object): number | undefined =>
  (pool as { readonly options?: { readonly connectionTimeoutMillis?: number } }).options?.connectionTimeoutMillis

/** Takes a connection out of a pool of `pg` until the scope closes. */
export const lease = (
  pool: Pick<HostPool, "connect">,
  { isPostgres, limits }: SessionOptions
): Effect.Effect<PooledConnection, SqlError.SqlError, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<PooledConnection, SqlError.SqlError>((resume) => {
      let wanted = true
      pool.connect((cause, client, release) => {
        if (client === undefined) return resume(Effect.fail(failureOf(cause, timeoutOf(pool))))
        // Interrupted meanwhile: a client that comes late is returned at once.
        if (!wanted) return release()
        resume(Effect.succeed(new PooledConnection(client, limits, isPostgres)))
      })
      return Effect.sync(() => {
        wanted = false
      })
    }),
    (connection) => Effect.sync(() => connection.release()),
    { interruptible: true }
  )
