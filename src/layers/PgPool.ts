/** Connections, transactions and pipelines over the `pg` driver. */
import { PgClient } from "@effect/sql-pg"
import { Effect, Layer, Semaphore } from "effect"
import type { Scope } from "effect"
import { Reactivity } from "effect/reactivity"
import type { SqlError } from "effect/sql"
import { SqlClient } from "effect/sql"
import { inFinalizer } from "../domain/inFinalizer.ts"
import { makeWaitReporter } from "../domain/reportWait.ts"
import { activityLiteral, beginTransaction, transactionSettings } from "../domain/sql/transaction.ts"
import { type ConfigError, ConnectionConfig } from "../services/Config.ts"
import type { HostPool, HostPoolOptions } from "../services/HostPool.ts"
import { PgPool, type RunStatement } from "../services/PgPool.ts"
import type { Connections } from "./pg-pool/connections.ts"
import { hostConnections } from "./pg-pool/hostPool.ts"
import { ANSWER_MILLIS, lease, type SessionOptions, unknownServer } from "./pg-pool/lease.ts"
import { ownConnections } from "./pg-pool/ownPool.ts"
import type { Pipeline } from "./pg-pool/Pipeline.ts"
import type { PooledConnection } from "./pg-pool/PooledConnection.ts"
import { askAbout, noAnswer, type SilenceLimits, unanswered, type Verdict } from "./pg-pool/Silence.ts"

/** Long enough for a server that waits for its disk or for a lock; without a limit a table would hang silently. */
const STALL_MILLIS = 60_000

/** Time limits, which tests change, and how to begin. */
export interface PgPoolOptions {
  /**
   * After this long without a response to a COMMIT or to COPY data the connection counts as lost. For a statement that may
   * take longer, the server's view of the session is checked on another connection.
   */
  readonly stallMillis?: number
  /** Whether to wait for a database that is down, which is the default, instead of failing at once. */
  readonly waits?: boolean
}

/** `PgPool` over the `pg` driver: effect's own driver refuses COPY. */
const make = Effect.fnUntraced(function*<E>(
  connect: (stallMillis: number) => Effect.Effect<Connections, E, Scope.Scope>,
  { stallMillis = STALL_MILLIS }: PgPoolOptions
) {
  const connections = yield* connect(stallMillis)
  const { database, isDirect, maxConnections, newPool } = connections
  const session: SessionOptions = {
    isPostgres: isDirect,
    limits: { millis: stallMillis, ask: yield* makeAsk(yield* newPool, stallMillis) }
  }
  // One connection stays free of transactions, so that a long one never blocks the heartbeat.
  const transactions = yield* Semaphore.make(Math.max(1, maxConnections - 1))

  const sql = yield* SqlClient.make({
    acquirer: connections.lease(session),
    compiler: PgClient.makeCompiler(),
    driver: "pg",
    spanAttributes: [["db.system.name", "postgresql"], ["db.namespace", database]],
    commit: (connection) => (connection as PooledConnection).commit,
    isTransaction: (connection) => !(connection as PooledConnection).broken
  }).pipe(Effect.provide(Reactivity.layer))

  const reportWait = makeWaitReporter("ampsync::pg_pool")

  const transaction: PgPool["Service"]["transaction"] = (activity, effect, mode) =>
    reportWait.until(() => ({ for: ALL_LENT }), (isFree) =>
      sql.withTransaction(effect).pipe(
        Effect.provideService(SqlClient.BeginTransaction, beginTransaction(activity, mode)),
        (run) => transactions.withPermit(Effect.andThen(isFree, run))
      ))

  const pipeline = Effect.gen(function*() {
    yield* reportWait(
      () => ({ for: ALL_LENT }),
      Effect.acquireRelease(transactions.take(1), () => transactions.release(1), { interruptible: true })
    )
    const connection = yield* connections.lease(session)
    return yield* Effect.acquireRelease(Effect.sync(() => connection.pipeline(isDirect)), endPipeline)
  })

  const dedicated = Effect.map(
    Effect.flatMap(newPool, (pool) => lease(pool, session)),
    (connection): RunStatement => (statement, params = []) => connection.execute(statement, params, undefined)
  )

  const withDedicatedConnection: PgPool["Service"]["withDedicatedConnection"] = (activity, use) =>
    Effect.scoped(Effect.gen(function*() {
      const run = yield* dedicated
      const begin = run(`SET application_name TO ${activityLiteral(activity)}; ${NO_TIMEOUTS}`)
      // The session of a direct connection ends with it; that of a pooler goes on to other clients.
      yield* isDirect
        ? begin
        : Effect.acquireRelease(begin, () => inFinalizer(RESET_TIMEOUT)(run(RESET)), { interruptible: true })
      return yield* use(run)
    }))

  const dedicatedTransaction: PgPool["Service"]["dedicatedTransaction"] = (activity, statements) =>
    Effect.scoped(Effect.flatMap(dedicated, (run) =>
      // Several statements of one text are one transaction, which PostgreSQL rolls back by itself where one fails.
      Effect.asVoid(run([...transactionSettings(activity), ...statements].join("; ")))))

  return PgPool.of({ sql, transaction, pipeline, withDedicatedConnection, dedicatedTransaction })
})

const ALL_LENT =
  "a connection of the pool for a transaction: all but one are in transactions (MAX_DB_CONNECTIONS), and that one is kept free"

/** As `layer`, with other time limits. */
export const layerWith = (options: PgPoolOptions): Layer.Layer<PgPool, SqlError.SqlError, ConnectionConfig> =>
  Layer.effect(
    PgPool,
    Effect.flatMap(
      ConnectionConfig,
      (settings) => make((stallMillis) => ownConnections(settings, stallMillis, options.waits), options)
    )
  )

export const layer: Layer.Layer<PgPool, SqlError.SqlError, ConnectionConfig> = layerWith({})

/** `PgPool` on connections of a host program; its pool stays open when the layer ends. */
export const layerFromPool = (
  pool: HostPool,
  options: HostPoolOptions & PgPoolOptions = {}
): Layer.Layer<PgPool, ConfigError | SqlError.SqlError> =>
  Layer.effect(PgPool, make((stallMillis) => hostConnections(pool, options, stallMillis), options))

/** How long a stop waits for the response to a COMMIT that was sent. */
const COMMIT_GRACE = "2 seconds"

const endPipeline = (pipeline: Pipeline): Effect.Effect<void> =>
  pipeline.answered.pipe(
    inFinalizer(COMMIT_GRACE),
    Effect.andThen(Effect.sync(() => pipeline.isClean || pipeline.close("the connection was closed in a transaction")))
  )

const TIMEOUTS = "'statement_timeout', 'lock_timeout', 'transaction_timeout'"
/** `transaction_timeout`, which ends a concurrent build too, exists since PostgreSQL 17. */
const NO_TIMEOUTS = `SELECT set_config(name, '0', false) FROM pg_settings WHERE name IN (${TIMEOUTS})`
const RESET =
  `SELECT set_config(name, reset_val, false) FROM pg_settings WHERE name IN ('application_name', ${TIMEOUTS})`
/** For a session that does not respond. */
const RESET_TIMEOUT = "2 seconds"

/** Checks sessions over connections of its own: those of the pool may all be lost. */
const makeAsk = (pool: Pick<HostPool, "connect">, stallMillis: number) =>
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
