/** Partitioned tables of the real program: through borders between partitions, reorgs, crashes and operators. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { Dialect } from "../../src/simulator/tables.ts"
import { type AmpsyncProcess, startAmpsync } from "../support/ampsyncProcess.ts"
import { startLogicalCluster } from "../support/cluster.ts"
import { allDifferences, assertAlwaysRight, bookkeepingDifferences, differences } from "../support/compare.ts"
import { eventually } from "../support/eventually.ts"
import { holdLock } from "../support/holdLock.ts"
import { replaceConfig } from "../support/runningSync.ts"
import { awaitCanonicalChain, awaitWatermark, watchSnapshots } from "../support/snapshots.ts"
import { allTables, makeWorld, manifestOf, type World } from "../support/world.ts"

const settings = (blocks: number) => ({
  blocks: { partitionBy: { blocks }, primaryKey: ["hash", "_block_num"], indexes: [["miner"]] },
  transactions: { partitionBy: { blocks: blocks * 2 } },
  logs: { partitionBy: { blocks } }
})

const configured = (world: World, blocks: number) =>
  replaceConfig(world, manifestOf(world.simulator.dialect, allTables, settings(blocks)) as object)

/** Partitions of a table, by their bounds, and the rows of each. */
const partitionsOf = ({ database }: World, table = "blocks") =>
  Effect.map(
    database.query<{ name: string }>(
      `SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = $1::regclass
       ORDER BY substring(inhrelid::regclass::text FROM '_(\\d+)_')::bigint`,
      [table]
    ),
    (rows) => rows.map(({ name }) => name)
  )

const stopped = Effect.fnUntraced(function*(process: AmpsyncProcess) {
  yield* process.kill("SIGTERM")
  assert.strictEqual((yield* process.exited).code, 0, process.output())
})

/** Kills a process, which counts as dead at once. */
const killed = Effect.fnUntraced(function*({ database }: World, process: AmpsyncProcess) {
  yield* process.kill("SIGKILL")
  yield* process.exited
  yield* database.query("UPDATE _ampsync_writers SET heartbeat_at = heartbeat_at - interval '10 seconds'")
})

const run = Effect.fnUntraced(function*({ environment }: World, ...args: ReadonlyArray<string>) {
  const process = yield* startAmpsync(environment, args)
  const { code } = yield* process.exited
  return { code, output: process.output() }
}, Effect.scoped)

describe("partitioned tables", () => {
  it.live.each<Dialect>(["amp", "nozzle"])(
    "hold exactly the chain of a %s server at every time: filled, at borders, through reorgs across them and new starts",
    (dialect) =>
      Effect.gen(function*() {
        const world = yield* makeWorld({ dialect, blocks: 95, maxRangeBlocks: 13 })
        yield* configured(world, 20)
        const observation = yield* watchSnapshots(world, undefined, undefined, 150)
        const first = yield* startAmpsync(world.environment)
        yield* awaitCanonicalChain(world)
        yield* first.prints("Table 'blocks' has index")
        assert.deepStrictEqual((yield* partitionsOf(world)).length, 6, "one ahead")
        for (
          const change of [
            () => world.simulator.mine(8),
            () => world.simulator.reorg(6, 9),
            () => world.simulator.mine(25),
            () => world.simulator.reorg(30, 31)
          ]
        ) {
          change()
          yield* awaitCanonicalChain(world)
        }
        yield* stopped(first)
        world.simulator.mine(40)
        world.simulator.reorg(5, 6)
        // Another width, from now on.
        yield* configured(world, 33)
        const second = yield* startAmpsync(world.environment)
        yield* awaitCanonicalChain(world)
        world.simulator.mine(1)
        yield* awaitCanonicalChain(world)
        yield* assertAlwaysRight(world, observation)
        const names = yield* partitionsOf(world)
        assert.includeMembers(names, ["blocks_0_20", "blocks_140_160"])
        assert.match(names.at(-1)!, /^blocks_\d+_(198|231)$/)
        const plans = yield* world.database.query<{ invalid: number; parts: number }>(
          `SELECT count(*) FILTER (WHERE NOT indisvalid)::int AS invalid, count(*)::int AS parts FROM pg_index
           WHERE indrelid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = 'blocks'::regclass)`
        )
        assert.deepStrictEqual(plans, [{ invalid: 0, parts: names.length * 4 }])
        yield* stopped(second)
      })
  )

  it.live("I1 are right after SIGKILL in the middle of a backfill, and between the making of a partition and its rows", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ dialect: "amp", blocks: 78, maxRangeBlocks: 7 })
      const { query, schema } = world.database
      yield* configured(world, 20)
      const first = yield* startAmpsync(world.environment)
      yield* awaitWatermark(world, "blocks", 30n)
      yield* killed(world, first)
      const second = yield* startAmpsync(world.environment)
      yield* awaitCanonicalChain(world)
      const lock = yield* holdLock(world.database, "LOCK TABLE blocks_80_100, logs_80_100 IN SHARE MODE")
      world.simulator.mine(4)
      yield* eventually(
        "the next partition is there",
        Effect.map(partitionsOf(world), (names) => names.includes("blocks_100_120"))
      )
      const waiting = `FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%"${schema}"%'`
      yield* eventually("the rows wait", Effect.map(query(`SELECT ${waiting}`), (rows) => rows.length > 0))
      yield* killed(world, second)
      // All of the transaction may be on its way to the server.
      yield* query(`SELECT pg_terminate_backend(pid) ${waiting}`)
      yield* lock.release
      assert.deepStrictEqual(yield* query("SELECT count(*)::int AS above FROM blocks WHERE _block_num >= 80"), [
        { above: 0 }
      ])
      yield* startAmpsync(world.environment)
      yield* awaitCanonicalChain(world)
      assert.deepStrictEqual(yield* allDifferences(world), [])
    }))

  it.live(
    "go on when old partitions are dropped, which verify reports, and have them again after a resync of either kind",
    () =>
      Effect.gen(function*() {
        const world = yield* makeWorld({ dialect: "amp", blocks: 75 })
        yield* configured(world, 20)
        const sync = yield* startAmpsync(world.environment)
        yield* awaitCanonicalChain(world)
        const { query } = world.database
        yield* query("DROP TABLE blocks_0_20")
        yield* query("ALTER TABLE blocks DETACH PARTITION blocks_20_40")
        world.simulator.mine(10)
        yield* awaitWatermark(world, "blocks", 84n)
        world.simulator.reorg(3, 4)
        yield* awaitWatermark(world, "blocks", 85n)
        const where = ({ _block_num: block }: Readonly<Record<string, unknown>>) => Number(block) >= 40
        assert.deepStrictEqual(yield* differences(world, "blocks", { where }), [])
        assert.notInclude(sync.output(), "is parked")
        const rest = yield* run(world, "verify", "--table", "blocks", "--from", "40")
        assert.strictEqual(rest.code, 4, rest.output)
        assert.include(rest.output, "46 rows of blocks 40 to 85 are as the server sends them.")
        assert.match(rest.output, /Note: the table has 46 rows, and the counter "rows" is 86/)
        // A partition that was detached has its name still.
        yield* query("ALTER TABLE blocks_20_40 RENAME TO archived")
        yield* query("UPDATE blocks SET gas_used = gas_used + 1 WHERE _block_num = 50")
        const online = yield* run(world, "resync", "--online", "--yes", "--table", "blocks")
        assert.strictEqual(online.code, 0, online.output)
        yield* awaitCanonicalChain(world)
        assert.includeMembers(yield* partitionsOf(world), ["blocks_0_20", "blocks_20_40"])
        assert.deepStrictEqual(yield* differences(world, "blocks"), [])
        assert.deepStrictEqual(yield* bookkeepingDifferences(world, "blocks"), [])
        yield* stopped(sync)
        yield* query("DROP TABLE blocks_40_60")
        const offline = yield* run(world, "resync", "--yes", "--table", "blocks")
        assert.strictEqual(offline.code, 0, offline.output)
        yield* startAmpsync(world.environment)
        yield* awaitCanonicalChain(world)
        assert.deepStrictEqual(yield* allDifferences(world), [])
      })
  )

  it.live("with CDC_READY reach followers as one table, rewinds with all columns, from the first row of each partition on", () =>
    Effect.gen(function*() {
      const cluster = yield* startLogicalCluster
      const base = yield* makeWorld({ dialect: "amp", blocks: 15, queries: { blocks: allTables["blocks"]! } })
      const { database } = cluster
      const environment = { ...base.environment, DATABASE_URL: database.url, DATABASE_SCHEMA: database.schema }
      const world = { ...base, database, environment: { ...environment, CDC_READY: "logical" } }
      yield* replaceConfig(
        world,
        manifestOf("amp", { blocks: allTables["blocks"]! }, { blocks: { partitionBy: { blocks: 10 } } }) as object
      )
      const { query } = database
      yield* query("CREATE PUBLICATION ampsync WITH (publish_via_partition_root = true); CREATE PUBLICATION parts")
      yield* query(
        "SELECT pg_create_logical_replication_slot(name, 'pgoutput') FROM unnest('{one,parts}'::text[]) AS name"
      )
      yield* startAmpsync(world.environment)
      yield* awaitWatermark(world, "blocks", 14n)
      yield* query("ALTER PUBLICATION parts ADD TABLE blocks")
      world.simulator.mine(10)
      yield* awaitWatermark(world, "blocks", 24n)
      world.simulator.reorg(7, 9)
      yield* awaitWatermark(world, "blocks", 26n)
      assert.deepStrictEqual(yield* followed(world, "one", "ampsync"), { "f blocks": { added: 34, removed: 7 } })
      const parts = yield* followed(world, "parts", "parts")
      assert.deepStrictEqual(parts, {
        "f blocks_10_20": { added: 7, removed: 2 },
        "f blocks_20_30": { added: 12, removed: 5 }
      })
    }))
})

/** Rows that the log has added and removed since the last time, by replica identity and name of their table. */
const followed = Effect.fnUntraced(function*({ database }: World, slot: string, publication: string) {
  const messages = yield* database.query<{ data: Buffer }>(
    `SELECT data FROM pg_logical_slot_get_binary_changes($1, NULL, NULL, 'proto_version', '1', 'publication_names', $2)`,
    [slot, publication]
  )
  const names = new Map<number, string>()
  const counts: Record<string, { added: number; removed: number }> = {}
  for (const { data } of messages) {
    // Source: PostgreSQL, doc "Logical Replication Message Formats".
    const kind = String.fromCharCode(data[0]!)
    if (kind === "R") {
      const [, name = ""] = data.subarray(5).toString("latin1").split("\0")
      const identity = String.fromCharCode(data[data.indexOf(0, data.indexOf(0, 5) + 1) + 1]!)
      if (name.startsWith("blocks")) names.set(data.readUInt32BE(1), `${identity} ${name}`)
    }
    const name = "ID".includes(kind) ? names.get(data.readUInt32BE(1)) : undefined
    if (name === undefined) continue
    const count = counts[name] ??= { added: 0, removed: 0 }
    if (kind === "I") count.added += 1
    // An old row with all of its columns, not a key.
    else if (String.fromCharCode(data[5]!) === "O") count.removed += 1
  }
  return counts
})
