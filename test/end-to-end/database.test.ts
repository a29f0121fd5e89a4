import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { writeFile } from "node:fs/promises"
import type { Dialect } from "../../src/simulator/tables.ts"
import { startAmpsync } from "../support/ampsyncProcess.ts"
import { allDifferences, assertAlwaysRight } from "../support/compare.ts"
import { eventually } from "../support/eventually.ts"
import { startProxy, throughProxy } from "../support/proxy.ts"
import { awaitCanonicalChain, awaitWatermark, watchSnapshots } from "../support/snapshots.ts"
import { allTables, makeWorld, manifestOf, type World } from "../support/world.ts"

const dialects: ReadonlyArray<Dialect> = ["amp", "nozzle"]

/** Holds every transaction that inserts into `table` for a moment between its rows and its end, until it is released. */
const linger = ({ database }: World, table: string) =>
  Effect.gen(function*() {
    yield* database.query(
      "CREATE FUNCTION linger() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.5); RETURN NULL; END'"
    )
    yield* database.query(`CREATE TRIGGER linger AFTER INSERT ON ${table} EXECUTE FUNCTION ${database.schema}.linger()`)
    return { release: database.query(`DROP TRIGGER linger ON ${table}`) }
  })

/** Ends the sessions that `linger` holds; returns how many there were. */
const killSessions = ({ database }: World) =>
  Effect.map(
    database.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
       WHERE application_name LIKE 'ampsync ________ %' AND wait_event = 'PgSleep' AND query LIKE '%' || $1 || '%'`,
      [database.schema]
    ),
    (rows) => rows.length
  )

describe.concurrent.each(dialects)("with a server of the %s dialect", (dialect) => {
  it.live(
    "I1 sessions that are terminated in the middle of chunks lose no row and duplicate none",
    () =>
      Effect.gen(function*() {
        const world = yield* makeWorld({ dialect, blocks: 200, maxRangeBlocks: 30, maxBatchRows: 400 })
        const snapshots = yield* watchSnapshots(world)
        const process = yield* startAmpsync(world.environment)
        yield* awaitWatermark(world, "logs", 59n)
        const lingering = yield* linger(world, "logs")
        let killed = 0
        yield* eventually(
          () => `three sessions are ended (${killed} so far)`,
          Effect.gen(function*() {
            killed += yield* killSessions(world)
            // Always something to insert.
            if (killed < 3) world.simulator.mine(1)
            return killed >= 3
          })
        )
        yield* lingering.release
        yield* awaitCanonicalChain(world, undefined, 60_000)
        world.simulator.mine(2)
        yield* awaitCanonicalChain(world)
        yield* assertAlwaysRight(world, snapshots)
        assert.notInclude(process.output(), "is parked")
      }),
    180_000
  )

  it.live(
    "I1 commits whose answer is lost are neither repeated nor lost",
    () =>
      Effect.gen(function*() {
        const world = yield* makeWorld({ dialect, blocks: 150, maxRangeBlocks: 15 })
        const proxy = yield* startProxy(Number(new URL(world.database.url).port))
        const process = yield* startAmpsync({
          ...world.environment,
          DATABASE_URL: throughProxy(world.database.url, proxy)
        })
        const snapshots = yield* watchSnapshots(world)
        yield* awaitWatermark(world, "logs", 29n)
        // The tag of a CommandComplete message, with the zero byte that ends it: no other bytes are equal.
        for (let round = 0; round < 3; round += 1) {
          proxy.cutOnReply("COMMIT\0", 2)
          world.simulator.mine(1)
          yield* eventually("commits were cut", Effect.sync(() => proxy.cuts() >= 2 * (round + 1)))
          world.simulator.reorg(2)
          yield* awaitCanonicalChain(world)
        }
        yield* assertAlwaysRight(world, snapshots)
        assert.include(process.output(), "Retrying stream")
        assert.notInclude(process.output(), "is parked")
      }),
    180_000
  )
})

describe("a database that goes away", () => {
  it.live("is waited for while it is down, and the sync continues by itself", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ dialect: "amp", blocks: 60 })
      const target = Number(new URL(world.database.url).port)
      const environment = yield* Effect.scoped(Effect.gen(function*() {
        const proxy = yield* startProxy(target)
        const environment = { ...world.environment, DATABASE_URL: throughProxy(world.database.url, proxy) }
        return { environment, port: proxy.port }
      }))
      const process = yield* startAmpsync(environment.environment)
      yield* process.prints("Database connection failed: ")
      yield* Effect.scoped(Effect.gen(function*() {
        yield* startProxy(target, environment.port)
        yield* awaitCanonicalChain(world)
      }))
      world.simulator.reorg(4)
      yield* process.prints("ECONNREFUSED")
      yield* process.prints(/attempt 2\/5/)
      yield* startProxy(target, environment.port)
      yield* awaitCanonicalChain(world)
      assert.deepStrictEqual(yield* allDifferences(world), [])
    }), 180_000)

  it.live(
    "a table that is dropped by hand is created again with its indexes, and synced from the first block",
    () =>
      Effect.gen(function*() {
        const world = yield* makeWorld({ dialect: "amp", blocks: 60, maxRangeBlocks: 20 })
        const config = manifestOf("amp", allTables, { logs: { indexes: [["block_hash"]] } })
        yield* Effect.promise(() => writeFile(world.manifestPath, JSON.stringify(config)))
        const process = yield* startAmpsync(world.environment)
        const indexed = eventually(
          () => `logs has its index:\n${process.output().slice(-2000)}`,
          Effect.map(
            world.database.query(
              "SELECT FROM pg_index WHERE indrelid = to_regclass($1) AND indisvalid AND NOT indisunique",
              [`"${world.database.schema}".logs`]
            ),
            (rows) => rows.length === 1
          )
        )
        yield* awaitCanonicalChain(world)
        yield* indexed
        yield* world.database.query("DROP TABLE logs")
        world.simulator.mine(1)
        yield* awaitCanonicalChain(world)
        yield* indexed
        assert.deepStrictEqual(yield* allDifferences(world), [])
        assert.include(process.output(), "starts from the first block")
      }),
    180_000
  )
})

describe("two processes on the same tables", () => {
  const writers = ({ database }: World) =>
    Effect.map(
      database.query<{ writer: string | null }>("SELECT DISTINCT writer FROM _ampsync_checkpoints ORDER BY 1"),
      (rows) => rows.map(({ writer }) => writer)
    )
  const isWrittenBy = (world: World, pid: number) =>
    Effect.map(writers(world), (found) => found.length === 1 && found[0]?.includes(` pid ${pid} `) === true)

  it.live(
    "I3 one writes and the other stands by; it takes over when the first is killed",
    () =>
      Effect.gen(function*() {
        const world = yield* makeWorld({ dialect: "amp", blocks: 80, maxRangeBlocks: 20 })
        const snapshots = yield* watchSnapshots(world)
        const first = yield* startAmpsync(world.environment)
        yield* awaitCanonicalChain(world)
        const second = yield* startAmpsync(world.environment)
        for (const table of ["blocks", "transactions", "logs"]) yield* second.prints(`Standing by for table '${table}'`)
        // However long it lasts, no other process takes over from a living writer.
        for (let i = 0; i < 8; i += 1) {
          world.simulator.mine(1)
          yield* Effect.sleep(400)
          assert.isTrue(yield* isWrittenBy(world, first.pid))
        }
        yield* awaitCanonicalChain(world)
        assert.notMatch(second.output(), /CRITICAL|Failed to create stream/, "standing by is no failure")
        yield* first.kill("SIGKILL")
        world.simulator.reorg(3)
        yield* awaitCanonicalChain(world)
        assert.isTrue(yield* isWrittenBy(world, second.pid))
        yield* assertAlwaysRight(world, snapshots)
      }),
    180_000
  )

  it.live(
    "I3 a process that was suspended in the middle of a chunk commits nothing when it resumes, and stands by",
    () =>
      Effect.gen(function*() {
        const world = yield* makeWorld({ dialect: "amp", blocks: 300, maxRangeBlocks: 1000, maxBatchRows: 100 })
        const snapshots = yield* watchSnapshots(world)
        world.simulator.faults.delayMillis = 40
        const first = yield* startAmpsync(world.environment)
        yield* eventually(
          "it is in the middle of a transaction",
          Effect.gen(function*() {
            yield* first.kill("SIGSTOP")
            const open = yield* world.database.query(
              "SELECT 1 FROM pg_stat_activity WHERE application_name LIKE 'ampsync ________ logs' AND backend_xid IS NOT NULL"
            )
            if (open.length > 0) return true
            yield* first.kill("SIGCONT")
            return false
          })
        )
        world.simulator.faults.delayMillis = 0
        const second = yield* startAmpsync(world.environment)
        yield* awaitCanonicalChain(world, undefined, 45_000)
        assert.isTrue(yield* isWrittenBy(world, second.pid))
        const epochs = world.database.query(
          "SELECT table_name, writer_epoch, commit_seq FROM _ampsync_checkpoints ORDER BY 1"
        )
        const before = yield* epochs
        yield* first.kill("SIGCONT")
        for (const table of ["blocks", "transactions", "logs"]) yield* first.prints(`Standing by for table '${table}'`)
        yield* Effect.sleep(2_500)
        assert.deepStrictEqual(yield* epochs, before, "the first process changed nothing")
        world.simulator.reorg(5)
        yield* awaitCanonicalChain(world)
        assert.isTrue(yield* isWrittenBy(world, second.pid))
        yield* assertAlwaysRight(world, snapshots)
      }),
    180_000
  )
})
