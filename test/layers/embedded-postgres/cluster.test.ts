import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Redacted } from "effect"
import { TestClock } from "effect/testing"
import { spawn } from "node:child_process"
import { existsSync, readdirSync } from "node:fs"
import { chmod, mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Client } from "pg"
import { nativeDirectory } from "../../../src/layers/embedded-postgres/binaries.ts"
import { awaitPredecessor, clusterPaths } from "../../../src/layers/embedded-postgres/cluster.ts"
import { layerWith } from "../../../src/layers/EmbeddedPostgres.ts"
import { EmbeddedPostgres } from "../../../src/services/EmbeddedPostgres.ts"

const temporaryDirectory = Effect.acquireRelease(
  Effect.promise(async () => {
    const directory = await mkdtemp(join(tmpdir(), "ampsync-test-"))
    // Under root the server runs as another account and has to get in.
    await chmod(directory, 0o755)
    return directory
  }),
  (directory) => Effect.promise(() => rm(directory, { recursive: true, force: true }))
)

/** Runs `sql` on a server in `dataDirectory` that is started for it and stopped after it. */
const once = (dataDirectory: string, sql: string) =>
  Effect.gen(function*() {
    const server = yield* EmbeddedPostgres
    const rows = yield* Effect.promise(async () => {
      const client = new Client(Redacted.value(server.url))
      await client.connect()
      try {
        return (await client.query<Record<string, unknown>>(sql)).rows
      } finally {
        await client.end()
      }
    })
    return { rows, password: Redacted.value(server.password) }
  }).pipe(Effect.provide(layerWith({ dataDirectory }), { local: true }))

const DEAD_PID = 4_190_000

describe("a persistent EmbeddedPostgres", () => {
  it.live("keeps data and password over restarts, also after a crash left its lock and pid file", () =>
    Effect.gen(function*() {
      const { data, home, passwordFile } = clusterPaths(join(yield* temporaryDirectory, "deep", "db"))
      const first = yield* once(home, "CREATE TABLE kept AS SELECT 7 AS n")
      assert.strictEqual((yield* Effect.promise(() => stat(passwordFile))).mode & 0o777, 0o600)
      yield* Effect.promise(async () => {
        await writeFile(join(home, "starting.lock"), `${DEAD_PID} 1`)
        // This very process is alive and is no server: what a restarted container finds.
        await writeFile(join(data, "postmaster.pid"), `${process.pid}\n`)
      })
      const second = yield* once(home, "SELECT n, current_setting('fsync') AS fsync FROM kept")
      assert.deepStrictEqual(second.rows, [{ n: 7, fsync: "on" }])
      assert.strictEqual(second.password, first.password)
      assert.sameMembers(readdirSync(home), ["data", "password", "postgres.log"])
    }))

  it.live("lets one of two first starts win and tells the other why", () =>
    Effect.gen(function*() {
      const home = join(yield* temporaryDirectory, "db")
      const start = Effect.exit(once(home, "SELECT 1 AS one"))
      const exits = yield* Effect.all([start, start], { concurrency: 2 })
      assert.deepStrictEqual(exits.filter(Exit.isSuccess).map((exit) => exit.value.rows), [[{ one: 1 }]])
      const [loser] = exits.filter(Exit.isFailure)
      assert.match(String(loser?.cause), /another process \(pid \d+\) is starting a server in .*db right now/)
    }))

  it.live("refuses a directory of another major version", () =>
    Effect.gen(function*() {
      const { data, home } = clusterPaths(yield* temporaryDirectory)
      yield* Effect.promise(async () => {
        await mkdir(data)
        await writeFile(join(data, "PG_VERSION"), "17\n")
      })
      const error = yield* Effect.flip(once(home, "SELECT 1"))
      assert.match(error.message, /was made by PostgreSQL 17 and this is PostgreSQL 18/)
    }))

  it.live("refuses a directory with somebody else's files and leaves them alone", () =>
    Effect.gen(function*() {
      const home = yield* temporaryDirectory
      yield* Effect.promise(() => writeFile(join(home, "thesis.txt"), "years of work"))
      const before = yield* Effect.promise(() => stat(home))
      const error = yield* Effect.flip(once(home, "SELECT 1"))
      assert.match(error.message, /is not empty \(it holds "thesis.txt"\)/)
      assert.strictEqual((yield* Effect.promise(() => stat(home))).uid, before.uid)
      assert.deepStrictEqual(readdirSync(home), ["thesis.txt"])
    }))

  it.live("I7 writes no statement and no row value into its log", () =>
    Effect.gen(function*() {
      const { home, log } = clusterPaths(join(yield* temporaryDirectory, "db"))
      yield* Effect.exit(once(home, "SELECT 'a row value'::int"))
      const written = yield* Effect.promise(() => readFile(log, "utf8"))
      assert.include(written, "database system is ready")
      assert.notInclude(written, "row value")
    }))

  it.live("shows the server's own words when it does not start", () =>
    Effect.gen(function*() {
      const { data, home } = clusterPaths(join(yield* temporaryDirectory, "db"))
      yield* once(home, "SELECT 1")
      yield* Effect.promise(() => writeFile(join(data, "postgresql.auto.conf"), "no_such_setting = 1\n"))
      const error = yield* Effect.flip(once(home, "SELECT 1"))
      assert.match(error.message, /unrecognized configuration parameter "no_such_setting"/)
    }))
})

describe("awaitPredecessor", () => {
  it.effect("gives a living server of the directory 15 s to stop", () =>
    Effect.gen(function*() {
      const data = yield* temporaryDirectory
      const holder = yield* Effect.acquireRelease(
        Effect.sync(() => spawn("sleep", ["60"], { cwd: data })),
        (child) => Effect.sync(() => void child.kill())
      )
      yield* Effect.promise(() => writeFile(join(data, "postmaster.pid"), `${holder.pid}\n`))
      const waiting = yield* Effect.forkChild(Effect.flip(awaitPredecessor(data)), { startImmediately: true })
      yield* TestClock.adjust("14 seconds")
      assert.isUndefined(waiting.pollUnsafe())
      yield* TestClock.adjust("1 second")
      assert.include((yield* Fiber.join(waiting)).message, `another process uses ${data}`)
      assert.isTrue(existsSync(join(data, "postmaster.pid")))
    }))

  it.effect("removes the pid file of a dead server", () =>
    Effect.gen(function*() {
      const data = yield* temporaryDirectory
      yield* Effect.promise(() => writeFile(join(data, "postmaster.pid"), `${DEAD_PID}\n`))
      yield* awaitPredecessor(data)
      assert.deepStrictEqual(readdirSync(data), [])
    }))
})

describe("nativeDirectory", () => {
  it.effect("names the package that is not installed and what to do about it", () =>
    Effect.gen(function*() {
      const other = process.platform === "darwin" ? "linux-arm64" : "darwin-arm64"
      const error = yield* Effect.flip(nativeDirectory(other))
      assert.include(error.message, `the package @embedded-postgres/${other} is not installed`)
      assert.include(error.message, "--include=optional")
      assert.include(error.message, "leave out the word demo and set DATABASE_URL")
    }))

  it.effect("says so when there is no server for the platform", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(nativeDirectory("sunos-x64"))
      assert.include(
        error.message,
        "no embedded server for sunos-x64; the demo runs on no other PostgreSQL, but a sync does"
      )
    }))
})
