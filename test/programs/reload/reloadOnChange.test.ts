import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
import { rm } from "node:fs/promises"
import type { Dialect } from "../../../src/simulator/tables.ts"
import { allDifferences, differences } from "../../support/compare.ts"
import { eventually } from "../../support/eventually.ts"
import { startProxy, throughProxy } from "../../support/proxy.ts"
import {
  assertSameStreams,
  awaitAllRows,
  mineAndAwait,
  replaceConfig,
  rowsOf,
  startSync,
  streamsOpened,
  writerEpochs
} from "../../support/runningSync.ts"
import { watchSnapshots } from "../../support/snapshots.ts"
import { allTables, makeWorld, manifestOf, type World } from "../../support/world.ts"

const LOADED = "Successfully loaded new manifest: example v0.1.0"
const CHANGED = "Manifest file changed, initiating hot-reload..."
const KEEPING = "Keeping previous configuration active"
/** COMMITs of rows of `table` are not answered until they are released. */
const holdCommits = Effect.fnUntraced(function*({ database }: World, table: string) {
  const { schema } = database
  for (
    const statement of [
      "CREATE TABLE held ()",
      "INSERT INTO held DEFAULT VALUES",
      `CREATE FUNCTION hold_commit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
         IF EXISTS (SELECT FROM ${schema}.held) THEN PERFORM pg_sleep(60); END IF;
         RETURN NULL;
       END $$`,
      `CREATE CONSTRAINT TRIGGER hold AFTER INSERT ON ${table} DEFERRABLE INITIALLY DEFERRED
         FOR EACH ROW EXECUTE FUNCTION hold_commit()`
    ]
  ) yield* database.query(statement)
  return {
    // The trigger is deferred, so it sleeps in a COMMIT; PostgreSQL shows the beginning of the text only.
    isUnderWay: Effect.map(
      database.query("SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND strpos(query, $1) > 0", [schema]),
      (rows) => rows.length > 0
    ),
    release: Effect.asVoid(database.query("DELETE FROM held"))
  }
})

const blocks = "SELECT _block_num, block_num, hash FROM anvil.blocks"
const two = { blocks, logs: "SELECT * FROM anvil.logs" }

describe("hot reload", () => {
  it.live(
    "I5 a rejected edit leaves every stream as it was and its reason is logged; correcting it is enough",
    () =>
      Effect.gen(function*() {
        const world = yield* makeWorld({ dialect: "amp", blocks: 40, queries: two })
        const sync = yield* startSync(world.environment)
        yield* sync.logs(`File watcher initialized for '${world.manifestPath}'`)
        yield* awaitAllRows(world, "logs")
        const before = yield* writerEpochs(world)
        const manifest = manifestOf("amp", two) as Record<string, object>
        const edits: ReadonlyArray<readonly [name: string, config: string | object, reason: string]> = [
          ["syntax", "{ \"name\": ", "not valid JSON"],
          ["schema", { ...manifest, tables: { ...manifest["tables"], more: {} } }, "tables.more.sql: is missing"],
          ["no table", { ...manifest, tables: {} }, "tables"],
          ["unknown table", { ...two, more: "SELECT * FROM anvil.nothing" }, "more"],
          ["not streamable", { ...two, blocks: `${blocks} LIMIT 3` }, "LIMIT"],
          ["dropped column", { ...two, blocks: "SELECT _block_num, hash FROM anvil.blocks" }, "block_num"],
          [
            "another type",
            { ...two, blocks: "SELECT _block_num, block_num, number AS hash FROM anvil.blocks" },
            "hash"
          ],
          ["foreign table", { ...two, _ampsync_checkpoints: blocks }, "_ampsync"],
          ["unknown dataset", { ...manifest, name: "nobody" }, "nobody"]
        ]
        for (const [name, config, reason] of edits) {
          const from = sync.lines.length
          yield* replaceConfig(world, config)
          yield* sync.logs(KEEPING, from)
          const logged = sync.lines.slice(from)
          assert.include(logged, CHANGED, name)
          assert.isTrue(
            logged.some((line) => line.startsWith("Failed to reload manifest: ") && line.includes(reason)),
            `${name}: ${logged.join("\n")}`
          )
          const { outcome, reason: recorded } = (yield* sync.status.reload)!
          assert.strictEqual(outcome, "failed", name)
          assert.include(recorded, reason)
          yield* mineAndAwait(world, ["logs", "blocks"])
          yield* assertSameStreams(world, before, ["blocks", "logs"])
          // The check of a changed query opens a stream of its own for a moment.
          yield* eventually(
            `${name}: only the streams of the tables are open`,
            Effect.sync(() => world.simulator.faults.openStreams === 2)
          )
        }
        const from = sync.lines.length
        yield* replaceConfig(world, { ...two, transactions: "SELECT * FROM anvil.transactions" })
        yield* sync.logs(LOADED, from)
        yield* awaitAllRows(world, "transactions")
        yield* assertSameStreams(world, before, ["blocks", "logs"])
        assert.deepInclude(yield* sync.status.reload, {
          outcome: "applied",
          reason: undefined,
          applied: 1,
          failed: edits.length
        })
      }),
    120_000
  )

  it.live("I5 a file that is gone changes nothing, and its return neither", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ dialect: "amp", blocks: 20, queries: two })
      const sync = yield* startSync(world.environment)
      yield* awaitAllRows(world, "logs")
      const before = yield* writerEpochs(world)
      yield* Effect.promise(() => rm(world.manifestPath))
      yield* sync.logs("the file does not exist")
      yield* mineAndAwait(world, ["logs"])
      yield* replaceConfig(world, two)
      yield* sync.logs(LOADED)
      yield* mineAndAwait(world, ["logs"])
      yield* assertSameStreams(world, before, ["blocks", "logs"])
      assert.strictEqual(sync.lines.filter((line) => line.includes("does not exist")).length, 1)
    }))

  it.live(
    "does not interrupt an unchanged table, resumes a changed one from its checkpoint, starts new ones and stops others",
    () =>
      Effect.gen(function*() {
        // One endless range: rows above the watermark are there when their table is taken out.
        const world = yield* makeWorld({
          dialect: "nozzle",
          blocks: 60,
          maxRangeBlocks: 50,
          queries: {
            ...two,
            transactions: "SELECT * FROM anvil.transactions"
          }
        })
        const sync = yield* startSync(world.environment)
        yield* awaitAllRows(world, "transactions")
        yield* awaitAllRows(world, "blocks")
        yield* awaitAllRows(world, "logs")
        const before = yield* writerEpochs(world)
        // The tip of a nozzle chain is provisional until its successor comes.
        const [checkpoint] = yield* world.database.query<{ max_block_num: string; provisional_rows: string }>(
          "SELECT max_block_num, provisional_rows FROM _ampsync_checkpoints WHERE table_name = 'transactions'"
        )
        assert.isAbove(Number(checkpoint?.provisional_rows), 0)
        const wider = "SELECT _block_num, block_num, hash, parent_hash FROM anvil.blocks"
        yield* replaceConfig(world, {
          blocks: wider,
          logs: "select *   -- the same query\nFROM anvil.logs",
          more: "SELECT * FROM anvil.transactions"
        })
        yield* sync.logs(LOADED)
        yield* awaitAllRows(world, "transactions", "more")
        yield* mineAndAwait(world, ["blocks", "logs"])

        yield* assertSameStreams(world, before, ["logs"])
        assert.strictEqual(streamsOpened(world, "logs"), 1)
        assert.strictEqual((yield* writerEpochs(world))["blocks"], before["blocks"]! + 1)
        const holes = yield* world.database.query("SELECT 1 FROM blocks WHERE parent_hash IS NULL")
        const filled = yield* world.database.query("SELECT 1 FROM blocks WHERE parent_hash IS NOT NULL")
        assert.isAbove(holes.length, 0, "rows of earlier blocks stay as the earlier query made them")
        assert.isAbove(filled.length, 0)
        yield* sync.logs("were made by the earlier one")
        yield* sync.logs("node dist/main.js resync --table blocks")

        const [after] = yield* world.database.query<Record<string, unknown>>(
          "SELECT max_block_num, provisional_rows, writer FROM _ampsync_checkpoints WHERE table_name = 'transactions'"
        )
        assert.deepStrictEqual(after, { max_block_num: checkpoint!.max_block_num, provisional_rows: "0", writer: null })
        const beyond = yield* world.database.query("SELECT 1 FROM transactions WHERE _block_num > $1", [
          checkpoint!.max_block_num
        ])
        assert.lengthOf(beyond, 0)
        assert.isAbove((yield* rowsOf(world, "transactions")) ?? 0, 0)
        assert.isFalse((yield* sync.status.get).has("transactions"))
        assert.lengthOf(
          sync.lines.filter((line) => line.includes("Table 'transactions' is no longer in the config")),
          1
        )

        // It comes back, and has missed nothing.
        yield* replaceConfig(world, { ...two, blocks: wider, transactions: "SELECT * FROM anvil.transactions" })
        yield* awaitAllRows(world, "transactions")
        assert.deepStrictEqual(yield* differences(world, "transactions"), [])
      }),
    60_000
  )

  it.live("I5 a change that meets a server that is down waits for it, and every table stays synced meanwhile", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ dialect: "amp", blocks: 20, queries: two })
      const sync = yield* startSync(world.environment)
      yield* awaitAllRows(world, "logs")
      const before = yield* writerEpochs(world)
      // Its messages differ from time to time.
      for (const status of [503, 502, 500]) world.simulator.faults.failAdmin(status)
      yield* replaceConfig(world, { ...two, transactions: "SELECT * FROM anvil.transactions" })
      yield* sync.logs(`${KEEPING}; trying the new one again`)
      yield* mineAndAwait(world, ["logs"])
      yield* sync.logs(LOADED)
      yield* awaitAllRows(world, "transactions")
      yield* assertSameStreams(world, before, ["blocks", "logs"])
      assert.lengthOf(sync.lines.filter((line) => line.startsWith("Failed to reload")), 1, "it is logged once")
    }))

  it.live("I5 a config that is no good does not take the place of the first one, which still waits for its server", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ dialect: "amp", blocks: 20, queries: two })
      world.simulator.faults.failAdmin(503, 1000)
      const sync = yield* startSync(world.environment)
      yield* sync.logs("; trying again")
      yield* replaceConfig(world, "{ broken")
      yield* sync.logs(KEEPING)
      world.simulator.faults.clear()
      yield* awaitAllRows(world, "logs")
      yield* replaceConfig(world, { ...two, transactions: "SELECT * FROM anvil.transactions" })
      yield* sync.logs(LOADED)
      yield* awaitAllRows(world, "transactions")
    }))

  it.live.each<Dialect>(["amp", "nozzle"])(
    "I5 a query that a server of the %s dialect plans but cannot stream changes nothing",
    (dialect) =>
      Effect.gen(function*() {
        const world = yield* makeWorld({ dialect, blocks: 20, queries: two })
        const sync = yield* startSync(world.environment)
        yield* awaitAllRows(world, "blocks")
        yield* awaitAllRows(world, "logs")
        const before = yield* writerEpochs(world)
        const edits = [
          { ...two, blocks: "SELECT DISTINCT _block_num, block_num, hash FROM anvil.blocks" },
          { ...two, counted: "SELECT count(*) AS n FROM anvil.logs" }
        ]
        for (const queries of edits) {
          const from = sync.lines.length
          yield* replaceConfig(world, queries)
          yield* sync.logs(KEEPING, from)
          assert.match(sync.lines.slice(from).join("\n"), /Failed to reload manifest: .*non-incremental/)
        }
        yield* mineAndAwait(world, ["blocks", "logs"])
        yield* assertSameStreams(world, before, ["blocks", "logs"])
        assert.isUndefined(yield* rowsOf(world, "counted"))
        yield* eventually(
          "only the streams of the tables are open",
          Effect.sync(() => world.simulator.faults.openStreams === 2)
        )
      })
  )

  it.live(
    "I5 a change that meets a database that is down is taken when it is back, and what it owes is done then",
    () =>
      Effect.gen(function*() {
        const everything = { ...two, transactions: "SELECT * FROM anvil.transactions" }
        const world = yield* makeWorld({ dialect: "nozzle", blocks: 40, maxRangeBlocks: 30, queries: everything })
        const real = Number(new URL(world.database.url).port)
        const up = yield* Scope.make()
        const proxy = yield* Scope.provide(startProxy(real), up)
        const url = throughProxy(world.database.url, proxy)
        const sync = yield* startSync({ ...world.environment, DATABASE_URL: url })
        for (const table of ["blocks", "logs", "transactions"] as const) yield* awaitAllRows(world, table)
        yield* Scope.close(up, Exit.void)
        world.simulator.reorg(2, 4)
        yield* replaceConfig(world, two)
        yield* sync.logs("Table 'transactions' is no longer in the config")
        const from = sync.lines.length
        yield* replaceConfig(world, { ...two, more: "SELECT * FROM anvil.blocks" })
        yield* sync.logs(`${KEEPING}; trying the new one again`, from)
        yield* Effect.acquireRelease(Scope.make(), (scope) => Scope.close(scope, Exit.void)).pipe(
          Effect.flatMap((scope) => Scope.provide(startProxy(real, proxy.port), scope))
        )
        yield* sync.logs(LOADED, from)
        yield* awaitAllRows(world, "blocks", "more")
        for (const table of ["blocks", "logs"] as const) yield* awaitAllRows(world, table)
        assert.deepStrictEqual(yield* differences(world, "logs"), [])
        yield* eventually(
          "the provisional rows of the table that is gone are gone",
          Effect.map(
            world.database.query(
              "SELECT 1 FROM transactions WHERE _block_num > " +
                "(SELECT max_block_num FROM _ampsync_checkpoints WHERE table_name = 'transactions')"
            ),
            (rows) => rows.length === 0
          )
        )
      }),
    60_000
  )

  it.live("a change of mind ends the wait for a server that is down", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ dialect: "amp", blocks: 20, queries: two })
      const sync = yield* startSync(world.environment)
      yield* awaitAllRows(world, "logs")
      const before = yield* writerEpochs(world)
      world.simulator.faults.failAdmin(503, 4)
      yield* replaceConfig(world, { ...two, transactions: "SELECT * FROM anvil.transactions" })
      yield* sync.logs(`${KEEPING}; trying the new one again`)
      yield* replaceConfig(world, two)
      yield* sync.logs(LOADED)
      yield* assertSameStreams(world, before, ["blocks", "logs"])
      assert.isFalse((yield* sync.status.get).has("transactions"))
    }))

  it.live("tries a parked table again with every change of the config, and a changed one with its own", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ dialect: "amp", blocks: 20, queries: two })
      yield* world.database.query("CREATE TABLE blocks (mine int)")
      const sync = yield* startSync(world.environment)
      yield* sync.logs("Table 'blocks' is parked")
      yield* awaitAllRows(world, "logs")
      const { logs } = yield* writerEpochs(world)
      yield* world.database.query("DROP TABLE blocks")
      yield* replaceConfig(world, { ...two, transactions: "SELECT * FROM anvil.transactions" })
      yield* awaitAllRows(world, "blocks")
      assert.strictEqual((yield* writerEpochs(world))["logs"], logs)
      assert.include(sync.lines, "Tables: 1 unchanged, 1 started, 1 retried")
    }))

  it.live("a first config that waits for its server gives way to the next, and leaves nothing behind", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ dialect: "amp", blocks: 20, queries: two })
      yield* replaceConfig(world, { more: "SELECT * FROM anvil.blocks" })
      world.simulator.faults.failAdmin(503, 1000)
      const sync = yield* startSync(world.environment)
      yield* sync.logs("; trying again")
      assert.deepStrictEqual([...(yield* sync.status.get).keys()], ["more"])
      yield* replaceConfig(world, two)
      yield* sync.logs(CHANGED)
      world.simulator.faults.clear()
      yield* awaitAllRows(world, "logs")
      assert.deepStrictEqual([...(yield* sync.status.get).keys()], ["blocks", "logs"])
    }))

  it.live("waits with its first config for a server that is down; one that refuses access parks every table", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ dialect: "amp", blocks: 20, queries: two })
      const { faults } = world.simulator
      faults.failAdmin(503, 2)
      const first = yield* startSync(world.environment)
      yield* first.logs("; trying again")
      yield* awaitAllRows(world, "logs")
      yield* first.stop
      faults.failAdmin(401, 9)
      const sync = yield* startSync(world.environment)
      yield* sync.logs("Table 'blocks' is parked until the config changes")
      const phases = Effect.map(sync.status.get, (all) => [...all.values()].map(({ phase, table }) => [table, phase]))
      assert.deepStrictEqual(yield* phases, [["blocks", "parked"], ["logs", "parked"]])
      faults.clear()
      yield* replaceConfig(world, { ...two, transactions: "SELECT * FROM anvil.transactions" })
      yield* mineAndAwait(world, ["blocks", "logs", "transactions"])
    }))

  it.live("a parked table that goes from the config is not touched, and neither is what stands under its name", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ dialect: "amp", blocks: 20, queries: two })
      yield* world.database.query("CREATE TABLE blocks (_block_num int); INSERT INTO blocks VALUES (1000)")
      const sync = yield* startSync(world.environment)
      yield* sync.logs("Table 'blocks' is parked")
      yield* replaceConfig(world, { logs: two.logs })
      yield* sync.logs("Table 'blocks' keeps its provisional rows")
      assert.strictEqual(yield* rowsOf(world, "blocks"), 1)
      yield* mineAndAwait(world, ["logs"])
    }))

  it.live("I3 a table that cannot end at once is waited for before it starts again", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ dialect: "amp", blocks: 20, queries: two })
      const sync = yield* startSync(world.environment)
      yield* awaitAllRows(world, "logs")
      const hold = yield* holdCommits(world, "logs")
      world.simulator.mine(5)
      yield* eventually("a commit is under way", hold.isUnderWay)
      const from = sync.lines.length
      yield* replaceConfig(world, { ...two, logs: "SELECT * FROM anvil.logs WHERE block_num >= 0" })
      yield* sync.logs(LOADED, from)
      const at = (text: string) =>
        sync.times[sync.lines.findIndex((line, index) => index >= from && line.includes(text))]!
      // What a transaction in flight is granted.
      assert.isAbove(at(LOADED) - at(CHANGED), 1500)
      yield* hold.release
      yield* mineAndAwait(world, ["logs", "blocks"])
      assert.deepStrictEqual(yield* differences(world, "logs"), [])
    }))

  it.live(
    "I3 edits in quick succession, in catch-up, outages and reorgs: one stream per table, and no row lost",
    () =>
      Effect.gen(function*() {
        const world = yield* makeWorld({ dialect: "amp", blocks: 400, maxRangeBlocks: 40, maxBatchRows: 60 })
        const { faults } = world.simulator
        const snapshots = yield* watchSnapshots(world)
        faults.delayMillis = 25
        const sync = yield* startSync(world.environment)
        yield* sync.logs("Started reorg stream for table: logs")
        let mostStreams = 0
        yield* Effect.forkScoped(Effect.forever(Effect.andThen(
          Effect.sync(() => {
            mostStreams = Math.max(mostStreams, faults.openStreams)
          }),
          Effect.sleep(5)
        )))
        const { blocks: _, ...withoutBlocks } = allTables
        const configs = [
          withoutBlocks,
          { ...allTables, logs: "SELECT * FROM anvil.logs WHERE block_num >= 0" },
          "{",
          { logs: allTables["logs"]! },
          allTables
        ]
        const disturbances = [
          () => world.simulator.reorg(5),
          () => faults.cutAll(),
          () => world.simulator.mine(7),
          () => world.simulator.reorg(12, 14),
          () => faults.endStreams()
        ]
        for (let round = 0; round < 15; round += 1) {
          yield* replaceConfig(world, configs[round % configs.length]!)
          disturbances[(round * 3) % disturbances.length]!()
          yield* Effect.sleep(round % 2 === 0 ? 900 : 250)
          if (round === 9) faults.delayMillis = 0
        }
        yield* replaceConfig(world, allTables)
        world.simulator.mine(2)
        yield* eventually(
          "the last config is active",
          Effect.map(
            sync.status.get,
            (tables) => tables.size === 3 && [...tables.values()].every(({ phase }) => phase === "caught up")
          )
        )
        for (const table of ["blocks", "transactions", "logs"] as const) yield* awaitAllRows(world, table)
        assert.deepStrictEqual(yield* allDifferences(world), [])
        assert.deepStrictEqual(yield* snapshots.violations, [])
        // The check of a config tries the stream of each query that is new or changed: two of them at most here.
        assert.isAtMost(mostStreams, 3 + 2, "never two streams of one table")
        assert.isAbove(yield* Effect.map(sync.status.reload, (reload) => reload!.applied), 3)
        assert.notInclude(sync.lines.join("\n"), "took over")
      }),
    120_000
  )
})
