import { PgClient } from "@effect/sql-pg"
import { Effect, Layer, Schedule, Semaphore } from "effect"
import type { Scope } from "effect"
import { Reactivity } from "effect/reactivity"
import type { SqlError } from "effect/sql"
import { SqlClient } from "effect/sql"
import { Socket } from "node:net"
import pg from "pg"
import { backoff } from "../domain/backoff.ts"
import { defaultApplicationName, defaultConnectTimeoutSeconds } from "../domain/DatabaseTarget.ts"
import * as log from "../domain/logLines.ts"
import { activityLiteral, beginTransaction } from "../domain/sql/transaction.ts"
import { DatabaseConfig, type DatabaseSettings } from "../services/Config.ts"
import { PgPool } from "../services/PgPool.ts"
import { classify } from "./pg-pool/classify.ts"
import { clientFor } from "./pg-pool/Client.ts"
import { refusesTransport } from "./pg-pool/connectFailure.ts"
import { requireUtf8 } from "./pg-pool/encoding.ts"
import type { Pipeline } from "./pg-pool/Pipeline.ts"
import { PooledConnection } from "./pg-pool/PooledConnection.ts"
import { askAbout, noAnswer, type SilenceLimits, unanswered, type Verdict } from "./pg-pool/Silence.ts"
import { tlsAttempts } from "./pg-pool/tls.ts"

/** Long enough for a server that waits for its disk or for a lock; without an end a table would hang unseen. */
const STALL_MILLIS = 60_000
/** For short statements on a connection that is new. */
const ANSWER_MILLIS = 10_000
/** What a stop grants connections to end as PostgreSQL wants it; one that leads nowhere would take for ever. */
const END_MILLIS = 1_000

export interface PgPoolOptions {
  /**
   * A COMMIT or a piece of COPY data that is not answered for so long was sent into a connection that leads nowhere. Of a
   * statement that may take longer, the server is asked on another connection.
   */
  readonly stallMillis?: number
}

/** `PgPool` over the `pg` driver: effect's own driver refuses COPY. */
const make = Effect.fnUntraced(function*({ stallMillis = STALL_MILLIS }: PgPoolOptions) {
  const { maxDbConnections, ...settings } = yield* DatabaseConfig
  const { database } = settings
  const { isDirect, pool, ssl } = yield* connectedPool(settings, maxDbConnections, stallMillis)
  const session: SessionOptions = {
    isPostgres: isDirect,
    limits: { millis: stallMillis, ask: yield* makeAsk(yield* newPool(settings, 1, ssl), stallMillis) }
  }
  // One connection stays free of transactions, so that a long one never keeps this process from saying it is alive.
  const transactions = yield* Semaphore.make(Math.max(1, maxDbConnections - 1))

  const sql = yield* SqlClient.make({
    acquirer: lease(pool, session),
    compiler: PgClient.makeCompiler(),
    driver: "pg",
    spanAttributes: [["db.system.name", "postgresql"], ["db.namespace", database.database]],
    commit: (connection) => (connection as PooledConnection).commit,
    isTransaction: (connection) => !(connection as PooledConnection).broken
  }).pipe(Effect.provide(Reactivity.layer))

  const transaction: PgPool["Service"]["transaction"] = (activity, effect) =>
    sql.withTransaction(effect).pipe(
      Effect.provideService(SqlClient.BeginTransaction, beginTransaction(activity)),
      transactions.withPermit
    )

  const pipeline = Effect.gen(function*() {
    yield* Effect.acquireRelease(transactions.take(1), () => transactions.release(1), { interruptible: true })
    const connection = yield* lease(pool, session)
    return yield* Effect.acquireRelease(Effect.sync(() => connection.pipeline(isDirect)), endPipeline)
  })

  const withDedicatedConnection: PgPool["Service"]["withDedicatedConnection"] = (activity, use) =>
    Effect.scoped(Effect.gen(function*() {
      const connection = yield* Effect.flatMap(newPool(settings, 1, ssl), (pool) => lease(pool, session))
      yield* connection.execute(`SET application_name TO ${activityLiteral(activity)}; ${NO_TIMEOUTS}`, [], undefined)
      return yield* use((statement, params = []) => connection.execute(statement, params, undefined))
    }))

  return PgPool.of({ sql, transaction, pipeline, withDedicatedConnection })
})

export const layerWith = (options: PgPoolOptions): Layer.Layer<PgPool, SqlError.SqlError, DatabaseConfig> =>
  Layer.effect(PgPool, make(options))

export const layer: Layer.Layer<PgPool, SqlError.SqlError, DatabaseConfig> = layerWith({})

/** What a stop grants a transaction whose end was sent. */
const COMMIT_GRACE = "2 seconds"

const endPipeline = (pipeline: Pipeline): Effect.Effect<void> =>
  pipeline.answered.pipe(
    // Inside of a finalizer: without this the limit could not end the wait.
    Effect.interruptible,
    Effect.timeoutOption(COMMIT_GRACE),
    Effect.ignore,
    Effect.andThen(Effect.sync(() => pipeline.isClean || pipeline.close("the connection was closed in a transaction")))
  )

const NO_TIMEOUTS = "SET statement_timeout TO 0; SET lock_timeout TO 0"

/**
 * A pool that has proved it can connect, in the first way of TLS or plain text that `sslmode` allows and that works.
 *
 * A database that is down is waited for; one that refuses us (password, name, rights, no TLS, a certificate that does not
 * hold) is a failure at once, unless the password is in a file that may change, and so is a file of certificates that cannot be
 * read.
 */
const connectedPool = (
  settings: Target,
  max: number,
  stallMillis: number
): Effect.Effect<
  { readonly pool: pg.Pool; readonly ssl: Ssl; readonly isDirect: boolean },
  SqlError.SqlError,
  Scope.Scope
> => {
  const tryOut = (ssl: Ssl) =>
    newPool(settings, 1, ssl).pipe(
      Effect.flatMap((pool) => lease(pool, unknownServer(stallMillis))),
      Effect.tap(requireUtf8),
      Effect.flatMap((connection) => connection.isDirect),
      Effect.map((isDirect) => ({ isDirect, ssl })),
      Effect.scoped
    )
  const firstThatWorks = ([first, second]: ReturnType<typeof tlsAttempts>) =>
    // Only a refusal of the way itself calls for the other way; a database that is down is down either way.
    second === undefined ? tryOut(first) : Effect.catchIf(tryOut(first), refusesTransport, () => tryOut(second))
  return Effect.try({ try: () => tlsAttempts(settings.database), catch: (cause) => classify(cause, "connect") }).pipe(
    Effect.flatMap((attempts) =>
      firstThatWorks(attempts).pipe(
        Effect.tapError((error) =>
          error.isRetryable
            ? Effect.logWarning(log.databaseUnreachable(error.message))
            : Effect.void
        ),
        Effect.retry(($) => $(reconnectDelays).pipe(Schedule.while(({ input }) => input.isRetryable)))
      )
    ),
    Effect.flatMap((found) => Effect.map(newPool(settings, max, found.ssl), (pool) => ({ pool, ...found })))
  )
}

type Ssl = ReturnType<typeof tlsAttempts>[number]

const reconnectDelays = backoff("100 millis", "30 seconds")

type Target = Pick<DatabaseSettings, "database" | "databaseNow">

const newPool = (settings: Target, max: number, ssl: Ssl): Effect.Effect<pg.Pool, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const target = settings.database
      const sockets = new Set<Socket>()
      const pool = new pg.Pool({
        Client: clientFor(settings),
        stream: () => {
          const socket = new Socket()
          sockets.add(socket)
          return socket.once("close", () => sockets.delete(socket))
        },
        host: target.host,
        port: target.port,
        database: target.database,
        ssl,
        max,
        application_name: target.options?.applicationName ?? defaultApplicationName,
        connectionTimeoutMillis: (target.options?.connectTimeoutSeconds ?? defaultConnectTimeoutSeconds) * 1000,
        // A peer that vanished is noticed even while a connection only waits for an answer.
        keepAlive: target.options?.keepalives ?? true,
        keepAliveInitialDelayMillis: (target.options?.keepalivesIdleSeconds ?? 10) * 1000
      })
      // The loss of an idle connection is an event of the pool; without a listener it would end the process.
      return { pool: pool.on("error", () => {}), sockets }
    }),
    ({ pool, sockets }) =>
      Effect.promise(() => {
        setTimeout(() => sockets.forEach((socket) => socket.destroy()), END_MILLIS).unref()
        return pool.end()
      })
  ).pipe(Effect.map(({ pool }) => pool))

interface SessionOptions {
  readonly limits: SilenceLimits
  /** No pooler stands between. */
  readonly isPostgres: boolean
}

/** Before it is known what is at the other end, and where only short statements are run, silence alone decides. */
const unknownServer = (millis: number): SessionOptions => ({
  limits: { millis: Math.min(millis, ANSWER_MILLIS) },
  isPostgres: false
})

/** Asks about sessions over connections of its own: those of the pool may all lead nowhere. */
const makeAsk = (pool: pg.Pool, stallMillis: number) =>
  Effect.map(
    Effect.context<never>(),
    (services): NonNullable<SilenceLimits["ask"]> => (session) =>
      Effect.flatMap(lease(pool, unknownServer(stallMillis)), (connection) =>
        askAbout((statement, params) => connection.execute(statement, params, undefined), session)).pipe(
          Effect.scoped,
          Effect.catch((error) =>
            Effect.succeed(unanswered(error))
          ),
          Effect.timeoutOrElse({ duration: 2 * ANSWER_MILLIS, orElse: () => Effect.succeed(noAnswer) }),
          Effect.catchCause(() => Effect.succeed<Verdict>({ kind: "unknown" })),
          Effect.runPromiseWith(services)
        )
  )

const lease = (
  pool: pg.Pool,
  { isPostgres, limits }: SessionOptions
): Effect.Effect<PooledConnection, SqlError.SqlError, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<PooledConnection, SqlError.SqlError>((resume) => {
      let wanted = true
      pool.connect((cause, client, release) => {
        if (client === undefined) return resume(Effect.fail(classify(cause, "connect")))
        // Nobody waits any more: a client that comes late goes straight back.
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
