import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { startAmpsync } from "../support/ampsyncProcess.ts"
import { differences } from "../support/compare.ts"
import { eventually } from "../support/eventually.ts"
import { holdLock } from "../support/holdLock.ts"
import { holdsCanonicalChain } from "../support/snapshots.ts"
import { makeWorld, type World } from "../support/world.ts"

const columns = ["_block_num", "block_num", "hash"]
const queries = { blocks: `SELECT ${columns.join(", ")} FROM anvil.blocks` }
/** More than are deleted in two steps. */
const FILLER = 120_000

/** Syncs the whole chain and stops. */
const syncOnce = Effect.fnUntraced(function*(world: World) {
  const sync = yield* startAmpsync(world.environment)
  yield* eventually(
    () => `the table holds the chain; the process printed:\n${sync.output()}`,
    holdsCanonicalChain(world, ["blocks"])
  )
  yield* sync.prints("Started reorg stream")
  yield* sync.kill("SIGTERM")
  assert.strictEqual((yield* sync.exited).code, 0)
}, Effect.scoped)

/** Makes rows of a long history quickly: a resync deletes them whatever their values are. */
const addFiller = ({ database }: World) =>
  database.query(
    `INSERT INTO blocks (_block_num, block_num, hash, _row_index)
     SELECT 1000 + n, 1000 + n, '', 0 FROM generate_series(1, ${FILLER}) n`
  )

const state = Effect.fnUntraced(function*({ database }: World) {
  const [row] = yield* database.query<{ watermark: string | null; history: string; left: string }>(
    `SELECT max_block_num AS watermark, (SELECT count(*) FROM _ampsync_watermarks) AS history,
       (SELECT count(*) FROM blocks) AS left FROM _ampsync_checkpoints WHERE table_name = 'blocks'`
  )
  return { watermark: row!.watermark, history: Number(row!.history), left: Number(row!.left) }
})

const resync = (world: World, ...args: ReadonlyArray<string>) =>
  startAmpsync(world.environment, ["resync", "--table", "blocks", ...args])

const isBlocked = (world: World) =>
  Effect.map(
    world.database.query(
      "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE $1",
      [`%${world.database.schema}%`]
    ),
    (rows) => rows.length > 0
  )

describe("resync", () => {
  it.live(
    "lets the next start sync a table from the first block, with the query as it is now",
    () =>
      Effect.gen(function*() {
        const world = yield* makeWorld({ dialect: "amp", blocks: 60, queries })
        yield* syncOnce(world)
        yield* addFiller(world)
        const run = yield* resync(world, "--yes")
        assert.strictEqual((yield* run.exited).code, 0, run.output())
        assert.match(run.output(), /watermark 59 and its history are forgotten/)
        assert.include(
          run.output(),
          `Table "blocks": ${FILLER + 60} rows deleted; the next start fills it from the first block.`
        )
        assert.deepStrictEqual(yield* state(world), { watermark: null, history: 0, left: 0 })
        const [row] = yield* world.database.query("SELECT rows, provisional_rows, writer FROM _ampsync_checkpoints")
        assert.deepStrictEqual(row, { rows: "0", provisional_rows: "0", writer: null })
        yield* syncOnce(world)
        assert.deepStrictEqual(yield* differences(world, "blocks", { columns }), [])
      }),
    60_000
  )

  it.live("I3 rejects a table that another process writes, and names the process", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ dialect: "amp", blocks: 20, queries })
      const sync = yield* startAmpsync(world.environment)
      yield* eventually("the table holds the chain", holdsCanonicalChain(world, ["blocks"]))
      const before = yield* state(world)
      const run = yield* resync(world, "--yes")
      assert.strictEqual((yield* run.exited).code, 1)
      assert.match(
        run.output(),
        new RegExp(`table "blocks" is being written by .* pid ${sync.pid} .*; stop that process first`)
      )
      assert.deepStrictEqual(yield* state(world), before)
      world.simulator.mine(1)
      yield* eventually("the sync continues", holdsCanonicalChain(world, ["blocks"]))
    }), 60_000)

  it.live(
    "changes nothing without a terminal to confirm on, and for a table that does not exist",
    () =>
      Effect.gen(function*() {
        const world = yield* makeWorld({ dialect: "amp", blocks: 20, queries })
        yield* syncOnce(world)
        const before = yield* state(world)
        const unasked = yield* resync(world)
        assert.strictEqual((yield* unasked.exited).code, 2)
        assert.include(unasked.output(), "pass --yes")
        const unknown = yield* startAmpsync(world.environment, ["resync", "--table", "nothing", "--yes"])
        assert.strictEqual((yield* unknown.exited).code, 2)
        assert.include(unknown.output(), "no checkpoint of a table \"nothing\"")
        assert.deepStrictEqual(yield* state(world), before)
      }),
    60_000
  )

  it.live("needs no config file, and no dataset in its place", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ dialect: "amp", blocks: 20, queries })
      yield* syncOnce(world)
      const { DATASET_MANIFEST: _, ...environment } = world.environment
      const wrong = [{}, { DATASET_MANIFEST: "/gone/dataset.ts" }, { DATASET: "Not A Name" }]
      for (const more of wrong) {
        const run = yield* startAmpsync({ ...environment, ...more }, ["resync", "--table", "blocks"])
        assert.strictEqual((yield* run.exited).code, 2)
        assert.include(run.output(), "no terminal to confirm on", "it came as far as the question")
      }
      const run = yield* startAmpsync(environment, ["resync", "--table", "blocks", "--yes"])
      assert.strictEqual((yield* run.exited).code, 0, run.output())
      assert.deepStrictEqual(yield* state(world), { watermark: null, history: 0, left: 0 })
      const lost = yield* startAmpsync({ AMP_FLIGHT_ADDR: "x" }, ["resync", "--table", "blocks", "--yes"])
      assert.strictEqual((yield* lost.exited).code, 2)
      assert.include(lost.output(), "DATABASE_URL is not set")
      assert.notMatch(lost.output(), /AMP_FLIGHT_ADDR|DATASET_MANIFEST/)
    }), 60_000)

  it.live(
    "rejects a table that the first ampsync filled, with what can be done instead",
    () =>
      Effect.gen(function*() {
        const world = yield* makeWorld({ dialect: "amp", blocks: 5, queries })
        const { query } = world.database
        yield* query(
          "CREATE TABLE _ampsync_checkpoints (table_name TEXT PRIMARY KEY, max_block_num BIGINT NOT NULL, updated_at TIMESTAMPTZ NOT NULL DEFAULT NOW())"
        )
        yield* query("INSERT INTO _ampsync_checkpoints (table_name, max_block_num) VALUES ('blocks', 12)")
        yield* query("CREATE TABLE blocks (block_num NUMERIC PRIMARY KEY)")
        const rejected = yield* resync(world, "--yes")
        assert.strictEqual((yield* rejected.exited).code, 2)
        assert.match(
          rejected.output(),
          /table "blocks" is rejected: .* an earlier ampsync.*DATABASE_SCHEMA.*or drop it/
        )
        yield* query("DROP TABLE blocks")
        const gone = yield* resync(world, "--yes")
        assert.strictEqual((yield* gone.exited).code, 2)
        assert.include(gone.output(), "table \"blocks\" is gone and needs no resync")
        yield* syncOnce(world)
        assert.deepStrictEqual(yield* differences(world, "blocks", { columns }), [])
      }),
    60_000
  )

  const stops = [
    {
      at: "before its first transaction",
      lock: "SELECT FROM _ampsync_checkpoints FOR UPDATE",
      left: FILLER + 60,
      forgotten: false
    },
    {
      at: "before it deletes",
      lock: "SELECT FROM blocks WHERE _block_num = 7 FOR UPDATE",
      left: FILLER + 60,
      forgotten: true
    },
    {
      at: "between two steps",
      lock: "SELECT FROM blocks WHERE _block_num = 90000 FOR UPDATE",
      left: FILLER + 60 - 50_000,
      forgotten: true
    }
  ]
  for (const { at, forgotten, left, lock } of stops) {
    // A killed process holds the table for six more seconds: one of each end is enough where they do not differ.
    for (const signal of at === "between two steps" ? ["SIGKILL", "SIGTERM"] as const : ["SIGKILL"] as const) {
      it.live(
        `I1 killed by ${signal} ${at}, it leaves a table that the next start makes right`,
        () =>
          Effect.gen(function*() {
            const world = yield* makeWorld({ dialect: "amp", blocks: 60, queries })
            yield* syncOnce(world)
            yield* addFiller(world)
            yield* Effect.scoped(Effect.gen(function*() {
              yield* holdLock(world.database, lock)
              const run = yield* resync(world, "--yes")
              yield* eventually("it waits for the lock", isBlocked(world))
              yield* run.kill(signal)
              const { code } = yield* run.exited
              // A script must not count it as done.
              assert.strictEqual(code, signal === "SIGTERM" ? 1 : null)
            }))
            const stopped = yield* state(world)
            assert.deepStrictEqual([stopped.watermark === null, stopped.history === 0, stopped.left], [
              forgotten,
              forgotten,
              left
            ])
            if (!forgotten) yield* world.database.query("DELETE FROM blocks WHERE _block_num > 1000")
            yield* syncOnce(world)
            assert.deepStrictEqual(yield* differences(world, "blocks", { columns }), [])
          }),
        60_000
      )
    }
  }
})
