import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Fiber, Layer, Option } from "effect"
import { emptyCheckpoint } from "../../src/domain/chain/Checkpoint.ts"
import type { Watermark } from "../../src/domain/chain/watermarks.ts"
import { layer as checkpointsLayer } from "../../src/layers/Checkpoints.ts"
import { activityOf } from "../../src/layers/checkpoints/activity.ts"
import { layer as poolLayer } from "../../src/layers/PgPool.ts"
import type { Advance, TableIdentity, TableState, WriterLease } from "../../src/services/Checkpoints.ts"
import { Checkpoints } from "../../src/services/Checkpoints.ts"
import { PgPool } from "../../src/services/PgPool.ts"
import { hashOf } from "../support/chunks.ts"
import { eventually } from "../support/eventually.ts"
import { type TestDatabase, testDatabase } from "../support/postgres.ts"
import { testSettings } from "../support/testSettings.ts"

/** One process's view of the bookkeeping. */
interface Writer {
  readonly checkpoints: Checkpoints["Service"]
  readonly pool: PgPool["Service"]
}

const newWriter = (database: TestDatabase) =>
  Effect.map(
    Layer.build(
      checkpointsLayer.pipe(Layer.provideMerge(poolLayer), Layer.provide(Layer.fresh(testSettings(database))))
    ),
    (services): Writer => ({
      checkpoints: Context.get(services, Checkpoints),
      pool: Context.get(services, PgPool)
    })
  )

const preparedWriter = (database: TestDatabase) =>
  Effect.tap(newWriter(database), ({ checkpoints }) => checkpoints.ensure)

const identity = (table: string, dataset = "_/example"): TableIdentity => ({
  table,
  dataset,
  version: "0.1.0",
  fingerprint: "f1",
  positionColumn: "_block_num"
})

/** Acquires the lease of a table and records what the table is filled with. */
const leased = ({ checkpoints, pool }: Writer, table: string, of: Partial<TableIdentity> = {}) => {
  const recording = { ...identity(table), ...of }
  return pool.transaction(
    checkpoints.activity(table),
    Effect.tap(checkpoints.acquire(recording), (lease) => checkpoints.record(lease, recording))
  )
}

const at = (block: bigint, fork = 0): Watermark => ({ block, hash: hashOf(block, fork) })

const change = (history: ReadonlyArray<Watermark>, more: Partial<Advance> = {}): Advance => ({
  checkpoint: { network: "anvil", origin: 0n, history, unverifiedFrom: undefined },
  reorgs: [],
  rowsAdded: 10,
  rowsRemoved: 0,
  provisionalRows: 0n,
  blockTimestamp: 1_700_000_000,
  ...more
})

/** What the transaction of a chunk does to the bookkeeping. */
const fenceAndAdvance = ({ checkpoints }: Writer, lease: WriterLease, what: Advance) =>
  Effect.andThen(checkpoints.fence(lease), checkpoints.advance(lease, what))

const advanced = (writer: Writer, lease: WriterLease, what: Advance) =>
  writer.pool.transaction(writer.checkpoints.activity(lease.table), fenceAndAdvance(writer, lease, what))

const stored = (database: TestDatabase, table: string) =>
  Effect.map(
    database.query<Record<string, string | null>>(
      `SELECT c.max_block_num, c.watermark_hash, c.rows, c.provisional_rows, c.commit_seq, c.writer_epoch, c.writer,
         (SELECT string_agg(w.block_num::text, ' ' ORDER BY block_num) FROM _ampsync_watermarks w USING (table_name)) AS history
       FROM _ampsync_checkpoints c WHERE table_name = $1`.replace(
        "w USING (table_name)",
        "w WHERE w.table_name = c.table_name"
      ),
      [table]
    ),
    ([row]) => row
  )

/** Makes every writer but the newest look as if it had said nothing for ten seconds. */
const silence = (database: TestDatabase, { checkpoints }: Writer) =>
  Effect.andThen(
    database.query("UPDATE _ampsync_writers SET heartbeat_at = heartbeat_at - interval '10 seconds'"),
    checkpoints.heartbeat
  )

const saying = (table: string, state: TableState["state"], reason?: string, ageMillis = 0): TableState => ({
  table,
  state,
  reason,
  ageMillis
})

/** What the view says of a table's state. */
const told = (database: TestDatabase, table: string) =>
  Effect.map(
    database.query<{ state: string; reason: string | null; state_since: Date | null; rows: string | null }>(
      "SELECT state, reason, state_since, rows FROM _ampsync_progress WHERE table_name = $1",
      [table]
    ),
    (rows) => (assert.isAtMost(rows.length, 1), rows[0])
  )

describe("the bookkeeping tables", () => {
  it.live("are made by many processes that start at once, and once more without harm", () =>
    Effect.gen(function*() {
      const database = yield* testDatabase
      yield* database.query(`DROP SCHEMA ${database.schema}`)
      const writers = yield* Effect.forEach([1, 2, 3, 4, 5], () => newWriter(database), { concurrency: "unbounded" })
      yield* Effect.forEach(writers, ({ checkpoints }) => checkpoints.ensure, {
        concurrency: "unbounded",
        discard: true
      })
      yield* writers[0]!.checkpoints.ensure
      const tables = yield* database.query<{ name: string }>(
        "SELECT relname AS name FROM pg_class WHERE relnamespace = $1::regnamespace AND relkind IN ('r', 'v') ORDER BY 1",
        [database.schema]
      )
      assert.deepStrictEqual(tables.map(({ name }) => name), [
        "_ampsync_checkpoints",
        "_ampsync_progress",
        "_ampsync_reorgs",
        "_ampsync_states",
        "_ampsync_watermarks",
        "_ampsync_writers"
      ])
      assert.lengthOf(yield* database.query("SELECT 1 FROM _ampsync_writers"), 5)
    }))

  it.live("of the first ampsync are recognised and extended; what they say stays, and their data tables are refused", () =>
    Effect.gen(function*() {
      const database = yield* testDatabase
      yield* database.query(
        "CREATE TABLE _ampsync_checkpoints (table_name TEXT PRIMARY KEY, max_block_num BIGINT NOT NULL, updated_at TIMESTAMPTZ NOT NULL DEFAULT NOW())"
      )
      yield* database.query("INSERT INTO _ampsync_checkpoints VALUES ('logs', 41, '2025-10-04T00:00:00Z')")
      yield* database.query("CREATE TABLE logs (block_num numeric PRIMARY KEY)")
      const writer = yield* preparedWriter(database)
      const error = yield* Effect.flip(leased(writer, "logs"))
      assert.strictEqual(error._tag, "TableRefused")
      assert.include(error.message, "earlier ampsync")
      assert.include(error.message, "DATABASE_SCHEMA")
      const [row] = yield* database.query("SELECT max_block_num, writer, updated_at FROM _ampsync_checkpoints")
      assert.deepStrictEqual(row, { max_block_num: "41", writer: null, updated_at: new Date("2025-10-04T00:00:00Z") })
      // Another table is synced beside it.
      const lease = yield* leased(writer, "blocks")
      assert.isUndefined(lease.recorded)
    }))

  it.live("of a version that did not say states are extended, and views on _ampsync_progress stay", () =>
    Effect.gen(function*() {
      const database = yield* testDatabase
      const writer = yield* preparedWriter(database)
      yield* leased(writer, "logs")
      yield* database.query(
        `DROP VIEW _ampsync_progress; DROP TABLE _ampsync_states;
         ALTER TABLE _ampsync_writers DROP config_loaded_at, DROP reload_failed_at, DROP reload_reason;
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
      const pending = yield* writer.checkpoints.pending
      assert.deepStrictEqual(pending.map((text) => text.split(/\s+/).slice(0, 2).join(" ")), [
        "ALTER TABLE",
        "CREATE TABLE",
        "ALTER TABLE",
        "CREATE OR",
        "COMMENT ON",
        // Of the tables and of the view, each in one text.
        "COMMENT ON",
        "COMMENT ON",
        "COMMENT ON"
      ])
      yield* writer.checkpoints.ensure
      assert.lengthOf(yield* writer.checkpoints.pending, 0)
      assert.deepInclude(yield* told(database, "logs"), { state: "no process", reason: null, state_since: null })
      yield* writer.checkpoints.report([saying("logs", "caught up")])
      yield* writer.checkpoints.reportReload({ ageMillis: 0, reason: "no" })
      assert.deepInclude(yield* told(database, "logs"), { state: "caught up" })
      assert.lengthOf(yield* database.query("SELECT FROM mine WHERE table_name = 'logs' AND writer IS NOT NULL"), 1)
    }))

  it.live("of a version that kept reorgs in one order for all tables are given another key, by which _ampsync_progress finds the newest", () =>
    Effect.gen(function*() {
      const database = yield* testDatabase
      const writer = yield* preparedWriter(database)
      yield* leased(writer, "logs")
      yield* database.query(
        "ALTER TABLE _ampsync_reorgs DROP CONSTRAINT _ampsync_reorgs_pkey, ADD PRIMARY KEY (id)"
      )
      const pending = yield* writer.checkpoints.pending
      assert.deepStrictEqual(pending.map((text) => text.split(" ").slice(0, 2).join(" ")), ["ALTER TABLE"])
      yield* writer.checkpoints.ensure
      assert.lengthOf(yield* writer.checkpoints.pending, 0)
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

  it.live("of a program we do not know are refused with a sentence and left alone", () =>
    Effect.gen(function*() {
      const database = yield* testDatabase
      yield* database.query(
        "CREATE TABLE _ampsync_checkpoints (table_name TEXT, network TEXT, incremental_block_num BIGINT, PRIMARY KEY (table_name, network))"
      )
      const writer = yield* newWriter(database)
      const error = yield* Effect.flip(writer.checkpoints.ensure)
      assert.isFalse(error.isRetryable)
      assert.include(error.message, "DATABASE_SCHEMA")
      assert.lengthOf(yield* database.query("SELECT 1 FROM pg_tables WHERE schemaname = $1", [database.schema]), 1)
    }))

  it.live("name the GRANT to run where the role lacks a right that it needs, and are content without CREATE where nothing is to be made", () =>
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
      const use = yield* Effect.flip((yield* as(database.schema)).checkpoints.ensure)
      assert.include(use.message, `GRANT USAGE, CREATE ON SCHEMA "${database.schema}" TO "${role}"`)
      const create = yield* Effect.flip((yield* as(`${database.schema}_x`)).checkpoints.ensure)
      assert.include(create.message, `CREATE SCHEMA "${database.schema}_x" AUTHORIZATION "${role}"`)
      assert.isFalse(use.isRetryable || create.isRetryable)
      // What the sentence says is enough.
      yield* database.query(`GRANT USAGE, CREATE ON SCHEMA "${database.schema}" TO "${role}"`)
      yield* (yield* as(database.schema)).checkpoints.ensure
      // Where nothing is to be made, the right to make it is not needed.
      yield* database.query(`REVOKE CREATE ON SCHEMA "${database.schema}" FROM "${role}"`)
      const restarted = yield* as(database.schema)
      yield* restarted.checkpoints.ensure
      assert.deepStrictEqual(yield* restarted.checkpoints.pending, [])
      yield* database.query(`DROP VIEW _ampsync_progress`)
      assert.include((yield* Effect.flip(restarted.checkpoints.ensure)).message, `GRANT USAGE, CREATE ON SCHEMA`)
    }))
})

describe("a lease", () => {
  it.live("of a new table holds nothing, and the next one holds what was recorded", () =>
    Effect.gen(function*() {
      const database = yield* testDatabase
      const writer = yield* preparedWriter(database)
      const lease = yield* leased(writer, "logs")
      assert.deepInclude(lease, {
        recorded: undefined,
        epoch: 1n,
        commitSeq: 0n,
        rows: 0n,
        checkpoint: emptyCheckpoint
      })
      yield* database.query("CREATE TABLE logs ()")
      const after = yield* advanced(writer, lease, change([at(9n)], { provisionalRows: 3n }))
      const again = yield* leased(writer, "logs")
      assert.deepInclude(again, {
        recorded: { fingerprint: "f1", positionColumn: "_block_num", version: "0.1.0" },
        epoch: 2n,
        commitSeq: 1n,
        rows: 10n,
        provisionalRows: 3n,
        checkpoint: { network: "anvil", origin: 0n, history: [at(9n)], unverifiedFrom: undefined }
      })
      assert.strictEqual(after.commitSeq, 1n)
    }))

  it.live("I3 is refused while its holder is alive, and given when it released the table or fell silent", () =>
    Effect.gen(function*() {
      const database = yield* testDatabase
      const [first, second] = [yield* preparedWriter(database), yield* preparedWriter(database)]
      const lease = yield* leased(first, "logs")
      const held = yield* Effect.flip(leased(second, "logs"))
      assert.strictEqual(held._tag, "TableHeld")
      yield* first.checkpoints.release("logs")
      const taken = yield* leased(second, "logs")
      assert.strictEqual(taken.epoch, lease.epoch + 1n)
      assert.strictEqual((yield* Effect.flip(leased(first, "logs")))._tag, "TableHeld")
      yield* silence(database, first)
      assert.strictEqual((yield* leased(first, "logs")).epoch, lease.epoch + 2n)
      // Who is not the holder cannot release it.
      yield* second.checkpoints.release("logs")
      assert.isNotNull((yield* stored(database, "logs"))?.["writer"])
    }))

  it.live("I3 of a dead writer whose heartbeat lies in the future, by the clock of a lost server, is given to the next", () =>
    Effect.gen(function*() {
      const database = yield* testDatabase
      const [first, second] = [yield* preparedWriter(database), yield* preparedWriter(database)]
      yield* leased(first, "blocks")
      yield* first.checkpoints.report([saying("blocks", "caught up")])
      yield* database.query("UPDATE _ampsync_writers SET heartbeat_at = heartbeat_at + interval '1 hour'")
      const [progress] = yield* database.query("SELECT state FROM _ampsync_progress WHERE table_name = 'blocks'")
      assert.strictEqual(progress?.["state"], "no process")
      const lease = yield* leased(second, "blocks")
      assert.strictEqual(lease.epoch, 2n)
      // The heartbeat of a living writer is back within seconds, and counts again.
      yield* second.checkpoints.heartbeat
      assert.strictEqual((yield* Effect.flip(leased(first, "blocks")))._tag, "TableHeld")
    }))

  it.live("I3 is refused without waiting while its living holder is in a long transaction", () =>
    Effect.gen(function*() {
      const database = yield* testDatabase
      const [first, second] = [yield* preparedWriter(database), yield* preparedWriter(database)]
      const lease = yield* leased(first, "logs")
      const long = yield* Effect.forkScoped(first.pool.transaction(
        first.checkpoints.activity("logs"),
        Effect.andThen(fenceAndAdvance(first, lease, change([at(1n)])), Effect.never)
      ))
      yield* eventually("the transaction runs", isInTransaction(database, first.checkpoints.activity("logs")))
      const began = Date.now()
      assert.strictEqual((yield* Effect.flip(leased(second, "logs")))._tag, "TableHeld")
      assert.isBelow(Date.now() - began, 3_000, "it did not wait for the lock")
      yield* Fiber.interrupt(long)
    }))

  it.live("of a table that another dataset fills is refused, unless that table was dropped", () =>
    Effect.gen(function*() {
      const database = yield* testDatabase
      const writer = yield* preparedWriter(database)
      yield* leased(writer, "logs", { dataset: "_/theirs" })
      yield* database.query("CREATE TABLE logs ()")
      const error = yield* Effect.flip(leased(writer, "logs"))
      assert.strictEqual(error._tag, "TableRefused")
      assert.include(error.message, "_/theirs")
      yield* database.query("DROP TABLE logs")
      const lease = yield* leased(writer, "logs", { positionColumn: "block_num" })
      assert.isDefined(lease.recorded, "what the checkpoint says of the old table is still to be forgotten")
      const forgotten = yield* writer.pool.transaction("test", writer.checkpoints.forget(lease, 0n))
      assert.deepInclude(forgotten, {
        checkpoint: emptyCheckpoint,
        recorded: { fingerprint: "f1", positionColumn: "block_num", version: "0.1.0" }
      })
      assert.strictEqual((yield* leased(writer, "logs")).recorded?.positionColumn, "block_num")
    }))

  it.live("of a table that was leased and never filled goes to whichever dataset asks next", () =>
    Effect.gen(function*() {
      const database = yield* testDatabase
      const writer = yield* preparedWriter(database)
      const { checkpoints, pool } = writer
      yield* pool.transaction("test", checkpoints.acquire(identity("logs", "_/theirs")))
      yield* database.query("CREATE TABLE logs ()")
      assert.isTrue(Option.isNone(yield* checkpoints.recorded("logs")))
      assert.isUndefined((yield* leased(writer, "logs")).recorded)
      assert.strictEqual(Option.getOrThrow(yield* checkpoints.recorded("logs")).dataset, "_/example")
    }))

  it.live("I3 that ended records nothing of the table", () =>
    Effect.gen(function*() {
      const database = yield* testDatabase
      const [first, second] = [yield* preparedWriter(database), yield* preparedWriter(database)]
      const old = yield* leased(first, "logs")
      yield* silence(database, second)
      yield* leased(second, "logs")
      const before = yield* database.query("SELECT * FROM _ampsync_checkpoints")
      const record = first.checkpoints.record(old, { ...identity("logs"), fingerprint: "f2" })
      assert.strictEqual((yield* Effect.flip(first.pool.transaction("test", record)))._tag, "Fenced")
      assert.deepStrictEqual(yield* database.query("SELECT * FROM _ampsync_checkpoints"), before)
    }))
})

const isInTransaction = (database: TestDatabase, activity: string) =>
  Effect.map(
    database.query("SELECT 1 FROM pg_stat_activity WHERE application_name = $1 AND backend_xid IS NOT NULL", [
      activity
    ]),
    (rows) => rows.length > 0
  )

describe("an advance", () => {
  it.live("I3 of a writer whose epoch has passed is fenced and records nothing", () =>
    Effect.gen(function*() {
      const database = yield* testDatabase
      const [first, second] = [yield* preparedWriter(database), yield* preparedWriter(database)]
      const old = yield* leased(first, "logs")
      yield* silence(database, second)
      const current = yield* leased(second, "logs")
      // Nothing was committed yet: only the epoch tells the two apart.
      assert.strictEqual((yield* Effect.flip(advanced(first, old, change([at(4n)]))))._tag, "Fenced")
      yield* advanced(second, current, change([at(5n)]))
      const before = yield* stored(database, "logs")
      assert.strictEqual((yield* Effect.flip(advanced(first, old, change([at(7n)]))))._tag, "Fenced")
      assert.deepStrictEqual(yield* stored(database, "logs"), before)
    }))

  it.live("I3 without the fence in its transaction is refused", () =>
    Effect.gen(function*() {
      const database = yield* testDatabase
      const writer = yield* preparedWriter(database)
      const lease = yield* leased(writer, "logs")
      const before = yield* stored(database, "logs")
      const alone = writer.pool.transaction("test", writer.checkpoints.advance(lease, change([at(4n)])))
      assert.strictEqual((yield* Effect.flip(alone))._tag, "Fenced")
      assert.deepStrictEqual(yield* stored(database, "logs"), before)
    }))

  it.live("I1 that was sent before cannot be applied a second time", () =>
    Effect.gen(function*() {
      const database = yield* testDatabase
      const writer = yield* preparedWriter(database)
      const lease = yield* leased(writer, "logs")
      yield* advanced(writer, lease, change([at(5n)]))
      assert.strictEqual((yield* Effect.flip(advanced(writer, lease, change([at(5n)]))))._tag, "Fenced")
      assert.deepInclude(yield* stored(database, "logs"), { rows: "10", commit_seq: "1" })
    }))

  it.live("I1 leaves no trace when its transaction fails", () =>
    Effect.gen(function*() {
      const database = yield* testDatabase
      const writer = yield* preparedWriter(database)
      const lease = yield* leased(writer, "logs")
      const current = yield* advanced(writer, lease, change([at(5n)]))
      const before = yield* stored(database, "logs")
      const reorg = { firstBlock: 4n, replaced: at(5n), newHash: hashOf(6n, 1) }
      yield* Effect.flip(writer.pool.transaction(
        "test",
        Effect.andThen(
          fenceAndAdvance(writer, current, change([at(3n), at(6n, 1)], { reorgs: [reorg] })),
          Effect.fail("afterwards")
        )
      ))
      assert.deepStrictEqual(yield* stored(database, "logs"), before)
      assert.lengthOf(yield* database.query("SELECT 1 FROM _ampsync_reorgs"), 0)
      // The lease from before still holds: nothing happened.
      yield* advanced(writer, current, change([at(3n), at(6n, 1)], { reorgs: [reorg] }))
      assert.deepInclude(yield* stored(database, "logs"), { max_block_num: "6", history: "3 6" })
    }))

  it.live("keeps the stored history equal to the one it is given, whatever was added, replaced or thinned", () =>
    Effect.gen(function*() {
      const database = yield* testDatabase
      const writer = yield* preparedWriter(database)
      let lease = yield* leased(writer, "logs")
      const histories = [[1n, 2n, 3n], [1n, 3n, 4n, 5n], [1n], [], [1n, 9n], [2n]]
      for (const [fork, blocks] of histories.entries()) {
        const history = blocks.map((block) => at(block, fork))
        lease = yield* advanced(writer, lease, change(history))
        assert.deepStrictEqual(lease.checkpoint.history, history)
        const rows = yield* database.query<{ block: string; hash: string }>(
          "SELECT block_num AS block, hash FROM _ampsync_watermarks WHERE table_name = 'logs' ORDER BY block_num"
        )
        assert.deepStrictEqual(rows.map(({ block, hash }) => ({ block: BigInt(block), hash })), history)
        const newest = history.at(-1)
        assert.deepInclude(yield* stored(database, "logs"), {
          max_block_num: newest?.block.toString() ?? null,
          watermark_hash: newest?.hash ?? null
        })
      }
      // What another process reads is what this one holds.
      assert.deepStrictEqual((yield* leased(writer, "logs")).checkpoint.history, lease.checkpoint.history)
    }))

  it.live("records each reorg with the rows that its transaction removed", () =>
    Effect.gen(function*() {
      const database = yield* testDatabase
      const writer = yield* preparedWriter(database)
      let lease = yield* leased(writer, "logs")
      lease = yield* advanced(writer, lease, change([at(9n)], { rowsAdded: 100 }))
      for (const rowsRemoved of [7, 4]) {
        const reorg = { firstBlock: 8n, replaced: at(9n), newHash: hashOf(10n, 1) }
        const what = change([at(7n)], { reorgs: [reorg], rowsAdded: 0, rowsRemoved, provisionalRows: 2n })
        lease = yield* advanced(writer, lease, what)
      }
      // The deletion of provisional rows without a reorg belongs to no reorg.
      lease = yield* advanced(writer, lease, change([at(7n)], { rowsAdded: 0, rowsRemoved: 2 }))
      const reorgs = yield* database.query("SELECT first_block, depth, rows_removed FROM _ampsync_reorgs ORDER BY id")
      assert.deepStrictEqual(reorgs, [
        { first_block: "8", depth: "2", rows_removed: "7" },
        { first_block: "8", depth: "2", rows_removed: "4" }
      ])
      assert.deepInclude(yield* stored(database, "logs"), { rows: "87", provisional_rows: "0" })
      assert.strictEqual(lease.rows, 87n)
    }))

  it.live("keeps the newest thousand reorgs of each table, and removes of many older ones a thousand at a time", () =>
    Effect.gen(function*() {
      const database = yield* testDatabase
      const writer = yield* preparedWriter(database)
      yield* database.query(
        `INSERT INTO _ampsync_reorgs (table_name, first_block, depth, new_hash)
         SELECT CASE n % 2 WHEN 0 THEN 'logs' ELSE 'blocks' END, n, 1, '' FROM generate_series(1, 5000) n`
      )
      const left = database.query(
        "SELECT table_name AS name, count(*)::int AS count, min(first_block)::int AS oldest FROM _ampsync_reorgs GROUP BY 1 ORDER BY 1"
      )
      const reorg = (block: bigint) => ({ firstBlock: block, replaced: at(block), newHash: hashOf(block, 1) })
      let lease = yield* leased(writer, "logs")
      const counts: Array<unknown> = []
      for (const blocks of [[6_001n], [6_002n, 6_003n], [6_004n]]) {
        lease = yield* advanced(writer, lease, change([at(7n)], { reorgs: blocks.map(reorg), rowsAdded: 0 }))
        counts.push((yield* left).map(({ count }) => count))
      }
      assert.deepStrictEqual(counts, [[2500, 1501], [2500, 1000], [2500, 1000]])
      const [others, own] = yield* left
      assert.deepStrictEqual([others, own], [
        { name: "blocks", count: 2500, oldest: 1 },
        { name: "logs", count: 1000, oldest: 3010 }
      ])
    }))

  it.live("is told to people by the view _ampsync_progress", () =>
    Effect.gen(function*() {
      const database = yield* testDatabase
      const writer = yield* preparedWriter(database)
      const lease = yield* leased(writer, "logs")
      yield* advanced(writer, lease, {
        ...change([at(9n)], {
          provisionalRows: 4n,
          reorgs: [{ firstBlock: 8n, replaced: at(9n), newHash: hashOf(10n) }]
        }),
        checkpoint: { network: "anvil", origin: 0n, history: [at(9n)], unverifiedFrom: 3n }
      })
      const [row] = yield* database.query<Record<string, unknown>>("SELECT * FROM _ampsync_progress")
      assert.deepInclude(row, {
        table_name: "logs",
        dataset: "_/example",
        dataset_version: "0.1.0",
        network: "anvil",
        watermark: "9",
        watermark_hash: hashOf(9n),
        block_at: new Date(1_700_000_000_000),
        rows: "10",
        provisional_rows: "4",
        unverified: true,
        last_reorg_block: "8",
        last_reorg_depth: "2"
      })
      assert.isNotNull(row?.["writer_seen_at"])
    }))
})

describe("the state of a table", () => {
  it.live("is there before its first checkpoint, with the reason and since when", () =>
    Effect.gen(function*() {
      const database = yield* testDatabase
      const { checkpoints } = yield* preparedWriter(database)
      yield* checkpoints.report([saying("logs", "parked", "not ours", 60_000), saying("blocks", "starting")])
      const row = (yield* told(database, "logs"))!
      assert.deepInclude(row, { state: "parked", reason: "not ours", rows: null })
      assert.approximately(Date.now() - row.state_since!.getTime(), 60_000, 5_000)
      yield* checkpoints.report([saying("logs", "catching up")])
      assert.deepInclude(yield* told(database, "logs"), { state: "catching up", reason: null })
      assert.deepInclude(yield* told(database, "blocks"), { state: "starting" })
    }))

  it.live("I7 has a reason of a thousand characters at most, whatever is in it", () =>
    Effect.gen(function*() {
      const database = yield* testDatabase
      const { checkpoints } = yield* preparedWriter(database)
      const reason = `a "b", \\'{c}\u0000d ${"x".repeat(978)}\u{1f600}${"y".repeat(5_000)}`
      yield* checkpoints.report([saying("logs", "stalled", reason)])
      yield* checkpoints.reportReload({ ageMillis: 0, reason })
      const said = (yield* told(database, "logs"))!.reason!
      assert.isTrue(said.startsWith("a \"b\", \\'{c}\ufffdd x"), said.slice(0, 30))
      assert.isAtMost([...said].length, 1_000)
      assert.deepStrictEqual(yield* database.query("SELECT reload_reason FROM _ampsync_writers"), [{
        reload_reason: said
      }])
    }))

  it.live("is what the process that writes it says, whoever else speaks of it, before or after", () =>
    Effect.gen(function*() {
      const database = yield* testDatabase
      const [first, second] = [yield* preparedWriter(database), yield* preparedWriter(database)]
      yield* leased(first, "logs")
      yield* second.checkpoints.report([saying("logs", "standby", "held")])
      yield* first.checkpoints.report([saying("logs", "caught up", undefined, 1_000)])
      assert.deepInclude(yield* told(database, "logs"), { state: "caught up" })
      for (const state of ["standby", "parked", "removed", "stopped"] as const) {
        yield* second.checkpoints.report([saying("logs", state, "another word")])
        assert.deepInclude(yield* told(database, "logs"), { state: "caught up" }, state)
      }
      // A parked table is given back: whoever may go on with it is believed.
      yield* first.checkpoints.report([saying("logs", "parked", "no")])
      yield* first.checkpoints.release("logs")
      yield* second.checkpoints.report([saying("logs", "standby")])
      assert.deepInclude(yield* told(database, "logs"), { state: "parked" })
      yield* leased(second, "logs")
      yield* second.checkpoints.report([saying("logs", "catching up")])
      assert.deepInclude(yield* told(database, "logs"), { state: "catching up" })
    }))

  it.live("of a process that fell silent is its last word, said to be one; an end in good order stays one", () =>
    Effect.gen(function*() {
      const database = yield* testDatabase
      const [first, second] = [yield* preparedWriter(database), yield* preparedWriter(database)]
      yield* first.checkpoints.report([
        saying("logs", "stalled", "no server"),
        saying("blocks", "stopped"),
        saying("transactions", "removed", "not in the config")
      ])
      yield* silence(database, second)
      const row = yield* told(database, "logs")
      assert.deepInclude(row, { state: "no process", reason: "last said: stalled: no server" })
      assert.approximately(Date.now() - row!.state_since!.getTime(), 10_000, 5_000)
      assert.deepInclude(yield* told(database, "blocks"), { state: "stopped" })
      assert.deepInclude(yield* told(database, "transactions"), { state: "removed", reason: "not in the config" })
      // Its heartbeat is forgotten after a day, what it said is not.
      yield* database.query("UPDATE _ampsync_writers SET heartbeat_at = heartbeat_at - interval '2 days'")
      yield* second.checkpoints.ensure
      assert.deepInclude(yield* told(database, "logs"), { state: "no process" })
      assert.deepInclude(yield* told(database, "blocks"), { state: "stopped" })
      for (const table of ["logs", "blocks"]) {
        yield* second.checkpoints.report([saying(table, "starting")])
        assert.deepInclude(yield* told(database, table), { state: "starting" })
      }
      assert.lengthOf(yield* database.query("SELECT FROM _ampsync_states"), 3, "the words of the dead are gone")
    }))
})

describe("a session that hangs in a transaction", () => {
  it.live(
    "I3 is ended when its writer is stale; that of another table or of a living writer is not",
    () =>
      Effect.gen(function*() {
        const database = yield* testDatabase
        const [first, second] = [yield* preparedWriter(database), yield* preparedWriter(database)]
        const names = ["logs", "blocks"]
        const hanging = yield* Effect.forEach(names, (name) =>
          Effect.gen(function*() {
            const lease = yield* leased(first, name)
            const fiber = yield* Effect.forkScoped(Effect.exit(first.pool.transaction(
              first.checkpoints.activity(name),
              Effect.andThen(fenceAndAdvance(first, lease, change([at(1n)])), Effect.never)
            )))
            yield* eventually("it hangs", isInTransaction(database, first.checkpoints.activity(name)))
            return fiber
          }))
        assert.strictEqual(yield* second.checkpoints.evictStale("logs"), 0, "its writer is alive")
        assert.isTrue(yield* isInTransaction(database, first.checkpoints.activity("logs")))
        yield* silence(database, second)
        assert.strictEqual(yield* second.checkpoints.evictStale("logs"), 1)
        yield* eventually(
          "the session is gone",
          Effect.map(isInTransaction(database, first.checkpoints.activity("logs")), (there) => !there)
        )
        assert.isTrue(yield* isInTransaction(database, first.checkpoints.activity("blocks")))
        assert.strictEqual((yield* leased(second, "logs")).epoch, 2n)
        yield* Effect.forEach(hanging, (fiber) => Fiber.interrupt(fiber))
      }),
    40_000
  )

  it.live("I3 is ended too when its writer hangs while it takes the right to write", () =>
    Effect.gen(function*() {
      const database = yield* testDatabase
      const [first, second] = [yield* preparedWriter(database), yield* preparedWriter(database)]
      yield* leased(first, "logs")
      yield* first.checkpoints.release("logs")
      const { checkpoints, pool } = first
      yield* Effect.forkScoped(Effect.exit(
        pool.transaction(
          checkpoints.activity("logs"),
          Effect.andThen(checkpoints.acquire(identity("logs")), Effect.never)
        )
      ))
      yield* eventually("the lease hangs", isInTransaction(database, checkpoints.activity("logs")))
      yield* silence(database, second)
      assert.strictEqual(yield* second.checkpoints.evictStale("logs"), 1)
      assert.strictEqual((yield* leased(second, "logs")).epoch, 2n)
    }))

  it.live("I3 is found under the longest and the strangest names of tables, and never under another's", () =>
    Effect.gen(function*() {
      const database = yield* testDatabase
      const writer = yield* preparedWriter(database)
      const prefix = "x".repeat(60)
      const names = [`${prefix}aaa`, `${prefix}aab`, "журнал событий", "журнал переводов", "a\"b'c\\d", "ünïcödé"]
      assert.strictEqual(new Set(names.map((name) => writer.checkpoints.activity(name))).size, names.length)
      for (const name of names) {
        const seen = yield* writer.pool.transaction(
          writer.checkpoints.activity(name),
          Effect.andThen(
            writer.pool.sql.unsafe("SELECT pg_current_xact_id()"),
            isInTransaction(database, writer.checkpoints.activity(name))
          )
        )
        assert.isTrue(seen, name)
      }
      assert.strictEqual(activityOf("0badcafe", "logs"), "ampsync 0badcafe logs")
    }))
})
