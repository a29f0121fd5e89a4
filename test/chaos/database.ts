/** The PostgreSQL of a schedule, which crashes and is started again, and a reader's view of it that outlives that. */
import { Cause, Effect, Exit, Scope, Semaphore } from "effect"
import { Pool, type QueryResultRow } from "pg"
import { type Cluster, sessionOptions, startCluster } from "../support/cluster.ts"
import type { TestDatabase } from "../support/postgres.ts"
import { startProxy, throughProxy } from "../support/proxy.ts"

const CONNECT_MILLIS = 10_000
const RETRY_MILLIS = 50
/** A reader that cannot read for so long has found something itself. */
const PATIENCE_MILLIS = 90_000

/** Takes back what makes sessions read-only. */
export const WRITABLE = "ALTER DATABASE postgres RESET default_transaction_read_only"

export interface ChaosDatabase {
  /** For judges: a statement is sent again until the server answers it. */
  readonly database: TestDatabase
  /** Sends a statement once; whether it succeeds does not matter. */
  readonly once: (sql: string) => Effect.Effect<void>
  readonly port: () => number
  /** Ends the server, at once or in good order, waits, and starts it again. */
  readonly restart: (how: "immediate" | "fast", downMillis: number) => Effect.Effect<void>
}

interface Running {
  readonly cluster: Cluster
  readonly scope: Scope.Closeable
}

const start = Effect.fnUntraced(function*(home: string) {
  const scope = yield* Scope.make()
  const cluster = yield* Scope.provide(startCluster(home), scope)
  return { cluster, scope } satisfies Running
})

/** Starts the server whose files are in `home`, with an empty schema. */
export const startDatabase = Effect.fnUntraced(function*(
  home: string,
  onRestart: (port: number) => void,
  violated: (what: string) => void
): Effect.fn.Return<ChaosDatabase, never, Scope.Scope> {
  let running = yield* start(home)
  yield* Effect.addFinalizer(() => Scope.close(running.scope, Exit.void))
  const semaphore = yield* Semaphore.make(1)
  const { schema, url: firstUrl } = running.cluster.database
  // Whichever port the server has, readers use the same one.
  const proxy = yield* startProxy(running.cluster.port)
  const url = throughProxy(firstUrl, proxy)
  const pool = yield* Effect.acquireRelease(
    Effect.sync(() =>
      new Pool({
        connectionString: url,
        max: 4,
        options: sessionOptions(schema),
        connectionTimeoutMillis: CONNECT_MILLIS
      })
    ),
    (pool) => Effect.promise(() => pool.end())
  )
  pool.on("error", () => undefined)

  const send = <Row extends QueryResultRow>(sql: string, params: ReadonlyArray<unknown>) =>
    Effect.tryPromise(() => pool.query<Row>(sql, [...params]).then(({ rows }) => rows))
  const query = <Row extends QueryResultRow = QueryResultRow>(sql: string, params: ReadonlyArray<unknown> = []) =>
    Effect.gen(function*() {
      const until = Date.now() + PATIENCE_MILLIS
      for (;;) {
        const exit = yield* Effect.exit(send<Row>(sql, params))
        if (Exit.isSuccess(exit)) return exit.value
        if (Date.now() > until) {
          const why = `a reader got no answer for ${PATIENCE_MILLIS} ms: ${Cause.pretty(exit.cause)}`
          violated(why)
          return yield* Effect.die(why)
        }
        yield* Effect.sleep(RETRY_MILLIS)
      }
    })
  const database: TestDatabase = { url, schema, query }

  yield* query(WRITABLE)
  yield* query(`DROP SCHEMA ${schema} CASCADE`)
  yield* query(`CREATE SCHEMA ${schema}`)
  return {
    database,
    once: (sql) => Effect.asVoid(Effect.exit(send(sql, []))),
    port: () => running.cluster.port,
    restart: (how, downMillis) =>
      semaphore.withPermit(Effect.uninterruptible(Effect.gen(function*() {
        if (how === "immediate") yield* running.cluster.crash
        yield* Scope.close(running.scope, Exit.void)
        yield* Effect.sleep(downMillis)
        running = yield* start(home)
        proxy.redirect(running.cluster.port)
        onRestart(running.cluster.port)
      })))
  }
})
