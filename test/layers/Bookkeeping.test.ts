import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { expireHeartbeats, leased, newWriter, preparedWriter, progressOf, tableState } from "../support/bookkeeping.ts"
import { testDatabase } from "../support/postgres.ts"

describe("the bookkeeping tables", () => {
  it.live("are created by many processes that start at once, and a second time without effect", () =>
    Effect.gen(function*() {
      const database = yield* testDatabase
      yield* database.query(`DROP SCHEMA ${database.schema}`)
      const writers = yield* Effect.forEach([1, 2, 3, 4, 5], () => newWriter(database), { concurrency: "unbounded" })
      yield* Effect.forEach(writers, ({ bookkeeping }) => bookkeeping.ensure, {
        concurrency: "unbounded",
        discard: true
      })
      yield* writers[0]!.bookkeeping.ensure
      const tables = yield* database.query<{ name: string }>(
        "SELECT relname AS name FROM pg_class WHERE relnamespace = $1::regnamespace AND relkind IN ('r', 'v') ORDER BY 1",
        [database.schema]
      )
      assert.deepStrictEqual(tables.map(({ name }) => name), [
        "_ampsync_checkpoints",
        "_ampsync_latest",
        "_ampsync_progress",
        "_ampsync_reorgs",
        "_ampsync_states",
        "_ampsync_watermarks",
        "_ampsync_writers"
      ])
      assert.lengthOf(yield* database.query("SELECT 1 FROM _ampsync_writers"), 5)
    }))

  it.live("of the first ampsync are recognised and extended; their content stays, and their data tables are rejected", () =>
    Effect.gen(function*() {
      const database = yield* testDatabase
      yield* database.query(
        "CREATE TABLE _ampsync_checkpoints (table_name TEXT PRIMARY KEY, max_block_num BIGINT NOT NULL, updated_at TIMESTAMPTZ NOT NULL DEFAULT NOW())"
      )
      yield* database.query("INSERT INTO _ampsync_checkpoints VALUES ('logs', 41, '2025-10-04T00:00:00Z')")
      yield* database.query("CREATE TABLE logs (block_num numeric PRIMARY KEY)")
      const writer = yield* preparedWriter(database)
      const error = yield* Effect.flip(leased(writer, "logs"))
      assert.strictEqual(error._tag, "TableRejected")
      assert.include(error.message, "earlier ampsync")
      assert.include(error.message, "DATABASE_SCHEMA")
      const [row] = yield* database.query("SELECT max_block_num, writer, updated_at FROM _ampsync_checkpoints")
      assert.deepStrictEqual(row, { max_block_num: "41", writer: null, updated_at: new Date("2025-10-04T00:00:00Z") })
      // Another table is synced beside it.
      const lease = yield* leased(writer, "blocks")
      assert.isUndefined(lease.recorded)
    }))

  it.live("of a version without states are extended, and views on _ampsync_progress stay", () =>
    Effect.gen(function*() {
      const database = yield* testDatabase
      const writer = yield* preparedWriter(database)
      yield* leased(writer, "logs")
      yield* database.query(
        `DROP VIEW _ampsync_progress, _ampsync_latest; DROP TABLE _ampsync_states;
         ALTER TABLE _ampsync_writers DROP config_loaded_at, DROP reload_failed_at, DROP reload_reason,
           DROP version, DROP started_at;
         CREATE VIEW _ampsync_progress AS
         SELECT c.table_name, c.dataset, c.dataset_version, c.network, c.max_block_num AS watermark, c.watermark_hash,
           c.watermark_at, clock_timestamp() - c.watermark_at AS watermark_age, c.block_at, c.rows, c.provisional_rows,
           c.unverified_from IS NOT NULL AS unverified, c.writer, w.heartbeat_at AS writer_seen_at,
           r.seen_at AS last_reorg_at, r.first_block AS last_reorg_block, r.depth AS last_reorg_depth
         FROM _ampsync_checkpoints c
         LEFT JOIN _ampsync_writers w USING (writer)
         LEFT JOIN LATERAL (
           SELECT * FROM _ampsync_reorgs r WHERE r.table_name = c.table_name ORDER BY id DESC LIMIT 1
         ) r ON true;
         CREATE VIEW mine AS SELECT table_name, writer FROM _ampsync_progress`
      )
      const pending = yield* writer.bookkeeping.pending
      assert.deepStrictEqual(pending.map((text) => text.split(/\s+/).slice(0, 2).join(" ")), [
        "ALTER TABLE",
        "CREATE TABLE",
        "ALTER TABLE",
        "CREATE OR",
        "COMMENT ON",
        "CREATE OR",
        "COMMENT ON",
        // One text per table or view.
        "COMMENT ON",
        "COMMENT ON",
        "COMMENT ON",
        "COMMENT ON"
      ])
      yield* writer.bookkeeping.ensure
      assert.lengthOf(yield* writer.bookkeeping.pending, 0)
      assert.deepInclude(yield* progressOf(database, "logs"), { state: "offline", reason: null, state_since: null })
      yield* writer.bookkeeping.report([tableState("logs", "caught up")])
      yield* writer.bookkeeping.reportReload({ ageMillis: 0, reason: "no" })
      assert.deepInclude(yield* progressOf(database, "logs"), { state: "caught up" })
      assert.lengthOf(yield* database.query("SELECT FROM mine WHERE table_name = 'logs' AND writer IS NOT NULL"), 1)
    }))

  it.live("of a version with one order of reorgs for all tables get another key, by which _ampsync_progress finds the newest", () =>
    Effect.gen(function*() {
      const database = yield* testDatabase
      const writer = yield* preparedWriter(database)
      yield* leased(writer, "logs")
      yield* database.query(
        "ALTER TABLE _ampsync_reorgs ALTER new_hash SET NOT NULL, DROP CONSTRAINT _ampsync_reorgs_pkey, ADD PRIMARY KEY (id)"
      )
      const pending = yield* writer.bookkeeping.pending
      assert.deepStrictEqual(pending.map((text) => text.split(" ").slice(0, 2).join(" ")), [
        "ALTER TABLE",
        "ALTER TABLE"
      ])
      yield* writer.bookkeeping.ensure
      assert.lengthOf(yield* writer.bookkeeping.pending, 0)
      yield* database.query(
        `INSERT INTO _ampsync_reorgs (table_name, first_block, depth, new_hash)
         SELECT 't' || n % 10, n, 1, '' FROM generate_series(1, 20000) n; ANALYZE _ampsync_reorgs`
      )
      const plan = yield* database.query<{ "QUERY PLAN": string }>(
        "EXPLAIN SELECT * FROM _ampsync_progress WHERE table_name = 'logs'"
      )
      const text = plan.map((row) => row["QUERY PLAN"]).join("\n")
      assert.match(
        text,
        /Index Scan Backward using _ampsync_reorgs_pkey on _ampsync_reorgs .*\n +Index Cond: \(table_name = /
      )
      assert.notMatch(text, /Seq Scan on _ampsync_reorgs/)
    }))

  it.live("of an unknown program are rejected with a message and stay unchanged", () =>
    Effect.gen(function*() {
      const database = yield* testDatabase
      yield* database.query(
        "CREATE TABLE _ampsync_checkpoints (table_name TEXT, network TEXT, incremental_block_num BIGINT, PRIMARY KEY (table_name, network))"
      )
      const writer = yield* newWriter(database)
      const error = yield* Effect.flip(writer.bookkeeping.ensure)
      assert.isFalse(error.isRetryable)
      assert.include(error.message, "DATABASE_SCHEMA")
      assert.lengthOf(yield* database.query("SELECT 1 FROM pg_tables WHERE schemaname = $1", [database.schema]), 1)
    }))

  it.live("name the GRANT to run where the role lacks a right that it needs, and need no CREATE where nothing is missing", () =>
    Effect.gen(function*() {
      const database = yield* testDatabase
      const role = `role_${database.schema}`
      yield* Effect.acquireRelease(
        database.query(`CREATE ROLE ${role} LOGIN PASSWORD 'p@ss/w:rd #1'`),
        () => Effect.andThen(database.query(`DROP OWNED BY ${role} CASCADE`), database.query(`DROP ROLE ${role}`))
      )
      const url = new URL(database.url)
      url.username = role
      url.password = encodeURIComponent("p@ss/w:rd #1")
      const as = (schema: string) => newWriter({ ...database, url: url.href, schema })
      const use = yield* Effect.flip((yield* as(database.schema)).bookkeeping.ensure)
      assert.include(use.message, `GRANT USAGE, CREATE ON SCHEMA "${database.schema}" TO "${role}"`)
      const create = yield* Effect.flip((yield* as(`${database.schema}_x`)).bookkeeping.ensure)
      assert.include(create.message, `CREATE SCHEMA "${database.schema}_x" AUTHORIZATION "${role}"`)
      assert.isFalse(use.isRetryable || create.isRetryable)
      // The statement of the message is enough.
      yield* database.query(`GRANT USAGE, CREATE ON SCHEMA "${database.schema}" TO "${role}"`)
      yield* (yield* as(database.schema)).bookkeeping.ensure
      // Where nothing is missing, the right to create it is not needed.
      yield* database.query(`REVOKE CREATE ON SCHEMA "${database.schema}" FROM "${role}"`)
      const restarted = yield* as(database.schema)
      yield* restarted.bookkeeping.ensure
      assert.deepStrictEqual(yield* restarted.bookkeeping.pending, [])
      yield* database.query(`DROP VIEW _ampsync_latest`)
      assert.include((yield* Effect.flip(restarted.bookkeeping.ensure)).message, `GRANT USAGE, CREATE ON SCHEMA`)
    }))
})

describe("the state of a table", () => {
  it.live("is shown before its first checkpoint, with the reason and since when", () =>
    Effect.gen(function*() {
      const database = yield* testDatabase
      const { bookkeeping } = yield* preparedWriter(database)
      yield* bookkeeping.report([
        tableState("logs", "parked", "foreign table", 60_000),
        tableState("blocks", "starting")
      ])
      const row = (yield* progressOf(database, "logs"))!
      assert.deepInclude(row, { state: "parked", reason: "foreign table", rows: null })
      assert.approximately(Date.now() - row.state_since!.getTime(), 60_000, 5_000)
      yield* bookkeeping.report([tableState("logs", "catching up")])
      assert.deepInclude(yield* progressOf(database, "logs"), { state: "catching up", reason: null })
      assert.deepInclude(yield* progressOf(database, "blocks"), { state: "starting" })
    }))

  it.live("I7 has a reason of a thousand characters at most, of any content", () =>
    Effect.gen(function*() {
      const database = yield* testDatabase
      const { bookkeeping } = yield* preparedWriter(database)
      const reason = `a "b", \\'{c}\u0000d ${"x".repeat(978)}\u{1f600}${"y".repeat(5_000)}`
      yield* bookkeeping.report([tableState("logs", "stalled", reason)])
      yield* bookkeeping.reportReload({ ageMillis: 0, reason })
      const stored = (yield* progressOf(database, "logs"))!.reason!
      assert.isTrue(stored.startsWith("a \"b\", \\'{c}\ufffdd x"), stored.slice(0, 30))
      assert.isAtMost([...stored].length, 1_000)
      assert.deepStrictEqual(yield* database.query("SELECT reload_reason FROM _ampsync_writers"), [{
        reload_reason: stored
      }])
    }))

  it.live("is the one its writer reports, whatever other processes report, before or after", () =>
    Effect.gen(function*() {
      const database = yield* testDatabase
      const [first, second] = [yield* preparedWriter(database), yield* preparedWriter(database)]
      yield* leased(first, "logs")
      yield* second.bookkeeping.report([tableState("logs", "standby", "held")])
      yield* first.bookkeeping.report([tableState("logs", "caught up", undefined, 1_000)])
      assert.deepInclude(yield* progressOf(database, "logs"), { state: "caught up" })
      for (const state of ["standby", "parked", "removed", "stopped"] as const) {
        yield* second.bookkeeping.report([tableState("logs", state, "another reason")])
        assert.deepInclude(yield* progressOf(database, "logs"), { state: "caught up" }, state)
      }
      // The lease of a parked table is released: the state of the next writer counts.
      yield* first.bookkeeping.report([tableState("logs", "parked", "no")])
      yield* first.leases.release("logs")
      yield* second.bookkeeping.report([tableState("logs", "standby")])
      assert.deepInclude(yield* progressOf(database, "logs"), { state: "parked" })
      yield* leased(second, "logs")
      yield* second.bookkeeping.report([tableState("logs", "catching up")])
      assert.deepInclude(yield* progressOf(database, "logs"), { state: "catching up" })
    }))

  it.live("of a dead process is offline, with its last report; a clean stop stays one", () =>
    Effect.gen(function*() {
      const database = yield* testDatabase
      const [first, second] = [yield* preparedWriter(database), yield* preparedWriter(database)]
      yield* first.bookkeeping.report([
        tableState("logs", "stalled", "no server"),
        tableState("blocks", "stopped"),
        tableState("transactions", "removed", "not in the config")
      ])
      yield* expireHeartbeats(database, second)
      const row = yield* progressOf(database, "logs")
      assert.deepInclude(row, { state: "offline", reason: "last reported: stalled: no server" })
      assert.approximately(Date.now() - row!.state_since!.getTime(), 10_000, 5_000)
      assert.deepInclude(yield* progressOf(database, "blocks"), { state: "stopped" })
      assert.deepInclude(yield* progressOf(database, "transactions"), { state: "removed", reason: "not in the config" })
      // Its heartbeat is deleted after a day, its report is not.
      yield* database.query("UPDATE _ampsync_writers SET heartbeat_at = heartbeat_at - interval '2 days'")
      yield* second.bookkeeping.ensure
      assert.deepInclude(yield* progressOf(database, "logs"), { state: "offline" })
      assert.deepInclude(yield* progressOf(database, "blocks"), { state: "stopped" })
      for (const table of ["logs", "blocks"]) {
        yield* second.bookkeeping.report([tableState(table, "starting")])
        assert.deepInclude(yield* progressOf(database, table), { state: "starting" })
      }
      assert.lengthOf(yield* database.query("SELECT FROM _ampsync_states"), 3, "the reports of the dead are gone")
    }))
})
