import { PgClient } from "@effect/sql-pg"
import { Effect, Layer, Option, Redacted, Schedule, Semaphore } from "effect"
import type { Scope } from "effect"
import { Reactivity } from "effect/reactivity"
import type { SqlError } from "effect/sql"
import { SqlClient } from "effect/sql"
import pg from "pg"
import { backoff } from "../domain/backoff.ts"
import type { DatabaseTarget } from "../domain/DatabaseTarget.ts"
import { MAX_IDENTIFIER_BYTES } from "../domain/postgres/identifiers.ts"
import { AmpsyncConfig } from "../services/Config.ts"
import { PgPool } from "../services/PgPool.ts"
import { classify } from "./pg-pool/classify.ts"
import { PooledConnection } from "./pg-pool/PooledConnection.ts"
import { tlsAttempts } from "./pg-pool/tls.ts"

const CONNECT_TIMEOUT_SECONDS = 10
/** Long enough for a server that waits for its disk or for a lock; without an end a table would hang unseen. */
const STALL_MILLIS = 60_000

export interface PgPoolOptions {
  /** A COMMIT or a piece of COPY data that is not answered for so long was sent into a connection that leads nowhere. */
  readonly stallMillis?: number
}

/** `PgPool` over the `pg` driver: effect's own driver refuses COPY. */
const make = Effect.fnUntraced(function*({ stallMillis = STALL_MILLIS }: PgPoolOptions) {
  const { database, maxDbConnections } = yield* AmpsyncConfig
  const { pool, ssl } = yield* connectedPool(database, maxDbConnections)
  // One connection stays free of transactions, so that a long one never keeps this process from saying it is alive.
  const transactions = yield* Semaphore.make(Math.max(1, maxDbConnections - 1))

  const sql = yield* SqlClient.make({
    acquirer: lease(pool, stallMillis),
    compiler: PgClient.makeCompiler(),
    driver: "pg",
    spanAttributes: [["db.system.name", "postgresql"], ["db.namespace", database.database]],
    commit: (connection) => (connection as PooledConnection).commit,
    isTransaction: (connection) => !(connection as PooledConnection).broken
  }).pipe(Effect.provide(Reactivity.layer))

  const copyIn = Effect.fn("PgPool.copyIn")(function*(statement: string, pieces: ReadonlyArray<Uint8Array>) {
    const open = yield* Effect.serviceOption(sql.transactionService)
    if (Option.isNone(open)) return yield* Effect.die(new Error("I1: COPY outside a transaction"))
    return yield* (open.value[0] as PooledConnection).copyIn(statement, pieces)
  })

  const transaction: PgPool["Service"]["transaction"] = (activity, effect) =>
    sql.withTransaction(effect).pipe(
      Effect.provideService(SqlClient.BeginTransaction, beginAs(activity)),
      transactions.withPermit
    )

  const apart: PgPool["Service"]["apart"] = (activity, use) =>
    Effect.scoped(Effect.gen(function*() {
      const connection = yield* Effect.flatMap(newPool(database, 1, ssl), (pool) => lease(pool, stallMillis))
      yield* connection.execute(`SET application_name TO ${activityLiteral(activity)}; ${NO_TIMEOUTS}`, [], undefined)
      return yield* use((statement, params = []) => connection.execute(statement, params, undefined))
    }))

  return PgPool.of({ sql, transaction, copyIn, apart })
})

export const layerWith = (options: PgPoolOptions): Layer.Layer<PgPool, SqlError.SqlError, AmpsyncConfig> =>
  Layer.effect(PgPool, make(options))

export const layer: Layer.Layer<PgPool, SqlError.SqlError, AmpsyncConfig> = layerWith({})

const activityLiteral = (activity: string): string =>
  pg.escapeLiteral(Buffer.from(activity).subarray(0, MAX_IDENTIFIER_BYTES).toString())

const beginAs = (activity: string): string =>
  `BEGIN; SET LOCAL application_name TO ${activityLiteral(activity)}; SET LOCAL statement_timeout TO 0; ` +
  // Behind a lock that long, coming back later is better than holding what others wait for.
  "SET LOCAL lock_timeout TO '30s'"

const NO_TIMEOUTS = "SET statement_timeout TO 0; SET lock_timeout TO 0"

/**
 * A pool that has proved it can connect, in the first way of TLS or plain text that `sslmode` allows and that works.
 *
 * A database that is down is waited for; one that refuses us (password, name, rights, no TLS, a certificate that does not
 * hold) is a failure at once, and so is a file of certificates that cannot be read.
 */
const connectedPool = (
  target: DatabaseTarget,
  max: number
): Effect.Effect<{ readonly pool: pg.Pool; readonly ssl: Ssl }, SqlError.SqlError, Scope.Scope> => {
  const tryOut = (ssl: Ssl) =>
    Effect.scoped(Effect.as(Effect.flatMap(newPool(target, 1, ssl), (pool) => lease(pool, STALL_MILLIS)), ssl))
  const firstThatWorks = ([first, second]: ReturnType<typeof tlsAttempts>) =>
    // Only a refusal of the way itself calls for the other way; a database that is down is down either way.
    second === undefined ? tryOut(first) : Effect.catchIf(tryOut(first), refusesTransport, () => tryOut(second))
  const mayHeal = (error: SqlError.SqlError): boolean => error.isRetryable && !refusesTransport(error)
  return Effect.try({ try: () => tlsAttempts(target), catch: (cause) => classify(cause, "connect") }).pipe(
    Effect.flatMap((attempts) =>
      firstThatWorks(attempts).pipe(
        Effect.tapError((error) =>
          mayHeal(error) ? Effect.logWarning(`Database is not reachable, trying again: ${error.message}`) : Effect.void
        ),
        Effect.retry(($) => $(reconnectDelays).pipe(Schedule.while(({ input }) => mayHeal(input))))
      )
    ),
    Effect.flatMap((ssl) => Effect.map(newPool(target, max, ssl), (pool) => ({ pool, ssl })))
  )
}

type Ssl = ReturnType<typeof tlsAttempts>[number]

const reconnectDelays = backoff("100 millis", "30 seconds")

const refusesTransport = (error: SqlError.SqlError): boolean =>
  /does not support SSL|no pg_hba\.conf entry|certificate/i.test(error.message)

const newPool = (target: DatabaseTarget, max: number, ssl: Ssl): Effect.Effect<pg.Pool, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const pool = new pg.Pool({
        host: target.host,
        port: target.port,
        user: target.user,
        database: target.database,
        ...(target.password === undefined ? {} : { password: Redacted.value(target.password) }),
        ssl,
        max,
        application_name: target.options?.applicationName ?? "ampsync",
        ...(target.options?.options === undefined ? {} : { options: target.options.options }),
        connectionTimeoutMillis: (target.options?.connectTimeoutSeconds ?? CONNECT_TIMEOUT_SECONDS) * 1000,
        // A peer that vanished is noticed even while a connection only waits for an answer.
        keepAlive: target.options?.keepalives ?? true,
        keepAliveInitialDelayMillis: (target.options?.keepalivesIdleSeconds ?? 10) * 1000
      })
      // The loss of an idle connection is an event of the pool; without a listener it would end the process.
      return pool.on("error", () => {})
    }),
    (pool) => Effect.promise(() => pool.end())
  )

const lease = (
  pool: pg.Pool,
  stallMillis: number
): Effect.Effect<PooledConnection, SqlError.SqlError, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<PooledConnection, SqlError.SqlError>((resume) => {
      let wanted = true
      pool.connect((cause, client, release) => {
        if (client === undefined) return resume(Effect.fail(classify(cause, "connect")))
        // Nobody waits any more: a client that comes late goes straight back.
        if (!wanted) return release()
        resume(Effect.succeed(new PooledConnection(client, stallMillis)))
      })
      return Effect.sync(() => {
        wanted = false
      })
    }),
    (connection) => Effect.sync(() => connection.release()),
    { interruptible: true }
  )
