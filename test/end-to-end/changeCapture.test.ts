/** A follower of the write-ahead log has every row that the tables have, through a backfill, a reorg and new columns. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { startAmpsync } from "../support/ampsyncProcess.ts"
import { addDatabase, startLogicalCluster } from "../support/cluster.ts"
import { differences } from "../support/compare.ts"
import { eventually } from "../support/eventually.ts"
import { holdLock } from "../support/holdLock.ts"
import { Copy, isFollowed, startFollowing } from "../support/logCopy.ts"
import { replaceConfig } from "../support/runningSync.ts"
import { awaitWatermark } from "../support/snapshots.ts"
import { allTables, makeWorld } from "../support/world.ts"

const PUBLICATION = "electric_publication_default"

describe.concurrent("with CDC_READY", () => {
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
    180_000
  )

  it.live(
    "a subscriber of PostgreSQL has every row through a backfill, a reorg, new columns and a new table",
    () =>
      Effect.gen(function*() {
        const cluster = yield* startLogicalCluster
        const { database } = cluster
        const subscriber = yield* addDatabase(cluster, "subscriber")
        // After an error it waits for five seconds otherwise.
        yield* database.query("ALTER SYSTEM SET wal_retrieve_retry_interval = '500ms'")
        yield* database.query("SELECT pg_reload_conf()")
        const few = "SELECT _block_num, block_num, hash FROM anvil.blocks"
        const logs = allTables["logs"]!
        const world = {
          ...yield* makeWorld({ dialect: "amp", blocks: 300, maxRangeBlocks: 50, queries: { blocks: few, logs } }),
          database
        }
        const environment = { ...world.environment, DATABASE_SCHEMA: database.schema }
        /** As docs/replication.md has it. */
        const makeTables = Effect.gen(function*() {
          const other = { DATABASE_URL: subscriber.url, CDC_READY: "off", DEFER_INDEXES: "off" }
          const planned = yield* startAmpsync({ ...environment, ...other }, ["plan", "--json"])
          assert.strictEqual((yield* planned.exited).code, 3, planned.output())
          const { bookkeeping, tables } = JSON.parse(planned.stdout()) as Plan
          for (const statement of [...bookkeeping, ...tables.flatMap(({ statements }) => statements)]) {
            yield* subscriber.query(statement)
          }
        })
        const arrives = Effect.fnUntraced(function*(block: bigint, ...tables: ReadonlyArray<string>) {
          for (const table of tables) yield* awaitWatermark(world, table, block)
          for (const table of [...tables, "_ampsync_checkpoints", "_ampsync_reorgs"]) {
            const rows = `SELECT to_jsonb(t)::text AS row FROM ${table} AS t ORDER BY 1`
            const both = Effect.all([subscriber.query(rows), database.query(rows)])
            yield* eventually(
              `the subscriber has what ${table} has`,
              Effect.map(both, ([copied, own]) => JSON.stringify(copied) === JSON.stringify(own))
            )
          }
        })

        yield* makeTables
        world.simulator.faults.delayMillis = 100
        const sync = yield* startAmpsync({ ...environment, DATABASE_URL: database.url, CDC_READY: "logical" })
        for (const table of ["blocks", "logs"]) yield* awaitWatermark(world, table, 0n)
        // On the server that it subscribes to, CREATE SUBSCRIPTION would wait for itself to make the slot.
        yield* database.query("SELECT pg_create_logical_replication_slot('subscriber', 'pgoutput')")
        yield* subscriber.query(
          `CREATE SUBSCRIPTION subscriber CONNECTION '${database.url}' PUBLICATION ampsync WITH (create_slot = false)`
        )
        yield* Effect.addFinalizer(() => subscriber.query("ALTER SUBSCRIPTION subscriber DISABLE"))
        world.simulator.faults.clear()
        yield* arrives(299n, "blocks", "logs")
        world.simulator.reorg(5)
        yield* arrives(300n, "blocks", "logs")
        const byKey = "SELECT FROM pg_stat_user_tables WHERE relname = 'blocks' AND n_tup_del = 5 AND idx_scan >= 5"
        yield* eventually("rows were deleted by key", Effect.map(subscriber.query(byKey), ({ length }) => length === 1))

        // A column or a table that the subscriber lacks stops it, until it is there.
        const isStopped = "SELECT FROM pg_replication_slots WHERE slot_name = 'subscriber' AND NOT active"
        const stops = eventually("it stops", Effect.map(database.query(isStopped), ({ length }) => length === 1))
        const blocks = "SELECT _block_num, block_num, hash, parent_hash, gas_used FROM anvil.blocks"
        yield* replaceConfig(world, { blocks, logs })
        yield* sync.prints("added columns parent_hash, gas_used")
        world.simulator.mine(1)
        yield* stops
        yield* subscriber.query("ALTER TABLE blocks ADD COLUMN parent_hash bytea, ADD COLUMN gas_used numeric(20)")
        yield* arrives(301n, "blocks", "logs")
        yield* replaceConfig(world, { blocks, logs, transactions: allTables["transactions"]! })
        yield* stops
        yield* makeTables
        yield* subscriber.query("ALTER SUBSCRIPTION subscriber REFRESH PUBLICATION")
        world.simulator.reorg(2)
        yield* arrives(302n, "blocks", "logs", "transactions")
        for (const table of ["logs", "transactions"] as const) {
          assert.deepStrictEqual(yield* differences({ ...world, database: subscriber }, table), [])
        }
      }),
    180_000
  )
})

interface Plan {
  readonly bookkeeping: ReadonlyArray<string>
  readonly tables: ReadonlyArray<{ readonly statements: ReadonlyArray<string> }>
}
