import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { layerWith as poolLayer } from "../../src/layers/PgPool.ts"
import { layer } from "../../src/layers/RecordedStatus.ts"
import { RecordedStatus } from "../../src/services/RecordedStatus.ts"
import { leased, preparedWriter } from "../support/bookkeeping.ts"
import { type TestDatabase, testDatabase } from "../support/postgres.ts"
import { testSettings } from "../support/testSettings.ts"

const read = (database: TestDatabase) =>
  Effect.scoped(Effect.flatMap(
    Layer.build(
      layer.pipe(Layer.provide(poolLayer({ waits: false })), Layer.provide(Layer.fresh(testSettings(database))))
    ),
    (services) => Context.get(services, RecordedStatus).read
  ))

const failure = (database: TestDatabase) => Effect.map(Effect.flip(read(database)), ({ message }) => message)

describe("RecordedStatus", () => {
  it.live("reads in one transaction that sees one snapshot and cannot write", () =>
    Effect.gen(function*() {
      const database = yield* testDatabase
      yield* preparedWriter(database)
      yield* database.query(
        `DROP VIEW _ampsync_latest;
         CREATE VIEW _ampsync_latest AS SELECT current_setting('application_name') AS dataset,
           current_setting('transaction_read_only') AS network, 1::bigint AS block_num,
           current_setting('transaction_isolation') AS hash, '{}'::text[] AS tables`
      )
      const { latest } = yield* read(database)
      assert.deepStrictEqual(latest, [
        { dataset: "ampsync status", network: "on", block: 1n, hash: "repeatable read", tables: [] }
      ])
    }))

  it.live("shows the version and the start of a process, and none that is dead and writes nothing", () =>
    Effect.gen(function*() {
      const database = yield* testDatabase
      const [dead, alive] = [yield* preparedWriter(database), yield* preparedWriter(database)]
      yield* leased(alive, "logs")
      yield* database.query(
        "UPDATE _ampsync_writers SET heartbeat_at = now() - interval '7 seconds' WHERE writer = $1",
        [
          dead.leases.writer
        ]
      )
      const { readAtMillis, tables, writers } = yield* read(database)
      assert.deepStrictEqual(writers.map(({ isAlive, version, writer }) => ({ isAlive, version, writer })), [
        { isAlive: true, version: "0.1.0", writer: alive.leases.writer }
      ])
      assert.isAtMost(Math.abs(readAtMillis - writers[0]!.startedAtMillis!), 60_000)
      assert.deepStrictEqual(tables.map(({ state, table, writer }) => ({ state, table, writer })), [
        { state: "offline", table: "logs", writer: alive.leases.writer }
      ])
    }))

  it.live("fails with what is missing: the schema, the bookkeeping, what an earlier version lacks, or a right", () =>
    Effect.gen(function*() {
      const database = yield* testDatabase
      const { query, schema, url } = database
      assert.match(
        yield* failure({ ...database, schema: "not_there" }),
        /^schema "not_there" of database .* does not exist; check DATABASE_SCHEMA, or start ampsync once/
      )
      assert.match(yield* failure(database), /has no table of ampsync: no sync was started with it/)
      yield* preparedWriter(database)
      const role = `reader_${schema}`
      yield* Effect.acquireRelease(
        query(`CREATE ROLE ${role} LOGIN PASSWORD 'test'`),
        () => Effect.andThen(query(`DROP OWNED BY ${role}`), query(`DROP ROLE ${role}`))
      )
      const login = new URL(url)
      login.username = role
      login.password = "test"
      const asReader = { ...database, url: login.href }
      assert.include(yield* failure(asReader), `run: GRANT USAGE ON SCHEMA "${schema}" TO "${role}"`)
      yield* query(`GRANT USAGE ON SCHEMA ${schema} TO ${role}; GRANT SELECT ON _ampsync_progress TO ${role}`)
      const withoutSelect = yield* failure(asReader)
      assert.match(withoutSelect, /run: GRANT SELECT ON .*_ampsync_writers.* TO /)
      assert.notInclude(withoutSelect, "_ampsync_progress")
      yield* query("DROP VIEW _ampsync_latest; ALTER TABLE _ampsync_writers DROP version")
      assert.match(
        yield* failure(database),
        /of an earlier version \(it lacks _ampsync_latest, _ampsync_writers\.version\); start this version once/
      )
    }))
})
