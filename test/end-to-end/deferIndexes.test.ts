import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { blockRangesIndex } from "../../src/domain/postgres/table/deferredIndexes.ts"
import type { Dialect } from "../../src/simulator/tables.ts"
import { startAmpsync } from "../support/ampsyncProcess.ts"
import { assertAlwaysRight } from "../support/compare.ts"
import { eventually } from "../support/eventually.ts"
import { holdLock, lockHolder } from "../support/holdLock.ts"
import { replaceConfig } from "../support/runningSync.ts"
import { awaitCanonicalChain, awaitWatermark, watchSnapshots } from "../support/snapshots.ts"
import { makeWorld, manifestOf, type World } from "../support/world.ts"

const queries = { blocks: "SELECT * FROM anvil.blocks" }

const stateOf = ({ database }: World, table: string) =>
  Effect.map(
    database.query<{ state: string; reason: string | null }>(
      "SELECT state, reason FROM _ampsync_progress WHERE table_name = $1",
      [table]
    ),
    ([row]) => row
  )

const awaitState = (world: World, table: string, state: string) =>
  eventually(`${table} is ${state}`, Effect.map(stateOf(world, table), (found) => found?.state === state))

/** The server process that has locked a table for a build; undefined where none has. */
const builderOf = ({ database }: World, table: string) => lockHolder(database, table, "ShareLock")

const buildBegins = (world: World, table: string) =>
  eventually(`the build of ${table} is at work`, Effect.map(builderOf(world, table), (pid) => pid !== undefined))

/** Indexes of a table: `p` is its primary key, `u` a unique one, `i` any other, `b` BRIN. */
const indexesOf = ({ database }: World, table: string) =>
  Effect.map(
    database.query<{ kind: string }>(
      `SELECT coalesce(con.contype::text, CASE WHEN m.amname = 'brin' THEN 'b' WHEN i.indisunique THEN 'x' ELSE 'i' END) AS kind
       FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am m ON m.oid = c.relam
         LEFT JOIN pg_constraint con ON con.conindid = i.indexrelid
       WHERE i.indrelid = to_regclass($1) ORDER BY 1`,
      [`"${database.schema}"."${table}"`]
    ),
    (found) => found.map(({ kind }) => kind).join(" ")
  )

describe.concurrent("a table with its indexes deferred", () => {
  it.live.each<Dialect>(["amp", "nozzle"])(
    "I1 is right through a reorg, a kill while its keys are being built, and afterwards: %s",
    (dialect) =>
      Effect.gen(function*() {
        const world = yield* makeWorld({ dialect, blocks: 260, maxBatchRows: 150 })
        const environment = { ...world.environment, DEFER_INDEXES: "always" }
        const snapshots = yield* watchSnapshots(world)
        world.simulator.faults.delayMillis = 40
        const first = yield* startAmpsync(environment)
        for (const table of ["blocks", "logs"]) {
          yield* eventually(`${table} is there`, Effect.map(indexesOf(world, table), (indexes) => indexes === "b"))
        }
        world.simulator.reorg(7)
        const other = yield* holdLock(world.database, "LOCK TABLE blocks, logs IN ROW EXCLUSIVE MODE")
        world.simulator.faults.clear()
        for (const table of ["blocks", "logs"]) yield* awaitState(world, table, "building indexes")
        world.simulator.mine(2)
        world.simulator.reorg(4)
        // A build that does not get its lock holds blocks up for two seconds at a time.
        yield* awaitCanonicalChain(world)
        yield* first.prints("the build of its indexes waits for the transaction of server process")
        yield* awaitState(world, "transactions", "caught up")
        assert.strictEqual(yield* indexesOf(world, "transactions"), "i p")
        // A build changes the rows of its tables in pg_class at its end, and waits for others who have.
        const open = yield* holdLock(world.database, "GRANT SELECT ON blocks, logs TO PUBLIC")
        yield* other.release
        for (const table of ["blocks", "logs"]) yield* buildBegins(world, table)
        yield* first.prints("building index blocks__block_num__row_index_key_")
        world.simulator.mine(1)
        yield* awaitCanonicalChain(world, ["transactions"])
        yield* awaitState(world, "blocks", "building indexes")
        assert.strictEqual(yield* indexesOf(world, "blocks"), "b")
        yield* first.kill("SIGKILL")
        yield* first.exited
        world.simulator.reorg(3)
        const second = yield* startAmpsync(environment)
        yield* second.prints("building index blocks__block_num__row_index_key_")
        yield* open.release
        for (const table of ["blocks", "logs"]) {
          yield* awaitState(world, table, "caught up")
          assert.strictEqual(yield* indexesOf(world, table), "i p")
        }
        world.simulator.mine(1)
        yield* awaitCanonicalChain(world)
        assert.match(second.output(), /Table 'blocks' has its primary key and its indexes now/)
        yield* second.kill("SIGTERM")
        assert.strictEqual((yield* second.exited).code, 0, second.output())
        yield* assertAlwaysRight(world, snapshots)
      }),
    60_000
  )

  it.live(
    "shows how far it is behind while its keys are built, and goes on building where its stream ends",
    () =>
      Effect.gen(function*() {
        const world = yield* makeWorld({ dialect: "amp", blocks: 60, queries })
        world.simulator.faults.delayMillis = 1_000
        const process = yield* startAmpsync({ ...world.environment, DEFER_INDEXES: "always" })
        yield* eventually("the table is there", Effect.map(indexesOf(world, "blocks"), (indexes) => indexes === "b"))
        const open = yield* holdLock(world.database, "GRANT SELECT ON blocks TO PUBLIC")
        world.simulator.faults.clear()
        yield* buildBegins(world, "blocks")
        const builder = yield* builderOf(world, "blocks")
        world.simulator.faults.endStreams()
        world.simulator.mine(21)
        const progress = Effect.map(
          world.database.query<{ state: string; lag: string }>(
            "SELECT state, lag_blocks AS lag FROM _ampsync_progress WHERE table_name = 'blocks'"
          ),
          ([row]) => row!
        )
        yield* process.prints("Stream ended")
        yield* eventually("its lag is shown", Effect.map(progress, ({ lag }) => Number(lag) >= 21))
        assert.strictEqual((yield* progress).state, "building indexes")
        assert.strictEqual(yield* builderOf(world, "blocks"), builder)
        yield* open.release
        yield* awaitState(world, "blocks", "caught up")
        yield* awaitCanonicalChain(world, ["blocks"])
        assert.strictEqual(yield* indexesOf(world, "blocks"), "i p")
      }),
    60_000
  )

  it.live("is one with 10,000 blocks to fill, and none with fewer", () =>
    Effect.gen(function*() {
      const transactionsAt = () => 0
      const long = yield* makeWorld({ dialect: "amp", blocks: 10_001, transactionsAt, queries, maxRangeBlocks: 5_000 })
      const short = yield* makeWorld({ dialect: "amp", blocks: 9_999, transactionsAt, queries, maxRangeBlocks: 5_000 })
      // The server has no dataset of this name, and the config names no network: only the stream does.
      const config = { ...manifestOf("amp", queries) as object, name: "of_nobody", network: undefined }
      for (const world of [long, short]) {
        yield* replaceConfig(world, config)
        const plan = yield* startAmpsync(world.environment, ["plan"])
        assert.strictEqual((yield* plan.exited).code, 3, plan.output())
        assert.strictEqual(plan.output().includes("USING brin"), world === long, plan.output())
      }
      const [one, other] = [yield* startAmpsync(long.environment), yield* startAmpsync(short.environment)]
      for (const world of [long, short]) yield* awaitWatermark(world, "blocks", 9_998n)
      yield* one.prints("Table 'blocks' has its primary key and its indexes now")
      yield* other.prints("Table 'blocks' has caught up")
      for (const world of [long, short]) {
        yield* awaitState(world, "blocks", "caught up")
        assert.strictEqual(yield* indexesOf(world, "blocks"), "i p")
      }
      assert.include(one.output(), "its primary key and its indexes are built once it has caught up")
      assert.notInclude(other.output(), "once it has caught up")
      // A second table has its keys from the start: their build would wait for readers.
      yield* holdLock(long.database, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT FROM pg_class LIMIT 1")
      const online = yield* startAmpsync(
        { ...long.environment, DEFER_INDEXES: "always" },
        ["resync", "--online", "--yes", "--table", "blocks"]
      )
      assert.strictEqual((yield* online.exited).code, 0, online.output())
      assert.strictEqual(yield* indexesOf(long, "blocks"), "i p")
    }), 60_000)

  it.live(
    "is parked where rows share the key that the config names, and goes on once it names another",
    () =>
      Effect.gen(function*() {
        const world = yield* makeWorld({ dialect: "amp", blocks: 30 })
        const config = (primaryKey: ReadonlyArray<string>) => ({
          ...manifestOf("amp", {}) as object,
          tables: { keyed: { sql: "SELECT block_num, tx_index, block_hash FROM anvil.logs", primaryKey } }
        })
        yield* replaceConfig(world, config(["block_hash"]))
        const process = yield* startAmpsync({ ...world.environment, DEFER_INDEXES: "always" })
        yield* process.prints("Table 'keyed' is parked")
        yield* awaitState(world, "keyed", "parked")
        assert.include(
          (yield* stateOf(world, "keyed"))?.reason,
          "its primary key (\"block_hash\") cannot be built, because rows have the same values in it"
        )
        yield* replaceConfig(world, config(["block_num", "_row_index"]))
        yield* awaitState(world, "keyed", "caught up")
        assert.strictEqual(yield* indexesOf(world, "keyed"), "p")
        assert.deepStrictEqual(
          yield* world.database.query("SELECT to_regclass($1) AS left", [blockRangesIndex("keyed")]),
          [{ left: null }]
        )
      }),
    60_000
  )
})
