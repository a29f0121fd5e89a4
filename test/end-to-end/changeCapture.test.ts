/** A follower of the write-ahead log has every row that the tables have, through a backfill, a reorg and new columns. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { startAmpsync } from "../support/ampsyncProcess.ts"
import { startLogicalCluster } from "../support/cluster.ts"
import { differences } from "../support/compare.ts"
import { eventually } from "../support/eventually.ts"
import { holdLock } from "../support/holdLock.ts"
import { Copy, isFollowed, startFollowing } from "../support/logCopy.ts"
import { replaceConfig } from "../support/runningSync.ts"
import { awaitWatermark } from "../support/snapshots.ts"
import { allTables, makeWorld } from "../support/world.ts"

const PUBLICATION = "electric_publication_default"

describe("with CDC_READY", () => {
  it.live(
    "a follower has every row through a backfill, a reorg and new columns, and no TRUNCATE, and so has one that begins later",
    () =>
      Effect.gen(function*() {
        const { database } = yield* startLogicalCluster
        yield* database.query(`CREATE PUBLICATION ${PUBLICATION}`)
        const few = "SELECT _block_num, block_num, hash FROM anvil.blocks"
        const logs = "SELECT * FROM anvil.logs"
        const world = {
          ...yield* makeWorld({ dialect: "amp", blocks: 300, maxRangeBlocks: 50, queries: { blocks: few, logs } }),
          database
        }
        const allAreFollowed = (copy: Copy) => isFollowed(database, copy, ["blocks", "logs", "_ampsync_reorgs"])

        const first = new Copy()
        yield* startFollowing(database, PUBLICATION, "first", first)
        const slots = "SELECT FROM pg_replication_slots WHERE slot_name = 'first' AND active"
        yield* eventually("it follows", Effect.map(database.query(slots), ({ length }) => length === 1))
        const sync = yield* startAmpsync({
          ...world.environment,
          DATABASE_URL: database.url,
          DATABASE_SCHEMA: database.schema,
          CDC_READY: "electric"
        })
        for (const table of ["blocks", "logs"]) yield* awaitWatermark(world, table, 299n)
        yield* allAreFollowed(first)
        assert.notInclude(sync.output(), "cannot be followed")

        const later = new Copy()
        yield* Effect.scoped(
          Effect.andThen(startFollowing(database, PUBLICATION, "later", later), allAreFollowed(later))
        )
        world.simulator.reorg(5)
        for (const table of ["blocks", "logs"]) yield* awaitWatermark(world, table, 300n)
        yield* allAreFollowed(first)
        assert.isAbove(first.deletions, 5)
        // What it copied and what it missed.
        yield* startFollowing(database, PUBLICATION, "later", later)
        yield* allAreFollowed(later)
        assert.strictEqual(later.deletions, first.deletions)

        yield* replaceConfig(world, {
          blocks: "SELECT _block_num, block_num, hash, parent_hash, gas_used FROM anvil.blocks",
          logs
        })
        yield* sync.prints("added columns parent_hash, gas_used")
        world.simulator.mine(3)
        for (const table of ["blocks", "logs"]) yield* awaitWatermark(world, table, 303n)
        yield* allAreFollowed(first)
        assert.deepStrictEqual(yield* differences(world, "logs"), [])

        assert.deepStrictEqual([...first.problems, ...later.problems], [])
        // Each change of the columns makes a follower such as Electric read the table again.
        assert.lengthOf(first.shapes.get("blocks")!, 2)
        assert.lengthOf(first.shapes.get("logs")!, 1)
      }),
    90_000
  )

  it.live(
    "a follower has every row of a table that gets its keys late, through a reorg before it has them and one after",
    () =>
      Effect.gen(function*() {
        const { database } = yield* startLogicalCluster
        yield* database.query("CREATE PUBLICATION ampsync")
        const queries = { blocks: allTables["blocks"]! }
        const world = { ...yield* makeWorld({ dialect: "amp", blocks: 200, maxRangeBlocks: 50, queries }), database }
        const copy = new Copy()
        yield* startFollowing(database, "ampsync", "follower", copy)
        world.simulator.faults.delayMillis = 500
        const sync = yield* startAmpsync({
          ...world.environment,
          DATABASE_URL: database.url,
          DATABASE_SCHEMA: database.schema,
          CDC_READY: "logical",
          DEFER_INDEXES: "always"
        })
        const count = (catalog: string) => Effect.map(database.query(`SELECT FROM ${catalog}`), ({ length }) => length)
        const keys = count("pg_constraint WHERE conrelid = 'blocks'::regclass AND contype = 'p'")
        const isFollowedTo = (block: bigint) =>
          Effect.andThen(
            awaitWatermark(world, "blocks", block),
            isFollowed(database, copy, ["blocks", "_ampsync_checkpoints", "_ampsync_reorgs"])
          )
        const tables = count("pg_class WHERE oid = to_regclass('blocks')")
        yield* eventually("the table is there", Effect.map(tables, (found) => found === 1))
        const other = yield* holdLock(database, "LOCK TABLE blocks IN ROW EXCLUSIVE MODE")
        world.simulator.faults.clear()
        yield* sync.prints("the build of its indexes waits for the transaction of server process")
        world.simulator.reorg(4)
        yield* isFollowedTo(200n)
        assert.strictEqual(copy.deletions, 4)
        assert.strictEqual(yield* keys, 0)
        yield* other.release
        yield* sync.prints("Table 'blocks' has its primary key and its indexes now")
        assert.strictEqual(yield* keys, 1)
        world.simulator.reorg(3)
        yield* isFollowedTo(201n)
        assert.strictEqual(copy.deletions, 7)
        assert.deepStrictEqual(copy.problems, [])
        // The keys change nothing of what the log has of a row.
        assert.lengthOf(copy.shapes.get("blocks")!, 1)
        assert.deepStrictEqual(yield* differences(world, "blocks"), [])
      }),
    60_000
  )
})
