/** The connections of the program itself, to the database that the settings name. */
import { Duration, Effect, Schedule } from "effect"
import type { Scope } from "effect"
import type { SqlError } from "effect/sql"
import type pg from "pg"
import { backoff } from "../../domain/backoff.ts"
import * as log from "../../domain/logLines.ts"
import { inTarget } from "../../domain/logTargets.ts"
import { makeWaitReporter } from "../../domain/reportWait.ts"
import { isRetryable } from "../../domain/retryable.ts"
import { defaultApplicationName } from "../../domain/settings/DatabaseTarget.ts"
import type { ConnectionSettings } from "../../services/Config.ts"
import { classify } from "./classify.ts"
import { clientFor } from "./Client.ts"
import { connectTimeoutSeconds, placeOf, refusesTransport } from "./connectFailure.ts"
import { type Connections, tryOut } from "./connections.ts"
import { lease } from "./lease.ts"
import { newPool } from "./newPool.ts"
import { tlsAttempts } from "./tls.ts"

const reconnectDelays = backoff("100 millis", "30 seconds")

type Ssl = ReturnType<typeof tlsAttempts>[number]

/**
 * Connections, one of which has proved to work, with the first transport (TLS or plain text) that `sslmode` allows and that
 * works.
 *
 * Waits for a database that is down, unless `waits` is false. Fails at once where the server refuses the login (password, name, rights, no TLS, an
 * invalid certificate), unless the password is in a file that may change, and where a certificate file cannot be read.
 */
export const ownConnections = (
  settings: ConnectionSettings,
  stallMillis: number,
  waits = true
): Effect.Effect<Connections, SqlError.SqlError, Scope.Scope> => {
  const report = makeWaitReporter("ampsync::pg_pool")
  const [place, seconds] = [placeOf(settings), connectTimeoutSeconds(settings.database)]
  const limit = seconds === 0 ? undefined : Duration.seconds(seconds)
  const attempt = (ssl: Ssl) =>
    newPool(poolConfig(settings, 1, ssl)).pipe(
      Effect.flatMap((pool) => tryOut(pool, stallMillis)),
      Effect.map((isDirect) => ({ isDirect, ssl })),
      Effect.scoped
    )
  const firstThatWorks = ([first, second]: ReturnType<typeof tlsAttempts>) =>
    // Only a refusal of the transport calls for the other one; a database that is down is down for both.
    second === undefined ? attempt(first) : Effect.catchIf(attempt(first), refusesTransport, () => attempt(second))
  return Effect.try({ try: () => tlsAttempts(settings.database), catch: (cause) => classify(cause, "connect") }).pipe(
    Effect.flatMap((attempts) => {
      const first = report(() => ({ for: `PostgreSQL ${place}`, limit }), firstThatWorks(attempts))
      return waits ? waitFor(first, undefined) : first
    }),
    Effect.flatMap(({ isDirect, ssl }) =>
      Effect.map(newPool(poolConfig(settings, settings.maxDbConnections, ssl)), (pool): Connections => ({
        lease: (session) =>
          report(
            () => ({
              for: `a connection to PostgreSQL ${place}${isExhausted(pool, settings) ? ALL_IN_USE : ""}`,
              limit
            }),
            lease(pool, session)
          ),
        isDirect,
        maxConnections: settings.maxDbConnections,
        database: settings.database.database,
        newPool: newPool(poolConfig(settings, 1, ssl))
      }))
    )
  )
}

const ALL_IN_USE = ": all connections of the pool are in use (MAX_DB_CONNECTIONS)"

const isExhausted = (pool: pg.Pool, { maxDbConnections }: ConnectionSettings): boolean =>
  pool.totalCount >= maxDbConnections && pool.idleCount === 0

/**
 * Retries until the database is reachable, with a warning for each attempt; `origin` is what names the database, where its
 * failures do not.
 */
export const waitFor = <A, R>(
  attempt: Effect.Effect<A, SqlError.SqlError, R>,
  origin: string | undefined
): Effect.Effect<A, SqlError.SqlError, R> =>
  attempt.pipe(
    Effect.retry(($) =>
      $(reconnectDelays).pipe(
        Schedule.while(({ input }) => isRetryable(input)),
        Schedule.tap(({ duration, input }) =>
          Effect.logWarning(log.databaseUnreachable(input.message, origin, duration))
        )
      )
    ),
    inTarget("ampsync::pg_pool")
  )

const poolConfig = (settings: ConnectionSettings, max: number, ssl: Ssl): pg.PoolConfig => {
  const { database, host, options, port } = settings.database
  return {
    Client: clientFor(settings),
    host,
    port,
    database,
    ssl,
    max,
    application_name: options?.applicationName ?? defaultApplicationName,
    connectionTimeoutMillis: connectTimeoutSeconds(settings.database) * 1000,
    // Detects a lost peer also while a connection waits for a response.
    keepAlive: options?.keepalives ?? true,
    keepAliveInitialDelayMillis: (options?.keepalivesIdleSeconds ?? 10) * 1000
  }
}
