import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { writeFile } from "node:fs/promises"
import { secondSchema } from "../../src/layers/table-exchange/secondTable.ts"
import type { Dialect } from "../../src/simulator/tables.ts"
import { type AmpsyncProcess, startAmpsync } from "../support/ampsyncProcess.ts"
import { bookkeepingDifferences, differences } from "../support/compare.ts"
import { eventually } from "../support/eventually.ts"
import { holdLock } from "../support/holdLock.ts"
import { startProxy, throughProxy } from "../support/proxy.ts"
import { awaitCanonicalChain, awaitWatermark, watchSnapshots } from "../support/snapshots.ts"
import { makeWorld, manifestOf, type World } from "../support/world.ts"

const columns = ["_block_num", "block_num", "hash"]
const queries = { blocks: `SELECT ${columns.join(", ")} FROM anvil.blocks` }

const resync = (world: World, ...args: ReadonlyArray<string>) =>
  startAmpsync(world.environment, ["resync", "--online", "--yes", ...args])

const ends = Effect.fnUntraced(function*(run: AmpsyncProcess, code: number) {
  assert.strictEqual((yield* run.exited).code, code, run.output())
})

/** A row is wrong, one is missing, and one is too much. */
const damage = ({ database }: World) =>
  database.query(
    `UPDATE blocks SET hash = '\\x00' WHERE _block_num = 5; DELETE FROM blocks WHERE _block_num = 9;
     INSERT INTO blocks (_block_num, block_num, hash, _row_index) VALUES (12, 12, '\\x01', 1)`
  )

/** Those of the second tables that are there. */
const secondSchemas = ({ database }: World, tables: ReadonlyArray<string> = ["blocks"]) =>
  Effect.map(
    database.query<{ name: string }>("SELECT nspname AS name FROM pg_namespace WHERE nspname = ANY($1)", [
      tables.map((table) => secondSchema(database.schema, table))
    ]),
    (rows) => rows.map(({ name }) => name)
  )

/** The old rows of the damaged blocks, or the new ones, and how many rewinds readers were told of, as one snapshot has them. */
const STATE = `SELECT (SELECT count(*) FROM _ampsync_reorgs WHERE new_hash IS NULL) || ' ' || (
  SELECT md5(string_agg(_block_num || ' ' || encode(hash, 'hex'), ' ' ORDER BY _block_num, _row_index)) FROM blocks
  WHERE _block_num <= 20) AS state`

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

  it.live(
    "fills every table by the queries as they are now, also where no sync runs, with names and rows of every kind",
    () =>
      Effect.gen(function*() {
        const name = `Blocks "é"`
        const tables = (column: string) => ({
          [name]: `SELECT _block_num, hash${column} FROM anvil.blocks`,
          ranges: `SELECT hash, parent_hash${column} FROM anvil.blocks`
        })
        const world = yield* makeWorld({ dialect: "amp", blocks: 60, maxRangeBlocks: 7, queries: tables("") })
        yield* Effect.scoped(Effect.gen(function*() {
          const sync = yield* startAmpsync(world.environment)
          for (const table of [name, "ranges"]) yield* awaitWatermark(world, table, 59n)
          yield* sync.kill("SIGTERM")
          yield* sync.exited
        }))
        world.simulator.reorg(5)
        world.simulator.mine(3)
        const next = manifestOf("amp", { [name]: tables(", gas_used")[name]!, ranges: tables(", gas_used")["ranges"]! })
        yield* Effect.promise(() => writeFile(world.manifestPath, JSON.stringify(next)))
        const run = yield* resync(world, "--all")
        yield* ends(run, 0)
        assert.deepStrictEqual(
          yield* differences(world, "blocks", { as: name, columns: ["_block_num", "hash", "gas_used"] }),
          []
        )
        assert.deepStrictEqual(
          yield* differences(world, "blocks", { as: "ranges", columns: ["hash", "parent_hash", "gas_used"] }),
          []
        )
        for (const [table, position] of [[name, "_block_num"], ["ranges", "_range_end"]] as const) {
          assert.deepStrictEqual(yield* bookkeepingDifferences(world, table, position), [])
        }
        const again = yield* resync(world, "--all")
        yield* ends(again, 0)
        assert.strictEqual(again.output().match(/no row differed/g)?.length, 2, again.output())
        assert.deepStrictEqual(yield* secondSchemas(world, [name, "ranges"]), [])
      }),
    90_000
  )

  it.live("I2 changes nothing where it cannot end well, and reports why", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({
        dialect: "amp",
        blocks: 30,
        queries: { ...queries, other: "SELECT _block_num FROM anvil.blocks" }
      })
      const sync = yield* startAmpsync(world.environment)
      yield* awaitCanonicalChain(world, ["blocks"])
      yield* damage(world)
      const before = yield* world.database.query(STATE)
      const refused = Effect.fnUntraced(function*(table: string, code: number, reason: RegExp) {
        const run = yield* resync(world, "--table", table)
        yield* ends(run, code)
        assert.match(run.output(), reason)
      })
      yield* refused("nothing", 2, /there is no checkpoint of a table "nothing"/)
      const { blocks } = queries
      yield* sync.kill("SIGSTOP")
      const changed = manifestOf("amp", { blocks: `${blocks} WHERE _block_num > 3` })
      yield* Effect.promise(() => writeFile(world.manifestPath, JSON.stringify(changed)))
      yield* world.database.query("UPDATE _ampsync_writers SET heartbeat_at = clock_timestamp()")
      yield* refused("other", 1, /the config has no table "other"; it has blocks/)
      yield* world.database.query("UPDATE _ampsync_writers SET heartbeat_at = clock_timestamp()")
      yield* refused("blocks", 1, new RegExp(` pid ${sync.pid} .* fills it with another query than the config has now`))
      assert.deepStrictEqual(yield* secondSchemas(world), [])
      yield* Effect.promise(() => writeFile(world.manifestPath, JSON.stringify(manifestOf("amp", queries))))
      yield* sync.kill("SIGCONT")
      yield* world.database.query(
        `CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
         CREATE TRIGGER keeper BEFORE DELETE ON blocks FOR EACH ROW EXECUTE FUNCTION keep()`
      )
      yield* refused("blocks", 1, /is as it was: .*could not be replaced.* a trigger, a rule or a row security policy/)
      assert.deepStrictEqual(yield* world.database.query(STATE), before)
      yield* world.database.query("DROP TRIGGER keeper ON blocks")
      yield* ends(yield* resync(world, "--table", "blocks"), 0)
      assert.deepStrictEqual(yield* differences(world, "blocks", { columns }), [])
    }), 120_000)
})
