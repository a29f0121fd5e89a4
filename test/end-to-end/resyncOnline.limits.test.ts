/** `resync --online` of every kind of table, and where it cannot end well. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { writeFile } from "node:fs/promises"
import { startAmpsync } from "../support/ampsyncProcess.ts"
import { bookkeepingDifferences, differences } from "../support/compare.ts"
import { columns, damage, ends, queries, resync, secondSchemas, STATE } from "../support/onlineResync.ts"
import { awaitCanonicalChain, awaitWatermark } from "../support/snapshots.ts"
import { makeWorld, manifestOf } from "../support/world.ts"

describe("resync --online", () => {
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

  it.live("names no second table where it could not make one", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ dialect: "amp", blocks: 5, queries })
      const { query, schema, url } = world.database
      yield* startAmpsync(world.environment)
      yield* awaitCanonicalChain(world, ["blocks"])
      const role = `role_${schema}`
      yield* Effect.acquireRelease(
        query(
          `CREATE ROLE ${role} LOGIN PASSWORD 'test'; GRANT ALL ON SCHEMA ${schema} TO ${role};
           GRANT ALL ON ALL TABLES IN SCHEMA ${schema} TO ${role}`
        ),
        () => Effect.andThen(query(`DROP OWNED BY ${role} CASCADE`), query(`DROP ROLE ${role}`))
      )
      const ofRole = new URL(url)
      ofRole.username = role
      ofRole.password = "test"
      const run = yield* resync({ ...world, environment: { ...world.environment, DATABASE_URL: ofRole.href } }, "--all")
      yield* ends(run, 1)
      assert.match(run.output(), /table "blocks" is as it was: .*CREATE/)
      assert.notInclude(run.output(), "DROP SCHEMA")
      assert.deepStrictEqual(yield* secondSchemas(world), [])
    }))
})
