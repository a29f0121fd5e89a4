/** The PostgreSQL of a schedule, which crashes and is started again, and a reader's view of it that outlives that. */
import { Cause, Effect, Exit, Scope, Semaphore } from "effect"
import { rm } from "node:fs/promises"
import { Pool, type QueryResultRow } from "pg"
import { type Cluster, copyCluster, sessionOptions, startCluster, startReplica } from "../support/cluster.ts"
import { eventually } from "../support/eventually.ts"
import type { TestDatabase } from "../support/postgres.ts"
import { startProxy, throughProxy } from "../support/proxy.ts"

const CONNECT_MILLIS = 10_000
const RETRY_MILLIS = 50
/** A reader that cannot read for so long has found something itself. */
const PATIENCE_MILLIS = 90_000
/** What the sessions of the server do is kept once a reader has waited for so long: later the cause may be gone. */
const SLOW_MILLIS = 30_000
const SESSIONS =
  `SELECT pid, state, wait_event, pg_blocking_pids(pid) AS "waitsFor", application_name AS name, left(query, 80) AS query
  FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() ORDER BY pid`

/** The role of the sync: an ordinary one, which limits apply to. */
export const ROLE = "chaos_sync"
const PASSWORD = "of-the-sync"
/** Name of a function, and of triggers that call it, which fail half of the rows as a full disk does. */
export const DISK_FULL = "chaos_disk_full"

/** What a schedule before this one, or one of its actions, may have left. */
const RESET = [
  "ALTER DATABASE postgres RESET default_transaction_read_only",
  "ALTER DATABASE postgres CONNECTION LIMIT -1",
  `ALTER ROLE ${ROLE} CONNECTION LIMIT -1`,
  `ALTER ROLE ${ROLE} RESET ALL`
]
const PREPARE = [
  `DO $$BEGIN CREATE ROLE ${ROLE} LOGIN PASSWORD '${PASSWORD}'; EXCEPTION WHEN duplicate_object THEN NULL; END$$`,
  ...RESET,
  `CREATE OR REPLACE FUNCTION public.${DISK_FULL}() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
     IF random() < 0.5 THEN RETURN new; END IF;
     RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = 'disk_full';
   END$$`
]
/** By name, because any table may have it; those of partitions go with that of their table. */
const DROP_DISK_FULL = `DO $$DECLARE t regclass; BEGIN
  FOR t IN SELECT tgrelid::regclass FROM pg_trigger WHERE tgname = '${DISK_FULL}' AND tgparentid = 0 LOOP
    EXECUTE format('DROP TRIGGER IF EXISTS ${DISK_FULL} ON %s', t);
  END LOOP; END$$`

export interface ChaosDatabase {
  /** For judges: a statement is sent again until the server answers it. */
  readonly database: TestDatabase
  /** The connection string of the sync, without a proxy. */
  readonly syncUrl: () => string
  /** Sends a statement once; whether it succeeds does not matter. */
  readonly once: (sql: string) => Effect.Effect<void>
  readonly dropDiskFull: Effect.Effect<void>
  /** Takes back what was set for the role and the database. */
  readonly reset: Effect.Effect<void>
  readonly port: () => number
  /** Ends the server, at once or in good order, waits, and starts it again. */
  readonly restart: (how: "immediate" | "fast", downMillis: number) => Effect.Effect<void>
  /**
   * Starts the server again with a replica, which receives nothing from some moment on, and is promoted when the server
   * crashes after `lagMillis` more: what was committed in that time is lost.
   */
  readonly failover: (lagMillis: number) => Effect.Effect<void>
  /** Grows whenever commits may have been lost. */
  readonly generation: () => number
}

interface Running {
  readonly home: string
  readonly cluster: Cluster
  readonly scope: Scope.Closeable
}

const within = Effect.fnUntraced(function*(home: string, starting: Effect.Effect<Cluster, never, Scope.Scope>) {
  const scope = yield* Scope.make()
  const cluster = yield* Scope.provide(starting, scope)
  return { home, cluster, scope } satisfies Running
})

const start = (home: string) => within(home, startCluster(home))

/** Starts the server whose files are in `home`, with an empty schema. */
export const startDatabase = Effect.fnUntraced(function*(
  home: string,
  onRestart: (port: number) => void,
  violated: (what: string) => void
): Effect.fn.Return<ChaosDatabase, never, Scope.Scope> {
  let running = yield* start(home)
  let generation = 0
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
  const sessions = Effect.match(Effect.suspend(() => running.cluster.database.query(SESSIONS)), {
    onFailure: String,
    onSuccess: (rows) => rows.map((row) => JSON.stringify(row)).join("\n")
  })
  const query = <Row extends QueryResultRow = QueryResultRow>(sql: string, params: ReadonlyArray<unknown> = []) =>
    Effect.gen(function*() {
      const until = Date.now() + PATIENCE_MILLIS
      let seen = "not known"
      const slow = Effect.map(Effect.andThen(Effect.sleep(SLOW_MILLIS), sessions), (found) => void (seen = found))
      yield* Effect.forkScoped(slow)
      for (;;) {
        const exit = yield* Effect.exit(send<Row>(sql, params))
        if (Exit.isSuccess(exit)) return exit.value
        if (Date.now() > until) {
          const why =
            `a reader got no answer for ${PATIENCE_MILLIS} ms to ${sql.slice(0, 200)}: ${Cause.pretty(exit.cause)}; ` +
            `the sessions after ${SLOW_MILLIS} ms:\n${seen}`
          violated(why)
          return yield* Effect.die(why)
        }
        yield* Effect.sleep(RETRY_MILLIS)
      }
    }).pipe(Effect.scoped)
  const database: TestDatabase = { url, schema, query }
  const dropDiskFull = Effect.asVoid(query(DROP_DISK_FULL))
  const exclusively = (effect: Effect.Effect<void>) => semaphore.withPermit(Effect.uninterruptible(effect))
  const use = (next: Running) => {
    running = next
    proxy.redirect(next.cluster.port)
    onRestart(next.cluster.port)
  }
  const closed = Effect.suspend(() => Scope.close(running.scope, Exit.void))

  yield* Effect.forEach(PREPARE, (sql) => query(sql), { discard: true })
  yield* query(`DROP SCHEMA ${schema} CASCADE`)
  yield* query(`CREATE SCHEMA ${schema} AUTHORIZATION ${ROLE}`)
  const syncUrl = new URL(firstUrl)
  Object.assign(syncUrl, { username: ROLE, password: PASSWORD })
  return {
    database,
    syncUrl: () => syncUrl.href,
    once: (sql) => Effect.asVoid(Effect.exit(send(sql, []))),
    dropDiskFull,
    reset: Effect.andThen(Effect.forEach(RESET, (sql) => query(sql), { discard: true }), dropDiskFull),
    port: () => running.cluster.port,
    generation: () => generation,
    restart: (how, downMillis) =>
      exclusively(Effect.gen(function*() {
        if (how === "immediate") yield* running.cluster.crash
        yield* closed
        yield* Effect.sleep(downMillis)
        use(yield* start(running.home))
      })),
    failover: (lagMillis) =>
      exclusively(Effect.gen(function*() {
        const copy = `${home}-replica-${generation}`
        yield* closed
        // An earlier schedule may have left it.
        yield* Effect.promise(() => rm(copy, { recursive: true, force: true }))
        yield* copyCluster(running.home, copy)
        use(yield* start(running.home))
        const replica = yield* within(copy, startReplica(copy, running.cluster))
        yield* Effect.sleep(lagMillis)
        yield* stopReceiving(replica.cluster)
        yield* Effect.sleep(lagMillis)
        generation += 1
        yield* running.cluster.crash
        yield* replica.cluster.database.query("SELECT pg_promote()")
        yield* closed
        use(replica)
        generation += 1
      }))
  }
})

const stopReceiving = ({ database }: Cluster) =>
  Effect.gen(function*() {
    yield* database.query("ALTER SYSTEM RESET primary_conninfo")
    yield* database.query("SELECT pg_reload_conf()")
    yield* eventually(
      "the replica receives nothing more",
      Effect.map(database.query("SELECT FROM pg_stat_wal_receiver"), (rows) => rows.length === 0)
    )
  })
