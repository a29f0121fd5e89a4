/** Connections from a pool of `pg`, scoped. */
import { Effect } from "effect"
import type { Scope } from "effect"
import type { SqlError } from "effect/sql"
import type { HostPool } from "../../services/HostPool.ts"
import { classify } from "./classify.ts"
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

/** Takes a connection out of a pool of `pg` until the scope closes. */
export const lease = (
  pool: Pick<HostPool, "connect">,
  { isPostgres, limits }: SessionOptions
): Effect.Effect<PooledConnection, SqlError.SqlError, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<PooledConnection, SqlError.SqlError>((resume) => {
      let wanted = true
      pool.connect((cause, client, release) => {
        if (client === undefined) return resume(Effect.fail(classify(cause, "connect")))
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
