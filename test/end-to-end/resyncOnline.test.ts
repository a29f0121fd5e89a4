import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { Dialect } from "../../src/simulator/tables.ts"
import { type AmpsyncProcess, startAmpsync } from "../support/ampsyncProcess.ts"
import { bookkeepingDifferences, differences } from "../support/compare.ts"
import { eventually } from "../support/eventually.ts"
import { holdLock } from "../support/holdLock.ts"
import { columns, damage, ends, queries, resync, secondSchemas, STATE } from "../support/onlineResync.ts"
import { startProxy, throughProxy } from "../support/proxy.ts"
import { awaitCanonicalChain, awaitWatermark, watchSnapshots } from "../support/snapshots.ts"
import { makeWorld, type World } from "../support/world.ts"

/** A process that was killed counts as dead at once. */
const expireAll = Effect.fnUntraced(function*(world: World, { pid }: AmpsyncProcess) {
  for (const schema of [world.database.schema, ...yield* secondSchemas(world)]) {
    yield* world.database.query(
      `UPDATE ${schema}._ampsync_writers SET heartbeat_at = heartbeat_at - interval '10 seconds' WHERE writer LIKE $1`,
      [`% pid ${pid} %`]
    )
  }
})

const isWaiting = ({ database }: World) =>
  Effect.map(
    database.query("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE $1", [
      `DELETE FROM "${database.schema}".%`
    ]),
    (rows) => rows.length > 0
  )

describe("resync --online", () => {
  it.live.each<Dialect>(["amp", "nozzle"])(
    "I1 replaces what differs in one transaction, and the table of a %s server stays what it is for all that depend on it",
    (dialect) =>
      Effect.gen(function*() {
        const world = yield* makeWorld({ dialect, blocks: 60, queries })
        const { query, schema } = world.database
        const sync = yield* startAmpsync(world.environment)
        yield* awaitCanonicalChain(world, ["blocks"])
        const mining = Effect.sync(() => world.simulator.mine(1)).pipe(Effect.delay(300), Effect.forever)
        yield* Effect.scoped(Effect.gen(function*() {
          yield* Effect.forkScoped(mining)
          yield* damage(world)
          yield* query(
            `CREATE VIEW readers AS SELECT hash FROM blocks; CREATE INDEX of_a_user ON blocks (hash);
             ALTER TABLE blocks ADD COLUMN note text; UPDATE blocks SET note = 'kept' WHERE _block_num = 3;
             COMMENT ON TABLE blocks IS 'of a user'; GRANT SELECT ON blocks TO PUBLIC; ALTER TABLE blocks REPLICA IDENTITY FULL;
             CREATE PUBLICATION ${schema} FOR TABLE blocks`
          )
          yield* Effect.addFinalizer(() => query(`DROP PUBLICATION ${schema}`))
          const catalog = query(
            `SELECT c.oid, relacl::text, relreplident, obj_description(c.oid), pg_get_viewdef('readers'::regclass),
               (SELECT array_agg(indexrelid::regclass::text ORDER BY 1) FROM pg_index WHERE indrelid = c.oid)::text AS indexes,
               (SELECT array_agg(pubname)::text FROM pg_publication_tables WHERE tablename = relname AND schemaname = $1)
             FROM pg_class c WHERE c.oid = 'blocks'::regclass`,
            [schema]
          )
          const before = yield* catalog
          const [old] = yield* query<{ state: string }>(STATE)
          const early = yield* holdLock(
            world.database,
            "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT FROM _ampsync_checkpoints"
          )
          const states = new Set<string>()
          yield* query<{ state: string }>(STATE).pipe(
            Effect.tap(([row]) => Effect.sync(() => states.add(row!.state))),
            Effect.delay(10),
            Effect.forever,
            Effect.forkScoped
          )
          const run = yield* resync(world, "--table", "blocks")
          yield* ends(run, 0)
          assert.match(
            run.output(),
            /Table "blocks": 3 rows replaced by \d+, from block 5 on; it is complete up to block \d+\./
          )
          const [second] = /_ampsync_resync_\w+/.exec(run.output()) ?? []
          assert.match(run.output(), new RegExp(`Table 'blocks' has caught up .*schema=${second}`))
          const [now] = yield* query<{ state: string }>(STATE)
          assert.deepStrictEqual([old!.state.slice(0, 2), now!.state.slice(0, 2)], ["0 ", "1 "])
          states.add(now!.state)
          assert.sameMembers([...states], [old!.state, now!.state], "readers saw the old rows or the new ones")
          assert.deepStrictEqual(yield* early.query(STATE), [old!], "a snapshot from before has the rows from before")
          yield* early.release
          assert.deepStrictEqual(yield* catalog, before)
          assert.deepStrictEqual(yield* query("SELECT _block_num FROM blocks WHERE note = 'kept'"), [{
            _block_num: "3"
          }])
          yield* query("DROP VIEW readers; ALTER TABLE blocks DROP COLUMN note")
        }))
        assert.deepStrictEqual(yield* secondSchemas(world), [])
        world.simulator.reorg(8)
        world.simulator.mine(2)
        yield* awaitCanonicalChain(world, ["blocks"])
        assert.deepStrictEqual(yield* differences(world, "blocks", { columns }), [])
        yield* eventually(
          "the bookkeeping is that of the rows",
          Effect.map(bookkeepingDifferences(world, "blocks"), (found) => found.length === 0)
        )
        assert.notMatch(sync.output(), /is parked|Stream failed/)
      }),
    90_000
  )

  it.live(
    "I1 killed while it fills, compares or replaces, it leaves the table as it was, and the next run continues",
    () =>
      Effect.gen(function*() {
        const world = yield* makeWorld({ dialect: "amp", blocks: 60, queries })
        const sync = yield* startAmpsync(world.environment)
        yield* awaitCanonicalChain(world, ["blocks"])
        yield* damage(world)
        const before = yield* world.database.query(STATE)
        yield* Effect.scoped(Effect.gen(function*() {
          // It does not become the writer of the table.
          yield* holdLock(world.database, "SELECT FROM _ampsync_checkpoints FOR UPDATE")
          for (const line of [/filling a second table/, /compared up to block/]) {
            const run = yield* resync(world, "--table", "blocks")
            yield* run.prints(line)
            if (line.source.startsWith("compared")) {
              const second = yield* resync(world, "--table", "blocks")
              yield* ends(second, 1)
              assert.match(second.output(), new RegExp(`is being written by .* pid ${run.pid} .*second table stays`))
            }
            yield* run.kill("SIGKILL")
            yield* run.exited
            yield* expireAll(world, run)
            assert.deepStrictEqual(yield* world.database.query(STATE), before)
          }
        }))
        for (const signal of ["SIGKILL", "SIGTERM"] as const) {
          yield* Effect.scoped(Effect.gen(function*() {
            yield* holdLock(world.database, "SELECT FROM blocks WHERE _block_num = 5 FOR UPDATE")
            const run = yield* resync(world, "--table", "blocks")
            yield* run.prints("it is continued")
            yield* eventually(() => `it replaces rows: ${run.output()}`, isWaiting(world))
            yield* run.kill(signal)
            const { code } = yield* run.exited
            if (signal === "SIGTERM") {
              assert.strictEqual(code, 1)
              assert.match(
                run.output(),
                /Stopped; table "blocks" is as it was\. Its second table stays in schema "\w+": run/
              )
            } else yield* expireAll(world, run)
          }))
          assert.deepStrictEqual(yield* world.database.query(STATE), before)
          world.simulator.mine(1)
          yield* awaitWatermark(world, "blocks", 59n)
        }
        const snapshots = yield* resync(world, "--table", "blocks")
        yield* ends(snapshots, 0)
        world.simulator.reorg(4)
        yield* awaitCanonicalChain(world, ["blocks"])
        assert.deepStrictEqual(yield* differences(world, "blocks", { columns }), [])
        assert.deepStrictEqual(yield* secondSchemas(world), [])
        assert.notInclude(sync.output(), "is parked")
      }),
    120_000
  )

  it.live(
    "I1 tries again where its connection is lost, and finds out what became of a COMMIT whose answer was",
    () =>
      Effect.gen(function*() {
        const world = yield* makeWorld({ dialect: "amp", blocks: 60, queries })
        yield* startAmpsync(world.environment)
        yield* awaitCanonicalChain(world, ["blocks"])
        const snapshots = yield* watchSnapshots(world, ["blocks"])
        const proxy = yield* startProxy(Number(new URL(world.database.url).port))
        const environment = { ...world.environment, DATABASE_URL: throughProxy(world.database.url, proxy) }
        const resyncThere = startAmpsync(environment, ["resync", "--online", "--table", "blocks", "--yes"])
        // What the observation does not look at.
        const change = world.database.query("UPDATE blocks SET block_num = 777 WHERE _block_num = 5")
        yield* change
        const cut = yield* resyncThere
        yield* cut.prints("compared up to block")
        proxy.cutOnReply("DROP SCHEMA\0")
        yield* cut.prints(/Table "blocks" is as it was: .*Trying again/)
        assert.strictEqual((yield* secondSchemas(world)).length, 1)
        yield* ends(cut, 0)
        assert.include(cut.output(), "1 rows replaced by 1, from block 5 on")
        yield* change
        const { release } = yield* holdLock(world.database, "SELECT FROM blocks WHERE _block_num = 5 FOR UPDATE")
        const lost = yield* resyncThere
        yield* eventually(() => `it replaces rows: ${lost.output()}`, isWaiting(world))
        proxy.cutOnReply("COMMIT\0")
        yield* release
        yield* ends(lost, 0)
        assert.include(lost.output(), "its rows are replaced; the answer of the database, with their number, was lost")
        assert.strictEqual(proxy.cuts(), 2)
        world.simulator.reorg(3)
        yield* awaitCanonicalChain(world, ["blocks"])
        assert.deepStrictEqual(yield* differences(world, "blocks", { columns }), [])
        assert.deepStrictEqual(yield* snapshots.violations, [])
      }),
    90_000
  )
})
