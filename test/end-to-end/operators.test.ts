import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { writeFile } from "node:fs/promises"
import { createServer } from "node:net"
import { dirname, join } from "node:path"
import { startAmpsync } from "../support/ampsyncProcess.ts"
import { allDifferences } from "../support/compare.ts"
import { eventually } from "../support/eventually.ts"
import { holdLock } from "../support/holdLock.ts"
import { awaitCanonicalChain, awaitWatermark } from "../support/snapshots.ts"
import { temporaryDirectory } from "../support/temporaryDirectory.ts"
import { makeWorld, type World } from "../support/world.ts"

/** Locks, and a database that does not answer, last longer than this. */
const STOP_WITHIN_MILLIS = 20_000

const stopped = (process: Effect.Success<ReturnType<typeof startAmpsync>>, signal: NodeJS.Signals) =>
  Effect.gen(function*() {
    const began = Date.now()
    yield* process.kill(signal)
    const { code } = yield* process.exited
    assert.strictEqual(code, 0, process.output())
    assert.isBelow(Date.now() - began, STOP_WITHIN_MILLIS)
  })

describe("a stop", () => {
  it.live.each(["SIGTERM", "SIGINT", "SIGHUP"] as const)(
    "by %s in the middle of everything exits 0, and the next process takes over at once",
    (signal) =>
      Effect.gen(function*() {
        const world = yield* makeWorld({ dialect: "amp", blocks: 250, maxRangeBlocks: 30, maxBatchRows: 100 })
        const { faults } = world.simulator
        faults.delayMillis = 25
        const first = yield* startAmpsync(world.environment)
        yield* awaitWatermark(world, "logs", 59n)
        yield* stopped(first, signal)
        assert.include(first.output(), `Received ${signal}, shutting down gracefully...`)
        assert.include(first.output(), "Shutdown complete")
        // Nothing half-written: the table contains what its checkpoint records.
        const [row] = yield* world.database.query<Record<string, string>>(
          `SELECT rows, provisional_rows, writer, (SELECT count(*) FROM logs) AS counted,
           (SELECT count(*) FROM logs WHERE _block_num > max_block_num) AS above
         FROM _ampsync_checkpoints WHERE table_name = 'logs'`
        )
        assert.strictEqual(row?.["rows"], row?.["counted"])
        assert.strictEqual(row?.["provisional_rows"], row?.["above"])
        assert.isNull(row?.["writer"], "the right to write was given back")
        faults.clear()
        const second = yield* startAmpsync(world.environment)
        yield* second.prints("Started reorg stream for table: logs")
        assert.notInclude(second.output(), "Standing by")
        yield* awaitCanonicalChain(world)
        assert.deepStrictEqual(yield* allDifferences(world), [])
        yield* stopped(second, signal)
      }),
    180_000
  )

  it.live("I6 while the database does not answer exits 0 in time too", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ dialect: "amp", blocks: 20 })
      const process = yield* startAmpsync(world.environment)
      yield* awaitCanonicalChain(world)
      const lock = yield* holdLock(world.database, "LOCK TABLE logs")
      world.simulator.mine(5)
      yield* eventually("a COPY waits", isWaiting(world))
      yield* stopped(process, "SIGTERM")
      yield* lock.release
      // The session that waited is gone or rolled back: the next process is not blocked and duplicates nothing.
      yield* startAmpsync(world.environment)
      yield* awaitCanonicalChain(world)
      assert.deepStrictEqual(yield* allDifferences(world), [])
    }), 180_000)

  it.live("before anything could start exits 0 too", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ dialect: "amp", blocks: 5 })
      const port = yield* unusedPort
      const process = yield* startAmpsync({
        ...world.environment,
        DATABASE_URL: `postgresql://u:p@127.0.0.1:${port}/db`
      })
      yield* process.prints("Database connection failed: ")
      yield* stopped(process, "SIGINT")
    }), 180_000)
})

describe("a config file that is wrong", () => {
  it.live.each(
    [
      ["c.json", "{ \"name\": ", "not valid JSON"],
      ["c.ts", "export default { name: \"x\", tables: {} }", "tables"]
    ] as const
  )(
    "%s ends the start with exit code 2, also while the database is not there",
    ([name, content, reason]) =>
      Effect.gen(function*() {
        const world = yield* makeWorld({ dialect: "amp", blocks: 5 })
        const path = join(dirname(world.manifestPath), name)
        yield* Effect.promise(() => writeFile(path, content))
        const process = yield* startAmpsync({
          ...world.environment,
          DATASET_MANIFEST: path,
          DATABASE_URL: `postgresql://u:p@127.0.0.1:${yield* unusedPort}/db`
        })
        const { code } = yield* process.exited
        assert.strictEqual(code, 2, process.output())
        assert.include(process.output(), path)
        assert.include(process.output(), reason)
      }),
    60_000
  )
})

const isWaiting = ({ database }: World) =>
  Effect.map(
    database.query(
      "SELECT 1 FROM pg_locks l JOIN pg_class c ON c.oid = l.relation WHERE NOT l.granted AND c.relnamespace = $1::regnamespace",
      [
        database.schema
      ]
    ),
    (rows) => rows.length > 0
  )

const unusedPort = Effect.callback<number>((resume) => {
  const server = createServer()
  server.listen(0, "127.0.0.1", () => {
    const { port } = server.address() as { port: number }
    server.close(() => resume(Effect.succeed(port)))
  })
})

describe("a bad environment", () => {
  it.live(
    "I7 is reported with all problems at once, without a secret, and the exit code is 2",
    () =>
      Effect.gen(function*() {
        const process = yield* startAmpsync({
          DATASET_MANIFEST: "/nowhere/dataset.yaml",
          DATABASE_URL: "postgresql://user:s3cret-p4ss@host:99999/db",
          AMP_AUTH_TOKEN: "s3cret t0ken\u00e9",
          AMP_FLIGHT_ADDR: "ftp://nowhere",
          MAX_CONCURRENT_BATCHES: "0",
          GRPC_MAX_DECODE_MB: "many",
          RUST_LOG: "loud"
        })
        const { code } = yield* process.exited
        assert.strictEqual(code, 2)
        const output = process.output()
        for (
          const variable of [
            "DATASET_MANIFEST",
            "DATABASE_URL",
            "AMP_AUTH_TOKEN",
            "AMP_FLIGHT_ADDR",
            "MAX_CONCURRENT_BATCHES",
            "GRPC_MAX_DECODE_MB",
            "RUST_LOG"
          ]
        ) assert.include(output, variable)
        assert.notInclude(output, "s3cret")
        assert.notMatch(output, /\n\s+at /, "no stack trace")
      }),
    180_000
  )

  it.live(
    "a config file with an error ends with exit code 2 and a message that has its place",
    () =>
      Effect.gen(function*() {
        const { environment } = yield* makeWorld({ dialect: "amp", blocks: 5 })
        const path = join(yield* temporaryDirectory, "dataset.mjs")
        yield* Effect.promise(() =>
          writeFile(
            path,
            "export default { name: 'x', network: 'y', secret: 's3cret',\n tables: { blocks: { sq: 's3cret' } } }"
          )
        )
        const process = yield* startAmpsync({ ...environment, DATASET_MANIFEST: path })
        const { code } = yield* process.exited
        assert.strictEqual(code, 2, process.output())
        assert.match(process.output(), /dataset\.mjs[^]*blocks/)
        assert.notInclude(process.output(), "s3cret")
      }),
    180_000
  )
})

const without = (environment: Readonly<Record<string, string>>, name: string) =>
  Object.fromEntries(Object.entries(environment).filter(([key]) => key !== name))

describe("secrets", () => {
  it.live(
    "I7 with any characters in them work, in parts and from files, and are in no output at RUST_LOG=trace",
    () =>
      Effect.gen(function*() {
        const password = "p@ss/w:rd?#[]% 1'\"\\"
        const token = "t0ken-s3cret"
        const world = yield* makeWorld({ dialect: "amp", blocks: 30, token })
        const role = `role_${world.database.schema}`
        const { database } = world
        yield* Effect.acquireRelease(
          Effect.andThen(
            database.query(`CREATE ROLE ${role} LOGIN PASSWORD '${password.replaceAll("'", "''")}'`),
            database.query(`GRANT USAGE, CREATE ON SCHEMA ${database.schema} TO ${role}`)
          ),
          () => Effect.andThen(database.query(`DROP OWNED BY ${role} CASCADE`), database.query(`DROP ROLE ${role}`))
        )
        const { hostname, pathname, port } = new URL(database.url)
        const others = without(world.environment, "DATABASE_URL")
        const parts = {
          ...others,
          DATABASE_USER: role,
          DATABASE_NAME: pathname.slice(1),
          DATABASE_HOST: hostname,
          DATABASE_PORT: port,
          AMP_AUTH_TOKEN: token,
          RUST_LOG: "trace"
        }
        const first = yield* startAmpsync({ ...parts, DATABASE_PASSWORD: password })
        yield* awaitCanonicalChain(world)
        // Failures of the server, of the database and of the connection are where secrets leak.
        world.simulator.faults.cutAll()
        yield* database.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1", [role])
        world.simulator.mine(3)
        yield* awaitCanonicalChain(world)
        yield* stopped(first, "SIGTERM")

        const directory = yield* temporaryDirectory
        const [passwordFile, tokenFile] = [join(directory, "password"), join(directory, "token")]
        yield* Effect.promise(() =>
          Promise.all([writeFile(passwordFile, `${password}\n`), writeFile(tokenFile, `${token}\n`)])
        )
        const withoutToken = without(parts, "AMP_AUTH_TOKEN")
        const second = yield* startAmpsync({
          ...withoutToken,
          DATABASE_PASSWORD_FILE: passwordFile,
          AMP_AUTH_TOKEN_FILE: tokenFile
        })
        world.simulator.mine(3)
        yield* awaitCanonicalChain(world)
        assert.deepStrictEqual(yield* allDifferences(world), [])
        yield* stopped(second, "SIGTERM")

        const wrong = yield* startAmpsync({ ...parts, DATABASE_PASSWORD: `${password}-wrong` })
        assert.strictEqual((yield* wrong.exited).code, 1, wrong.output())
        assert.include(wrong.output(), "password authentication failed")

        const missing = yield* startAmpsync(parts)
        assert.strictEqual((yield* missing.exited).code, 1, missing.output())
        assert.include(missing.output(), "the server asks for a password and none is set; set DATABASE_PASSWORD")

        const unwelcome = yield* startAmpsync({ ...parts, DATABASE_PASSWORD: password, AMP_AUTH_TOKEN: "t0ken-wr0ng" })
        yield* unwelcome.prints(/parked.*UNAUTHENTICATED/)
        for (const { output } of [first, second, wrong, unwelcome]) {
          for (
            const secret of [
              password,
              encodeURIComponent(password),
              JSON.stringify(password).slice(1, -1),
              token,
              "t0ken-wr0ng"
            ]
          ) {
            assert.notInclude(output(), secret)
          }
          assert.isAbove(output().length, 50)
        }
      }),
    180_000
  )
})

describe("tables that exist already", () => {
  it.live(
    "a table of the same name that ampsync did not create is rejected and untouched; its siblings are synced",
    () =>
      Effect.gen(function*() {
        const world = yield* makeWorld({ dialect: "nozzle", blocks: 20 })
        const { database } = world
        yield* database.query("CREATE TABLE logs (_block_num bigint, block_num bigint, note text)")
        yield* database.query("INSERT INTO logs VALUES (1, 1, 'mine')")
        yield* database.query("CREATE VIEW transactions AS SELECT 1 AS one")
        const process = yield* startAmpsync(world.environment)
        yield* awaitCanonicalChain(world, ["blocks"])
        yield* process.prints(/Table 'logs' is parked.*did not create/)
        yield* process.prints(/Table 'transactions' is parked.*did not create/)
        assert.deepStrictEqual(yield* database.query("SELECT * FROM logs"), [{
          _block_num: "1",
          block_num: "1",
          note: "mine"
        }])
        assert.deepStrictEqual(yield* database.query("SELECT * FROM transactions"), [{ one: 1 }])
      }),
    180_000
  )

  it.live(
    "the bookkeeping of the first ampsync is extended and its tables are rejected; another schema starts empty",
    () =>
      Effect.gen(function*() {
        const world = yield* makeWorld({ dialect: "nozzle", blocks: 20 })
        const { database } = world
        yield* database.query(
          "CREATE TABLE _ampsync_checkpoints (table_name TEXT PRIMARY KEY, max_block_num BIGINT NOT NULL, updated_at TIMESTAMPTZ NOT NULL DEFAULT NOW())"
        )
        yield* database.query(
          "INSERT INTO _ampsync_checkpoints (table_name, max_block_num) VALUES ('logs', 12), ('other', 5)"
        )
        yield* database.query("CREATE TABLE logs (block_num NUMERIC PRIMARY KEY, data bytea)")
        yield* database.query("INSERT INTO logs SELECT n, 'x' FROM generate_series(0, 12) n")
        yield* Effect.scoped(Effect.gen(function*() {
          const process = yield* startAmpsync(world.environment)
          yield* awaitCanonicalChain(world, ["blocks", "transactions"])
          yield* process.prints(/Table 'logs' is parked.*earlier ampsync.*DATABASE_SCHEMA/)
          yield* stopped(process, "SIGTERM")
        }))
        const kept = yield* database.query(
          "SELECT (SELECT count(*) FROM logs) AS rows, max_block_num FROM _ampsync_checkpoints WHERE table_name IN ('logs', 'other') ORDER BY 2"
        )
        assert.deepStrictEqual(kept, [{ rows: "13", max_block_num: "5" }, { rows: "13", max_block_num: "12" }])
        const schema = `${database.schema}_new`
        yield* Effect.addFinalizer(() => database.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`))
        yield* startAmpsync({ ...world.environment, DATABASE_SCHEMA: schema })
        yield* eventually(
          "the new schema has all logs",
          Effect.gen(function*() {
            const present = yield* database.query(
              "SELECT 1 FROM pg_tables WHERE schemaname = $1 AND tablename = 'logs'",
              [schema]
            )
            if (present.length === 0) return false
            const [row] = yield* database.query<{ n: string }>(`SELECT count(*) AS n FROM ${schema}.logs`)
            return Number(row?.n) === world.simulator.chain.countRows("logs")
          })
        )
      }),
    180_000
  )
})
