/** PostgreSQL servers of one test, for what would disturb the shared one: crashes, replicas, promotions. */
import { Effect, Redacted, type Scope } from "effect"
import { execFile } from "node:child_process"
import { appendFile, chmod, readFile, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { promisify } from "node:util"
import { Pool, type QueryResultRow } from "pg"
import { startIn } from "../../src/demo/embedded-postgres/layer.ts"
import { eventually } from "./eventually.ts"
import type { TestDatabase } from "./postgres.ts"
import { temporaryDirectory } from "./temporaryDirectory.ts"

const SCHEMA = "synced"

/** The same for every cluster, because one that is started again keeps its password. */
const PASSWORD = "of-the-cluster"

export interface Cluster {
  readonly port: number
  /** Its database, with one schema that lives as long as it does. */
  readonly database: TestDatabase
  /** From now on nothing is flushed to disk in the background. */
  readonly pauseWriters: Effect.Effect<void>
  /** Ends the server as `pg_ctl stop -m immediate` does: what was not flushed is lost. */
  readonly crash: Effect.Effect<void>
}

/** A directory that the account of servers can reach. */
export const reachableDirectory = Effect.tap(temporaryDirectory, (path) => Effect.promise(() => chmod(path, 0o755)))

/** Of the sessions of a test: what a database or a role has been given for all its sessions is not for them. */
export const sessionOptions = (schema: string): string =>
  `-csearch_path=${schema} -cdefault_transaction_read_only=off -cstatement_timeout=0 -clock_timeout=0 ` +
  "-cidle_in_transaction_session_timeout=0"

const connect = Effect.fnUntraced(function*(url: string) {
  const pool = yield* Effect.acquireRelease(
    Effect.sync(() => new Pool({ connectionString: url, max: 3, options: sessionOptions(SCHEMA) })),
    (pool) => Effect.promise(() => pool.end())
  )
  // A server that a test ends closes idle connections, which is no error.
  pool.on("error", () => undefined)
  const database: TestDatabase = {
    url,
    schema: SCHEMA,
    query: <Row extends QueryResultRow = QueryResultRow>(sql: string, params: ReadonlyArray<unknown> = []) =>
      Effect.promise(() => pool.query<Row>(sql, [...params]).then(({ rows }) => rows))
  }
  return database
})

/** Makes another database of the server, empty, for a schema of the same name. */
export const addDatabase = Effect.fnUntraced(function*({ database }: Cluster, name: string) {
  yield* database.query(`CREATE DATABASE ${name}`)
  const url = new URL(database.url)
  url.pathname = name
  return yield* connect(url.href)
})

/** Starts the server whose directory is `home`, which is made where it is missing; it stops when the scope closes. */
export const startCluster = Effect.fnUntraced(function*(
  home: string,
  parameters: ReadonlyArray<string> = []
): Effect.fn.Return<Cluster, never, Scope.Scope> {
  const { dataDirectory, port, url } = yield* Effect.orDie(startIn(home, PASSWORD, parameters))
  const database = yield* connect(Redacted.value(url))
  const { query } = database
  const standby = (yield* query<{ standby: boolean }>("SELECT pg_is_in_recovery() AS standby"))[0]?.standby
  if (standby === false) yield* query(`CREATE SCHEMA IF NOT EXISTS ${SCHEMA}`)
  const paused: Array<number> = []
  return {
    port,
    database,
    pauseWriters: Effect.gen(function*() {
      const rows = yield* query<{ pid: number }>(
        "SELECT pid FROM pg_stat_activity WHERE backend_type IN ('walwriter', 'background writer', 'checkpointer')"
      )
      for (const { pid } of rows) {
        paused.push(pid)
        process.kill(pid, "SIGSTOP")
      }
    }),
    crash: Effect.gen(function*() {
      const pid = Number.parseInt(
        yield* Effect.promise(() => readFile(join(dataDirectory, "postmaster.pid"), "utf8")),
        10
      )
      process.kill(pid, "SIGQUIT")
      // Resumed, they might flush something before they end.
      for (const pid of paused) process.kill(pid, "SIGKILL")
      yield* eventually("the server is gone", Effect.sync(() => !isAlive(pid)))
    })
  }
})

/** A server of its own whose log can be followed; it stops when the scope closes. */
export const startLogicalCluster: Effect.Effect<Cluster, never, Scope.Scope> = Effect.flatMap(
  reachableDirectory,
  (home) => startCluster(home, ["wal_level=logical"])
)

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

/** Copies a cluster that is stopped, with its owner. One process copies its thousand files far sooner than this one would. */
export const copyCluster = (from: string, to: string): Effect.Effect<void> =>
  Effect.promise(() => promisify(execFile)("cp", ["-Rp", from, to]).then(() => undefined))

/** Starts the copy in `home` as an asynchronous replica of `primary`. */
export const startReplica = (home: string, { database }: Cluster): Effect.Effect<Cluster, never, Scope.Scope> =>
  Effect.andThen(
    Effect.promise(async () => {
      const { hostname, password, port, username } = new URL(database.url)
      const conninfo = `host=${hostname} port=${port} user=${username} password=${password}`
      await writeFile(join(home, "data", "standby.signal"), "")
      await appendFile(join(home, "data", "postgresql.auto.conf"), `primary_conninfo = '${conninfo}'\n`)
    }),
    startCluster(home)
  )
