/** The verb `publish`: views in one schema that are switched from one schema of a sync to another. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { TableName } from "../../src/simulator/tables.ts"
import { type AmpsyncProcess, startAmpsync } from "../support/ampsyncProcess.ts"
import { eventually } from "../support/eventually.ts"
import { holdLock } from "../support/holdLock.ts"
import { beside } from "../support/instances.ts"
import { type TestDatabase, testDatabase } from "../support/postgres.ts"
import { watchReaders } from "../support/publishedReaders.ts"
import { runAmpsync } from "../support/runAmpsync.ts"
import { holdsCanonicalChain, watchSnapshots } from "../support/snapshots.ts"
import { makeWorld, type Queries, type World } from "../support/world.ts"

const queries: Queries = {
  blocks: "SELECT _block_num, hash, timestamp FROM anvil.blocks",
  logs: "SELECT _block_num, block_hash, log_index FROM anvil.logs"
}

/** The new version: a column more in the middle of a table, and a table more. */
const newQueries: Queries = {
  blocks: "SELECT _block_num, parent_hash, hash, timestamp FROM anvil.blocks",
  logs: queries["logs"]!,
  transactions: "SELECT _block_num, block_hash, tx_hash FROM anvil.transactions"
}

const publish = (live: TestDatabase, { database, environment }: World, ...args: ReadonlyArray<string>) =>
  runAmpsync(environment, "publish", "--from", database.schema, "--as", live.schema, ...args)

/** Starts a sync, and waits until all is there. */
const synced = Effect.fnUntraced(function*(world: World, tables: ReadonlyArray<TableName>, others = 0) {
  const sync = yield* startAmpsync(world.environment)
  yield* eventually(
    () => `the tables hold the chain:\n${sync.output().slice(-3000)}`,
    holdsCanonicalChain(world, tables)
  )
  yield* caughtUp(world, tables.length + others)
  return sync
})

const caughtUp = ({ database }: World, tables: number) =>
  eventually(
    "every table is caught up",
    Effect.map(
      database.query("SELECT 1 FROM _ampsync_progress WHERE state = 'caught up'"),
      (rows) => rows.length === tables
    )
  )

const stop = (sync: AmpsyncProcess) => Effect.andThen(sync.kill("SIGTERM"), sync.exited)

/** Owner, options, grants, comment and columns of a view, as the catalog has them. */
const viewOf = ({ query, schema }: TestDatabase, name: string) =>
  Effect.map(
    query<Record<string, unknown>>(
      `SELECT c.oid::text, c.reloptions, c.relacl::text, obj_description(c.oid) AS comment, string_agg(a.attname, ' ' ORDER BY attnum)
         AS columns, (SELECT col_description(c.oid, attnum) FROM pg_attribute WHERE attrelid = c.oid AND attname = 'hash') AS hash,
         pg_get_viewdef(c.oid) AS definition
       FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid WHERE c.oid = $1::regclass GROUP BY c.oid, c.reloptions, c.relacl::text`,
      [`${schema}.${name}`]
    ),
    ([row]) => row!
  )

describe("publish", () => {
  it.live(
    "waits until the new schema has caught up and switches all views at once: readers see no error, no mixture and no step back",
    () =>
      Effect.gen(function*() {
        const first = yield* makeWorld({ dialect: "amp", blocks: 80, maxRangeBlocks: 4, queries })
        const second = yield* beside(first, newQueries)
        const live = yield* testDatabase
        yield* synced(first, ["blocks", "logs"])
        const shown = yield* publish(live, first)
        assert.strictEqual(shown.code, 0, shown.stderr)
        assert.include(shown.stdout, "created: _ampsync_checkpoints, ")
        yield* live.query(
          `GRANT SELECT ON blocks TO pg_monitor; GRANT SELECT (hash) ON blocks TO PUBLIC;
           ALTER VIEW blocks SET (security_barrier = true); COMMENT ON COLUMN blocks.hash IS 'as the chain has it'`
        )
        const before = yield* viewOf(live, "blocks")

        const readers = yield* watchReaders(live)
        const chain = yield* watchSnapshots({ ...first, database: live }, ["blocks", "logs"])
        first.simulator.faults.delayMillis = 120
        const next = yield* startAmpsync(second.environment)
        yield* next.prints("Checkpoint tracking initialized")
        const run = yield* startAmpsync(second.environment, ["publish", "--as", live.schema, "--wait", "60s"])
        yield* run.prints(/Waiting: .*\w+ is (starting|catching up)/)
        assert.strictEqual(readers.sources().size, 1)
        first.simulator.faults.delayMillis = 0
        // Both syncs race for these blocks while the views are switched.
        yield* Effect.forkScoped(
          Effect.repeat(Effect.delay(Effect.sync(() => first.simulator.mine(1)), 300), { times: 20 })
        )
        assert.strictEqual((yield* run.exited).code, 0, run.output())
        assert.deepStrictEqual(readers.violations(), [])
        assert.match(
          run.output(),
          /now, instead of "test_\w+"\.\n {2}created: transactions\n {2}replaced: _ampsync_checkpoints, .*blocks, logs\n.*complete up to/
        )
        yield* eventually("readers see the new schema", Effect.sync(() => readers.sources().size === 2))
        assert.deepStrictEqual(readers.violations(), [])
        assert.deepStrictEqual(yield* chain.violations, [])

        const after = yield* viewOf(live, "blocks")
        assert.strictEqual(after["columns"], "_block_num hash timestamp _row_index parent_hash")
        for (const kept of ["oid", "reloptions", "relacl", "hash"]) {
          assert.deepStrictEqual(after[kept], before[kept], kept)
        }
        assert.include(after["definition"], second.database.schema)
        const again = yield* publish(live, second)
        assert.strictEqual(again.code, 0, again.stderr)
        assert.include(again.stdout, "already; nothing to do.")
        assert.deepStrictEqual(yield* viewOf(live, "blocks"), after)
        const status = yield* runAmpsync({ ...first.environment, DATABASE_SCHEMA: live.schema }, "status", "--json")
        assert.strictEqual(status.code, 0, status.stdout)
        assert.strictEqual(JSON.parse(status.stdout).tables.length, 3)
      })
  )

  it.live("a transaction that reads a view delays the switch, behind which new readers wait for a moment only", () =>
    Effect.gen(function*() {
      const first = yield* makeWorld({ dialect: "amp", blocks: 20, queries })
      const live = yield* testDatabase
      const second = yield* beside(first, queries)
      yield* Effect.forEach([first, second], (world) => synced(world, ["blocks", "logs"]), { concurrency: 2 })
      assert.strictEqual((yield* publish(live, first)).code, 0)
      const held = yield* holdLock(live, "SELECT count(*) FROM logs")
      const readers = yield* watchReaders(live)
      const refused = yield* publish(live, second, "--wait", "0s", "--json")
      assert.strictEqual(refused.code, 3, refused.stderr)
      const document = JSON.parse(refused.stdout)
      assert.strictEqual(document.outcome, "not ready")
      assert.match(
        document.reasons[0],
        /transactions read the views of schema "test_\w+" \(sessions with process id \d+/
      )
      const run = yield* startAmpsync(second.environment, ["publish", "--as", live.schema, "--wait", "60s"])
      yield* run.prints("Waiting: transactions read the views")
      // Whoever waited behind the switch for good would read nothing until the view is free.
      const before = readers.transactions()
      yield* eventually("new readers go on", Effect.sync(() => readers.transactions() >= before + 20))
      assert.strictEqual(readers.sources().size, 1)
      // One that began before the switch still sees what it saw.
      assert.deepStrictEqual(yield* held.query("SELECT count(*)::int AS n FROM blocks"), [{ n: 20 }])
      yield* held.release
      assert.strictEqual((yield* run.exited).code, 0, run.output())
      yield* eventually("readers see the new schema", Effect.sync(() => readers.sources().size === 2))
      assert.deepStrictEqual(readers.violations(), [])
    }))

  it.live("refuses what would break readers or is not its own, and changes nothing then", () =>
    Effect.gen(function*() {
      const first = yield* makeWorld({ dialect: "amp", blocks: 20, queries: newQueries })
      const live = yield* testDatabase
      const second = yield* beside(first, { ...queries, other: queries["blocks"]! })
      const [old, next] = yield* Effect.all(
        [synced(first, ["blocks", "logs", "transactions"]), synced(second, ["blocks", "logs"], 1)],
        { concurrency: 2 }
      )
      const refusal = Effect.fnUntraced(
        function*(world: World, code: number, text: string | RegExp, ...args: ReadonlyArray<string>) {
          const { code: ended, stderr } = yield* publish(live, world, ...args)
          assert.strictEqual(ended, code, stderr)
          assert.match(stderr, typeof text === "string" ? new RegExp(text) : text)
        }
      )
      const relations = live.query(
        "SELECT oid::text, relname, relkind FROM pg_class WHERE relnamespace = $1::regnamespace AND relkind <> 't' ORDER BY 1",
        [live.schema]
      )

      yield* live.query("CREATE VIEW logs AS SELECT 1 AS a; CREATE TABLE mine (a int)")
      const foreign = yield* relations
      yield* refusal(first, 4, `view "logs" in schema "${live.schema}" was not made by this command`)
      assert.deepStrictEqual(yield* relations, foreign)
      yield* live.query("DROP VIEW logs")
      assert.strictEqual((yield* publish(live, first)).code, 0)
      const shown = yield* relations

      // A table and a column that the other schema does not have; and what depends on them.
      yield* live.query(
        "CREATE VIEW above AS SELECT count(*) FROM blocks; GRANT SELECT ON blocks TO pg_monitor WITH GRANT OPTION"
      )
      yield* refusal(
        second,
        4,
        /column "parent_hash" of "blocks" is not in schema .*\n.*has no table "transactions"; --drop removes it/
      )
      yield* refusal(
        second,
        4,
        /view "blocks" must be dropped .*, and so would view test_\w+\.above; drop them first/,
        "--drop"
      )
      yield* live.query("DROP VIEW above")
      assert.deepStrictEqual(yield* relations, shown)

      // The one behind them is ahead, as of a stream that is silent for now.
      first.simulator.faults.hangStreams(({ isStreaming }) => isStreaming)
      yield* first.database.query("UPDATE _ampsync_checkpoints SET max_block_num = 25 WHERE table_name = 'logs'")
      yield* refusal(
        second,
        3,
        /table "logs" is complete up to block 19 in .*, and readers see block 25 of/,
        "--drop",
        "--wait",
        "0s"
      )
      yield* first.database.query("UPDATE _ampsync_checkpoints SET max_block_num = 19 WHERE table_name = 'logs'")
      yield* first.database.query(
        "UPDATE _ampsync_watermarks SET hash = '0xother' WHERE table_name = 'logs' AND block_num = 19"
      )
      yield* refusal(second, 3, "hold different blocks 19 in table \"logs\"", "--drop", "--wait", "0s")
      assert.deepStrictEqual(yield* relations, shown)

      // A chain that nobody follows any more does not count.
      yield* stop(old)
      const dropped = yield* publish(live, second, "--drop")
      assert.strictEqual(dropped.code, 0, dropped.stderr)
      assert.match(
        dropped.stdout,
        /created: other\n {2}replaced: .*\n {2}recreated: blocks\n {2}dropped: transactions\n/
      )
      const { relacl } = yield* viewOf(live, "blocks")
      assert.include(relacl, "pg_monitor=r*/")
      assert.deepInclude(yield* live.query("SELECT relname, relkind FROM pg_class WHERE oid = 'mine'::regclass"), {
        relname: "mine",
        relkind: "r"
      })

      const sync = yield* runAmpsync({ ...first.environment, DATABASE_SCHEMA: live.schema })
      assert.strictEqual(sync.code, 1)
      assert.include(sync.stderr + sync.stdout, "has views of another schema, which readers use (publish)")
      const rewind = yield* runAmpsync(
        { ...second.environment, DATABASE_SCHEMA: live.schema },
        "rewind",
        "--table",
        "logs",
        "--to-block",
        "5",
        "--yes"
      )
      assert.strictEqual(rewind.code, 2, rewind.stdout)
      assert.include(rewind.stderr, `there is no checkpoint of a table "logs" in schema "${live.schema}"`)
      assert.deepStrictEqual(yield* second.database.query("SELECT max(_block_num)::int AS n FROM logs"), [{ n: 19 }])

      yield* refusal(first, 3, "is stopped", "--wait", "0s")
      yield* stop(next)
      const nowhere = yield* runAmpsync(second.environment, "publish", "--from", "nowhere", "--as", live.schema)
      assert.strictEqual(nowhere.code, 2, nowhere.stderr)
      const same = yield* runAmpsync(second.environment, "publish", "--as", second.database.schema)
      assert.strictEqual(same.code, 2, same.stderr)
    }))
})
