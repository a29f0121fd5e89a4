import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { layer } from "../../src/layers/DatabaseChecks.ts"
import { layerWith as poolLayer } from "../../src/layers/PgPool.ts"
import { DatabaseChecks, type TableTrial } from "../../src/services/DatabaseChecks.ts"
import { preparedWriter } from "../support/bookkeeping.ts"
import { holdLock } from "../support/holdLock.ts"
import { type TestDatabase, testDatabase } from "../support/postgres.ts"
import { startProxy, throughProxy } from "../support/proxy.ts"
import { testSettings } from "../support/testSettings.ts"
import { startTransactionPooler } from "../support/transactionPooler.ts"

const checksOf = (database: TestDatabase) =>
  Effect.map(
    Layer.build(
      layer.pipe(Layer.provide(poolLayer({ waits: false })), Layer.provide(Layer.fresh(testSettings(database))))
    ),
    (services) => Context.get(services, DatabaseChecks)
  )

const relations = ({ query, schema }: TestDatabase) =>
  query("SELECT relname, relfilenode FROM pg_class WHERE relnamespace = $1::regnamespace ORDER BY 1", [schema])

const trialOf = (
  kind: "create" | "alter" | "none",
  { schema }: TestDatabase,
  fields: Partial<TableTrial> = {}
): TableTrial => ({
  plan: {
    table: "t",
    kind,
    statements: kind === "create" ? [`CREATE TABLE ${schema}.t (b bigint, i integer, PRIMARY KEY (b, i))`] : [],
    indexed: [],
    notes: [],
    startsAtFirstBlock: false
  },
  columns: ["b", "i"],
  indexes: [["i"]],
  before: [],
  ...fields
})

describe("what is between a client and PostgreSQL", () => {
  it.live("is nothing, a pooler that keeps sessions, or one that lends them by transaction", () =>
    Effect.gen(function*() {
      const database = yield* testDatabase
      const port = Number(new URL(database.url).port)
      assert.strictEqual(yield* (yield* checksOf(database)).pooling, "none")
      const proxy = yield* startProxy(port)
      proxy.renumberBackends()
      assert.strictEqual(
        yield* (yield* checksOf({ ...database, url: throughProxy(database.url, proxy) })).pooling,
        "session"
      )
      const pooler = yield* startTransactionPooler(port)
      const url = new URL(database.url)
      url.port = String(pooler.port)
      url.searchParams.set("sslmode", "disable")
      const checks = yield* checksOf({ ...database, url: url.href })
      assert.strictEqual(yield* checks.pooling, "transaction")
      // Everything else works there as well.
      yield* checks.tryTable(trialOf("create", database))
      assert.strictEqual((yield* checks.facts).encoding, "UTF8")
    }))
})

describe("a trial", () => {
  it.live("leaves nothing behind, of the bookkeeping, of a table that is new, or of one that exists", () =>
    Effect.gen(function*() {
      const database = yield* testDatabase
      const checks = yield* checksOf(database)
      const before = yield* relations(database)
      yield* checks.tryTable(trialOf("create", database))
      yield* checks.tryNotify
      assert.deepStrictEqual(yield* relations(database), before)
      yield* preparedWriter(database)
      yield* database.query("CREATE TABLE t (b bigint, i integer); INSERT INTO t VALUES (1, 1)")
      const made = yield* relations(database)
      const sequence = database.query("SELECT last_value, is_called FROM _ampsync_reorgs_id_seq")
      const unused = yield* sequence
      yield* checks.tryBookkeeping([`CREATE TABLE ${database.schema}.more (i integer)`])
      yield* checks.tryTable(trialOf("alter", database))
      assert.deepStrictEqual(yield* relations(database), made)
      assert.deepStrictEqual(yield* sequence, unused)
      assert.deepStrictEqual(yield* database.query("SELECT * FROM t"), [{ b: "1", i: 1 }])
      assert.lengthOf(yield* database.query("SELECT FROM _ampsync_checkpoints"), 0)
    }))

  it.live("fails with the step that a role may not take", () =>
    Effect.gen(function*() {
      const database = yield* testDatabase
      const { query, schema, url } = database
      yield* preparedWriter(database)
      yield* query("CREATE TABLE t (b bigint, i integer)")
      const role = `role_${schema}`
      yield* Effect.acquireRelease(
        query(`CREATE ROLE ${role} LOGIN PASSWORD 'test'`),
        () => Effect.andThen(query(`DROP OWNED BY ${role}`), query(`DROP ROLE ${role}`))
      )
      const login = new URL(url)
      login.username = role
      login.password = "test"
      const checks = yield* checksOf({ ...database, url: login.href })
      const failure = (trial: Effect.Effect<void, { readonly message: string; readonly transient: boolean }>) =>
        Effect.map(Effect.flip(trial), ({ message, transient }) => `${transient ? "transient: " : ""}${message}`)
      yield* query(`GRANT USAGE ON SCHEMA ${schema} TO ${role}`)
      assert.match(
        yield* failure(checks.tryBookkeeping([])),
        /^cannot write _ampsync_checkpoints: permission denied for table/
      )
      yield* query(`GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ${schema} TO ${role}`)
      yield* checks.tryBookkeeping([])
      assert.match(
        yield* failure(checks.tryTable(trialOf("none", database))),
        new RegExp(`^cannot alter it, or make its indexes or partitions: must be owner of table "${schema}"."t"$`)
      )
      yield* checks.tryTable(trialOf("none", database, { indexes: [] }))
      assert.match(
        yield* failure(checks.tryTable(trialOf("none", database, { indexes: [], isPartitioned: true }))),
        /^cannot alter it, or make its indexes or partitions: must be owner of table/
      )
      const created = {
        ...trialOf("create", database).plan,
        table: "u",
        statements: [`CREATE TABLE ${schema}.u (b bigint, i integer)`]
      }
      assert.match(
        yield* failure(checks.tryTable(trialOf("create", database, { plan: created }))),
        /^cannot create the table: permission denied for schema/
      )
      yield* query("ALTER TABLE t ENABLE ROW LEVEL SECURITY")
      assert.match(
        yield* failure(checks.tryTable(trialOf("none", database, { indexes: [] }))),
        /^cannot copy rows into it: COPY FROM not supported with row-level security/
      )
      yield* query(`ALTER TABLE t DISABLE ROW LEVEL SECURITY; REVOKE INSERT ON t FROM ${role}`)
      assert.match(
        yield* failure(checks.tryTable(trialOf("none", database, { indexes: [] }))),
        /^cannot copy rows into it: permission denied for table t/
      )
      yield* query(`GRANT INSERT ON t TO ${role}; REVOKE DELETE ON t FROM ${role}`)
      assert.match(
        yield* failure(checks.tryTable(trialOf("none", database, { indexes: [] }))),
        /^cannot delete rows of a reorg from it: permission denied for table t/
      )
    }))

  it.live("waits a second for a lock that somebody holds, and then fails as one that may pass", () =>
    Effect.gen(function*() {
      const database = yield* testDatabase
      yield* database.query("CREATE TABLE t (b bigint, i integer)")
      const checks = yield* checksOf(database)
      yield* holdLock(database, "LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
      const error = yield* Effect.flip(checks.tryTable(trialOf("none", database, { indexes: [] })))
      assert.include(error.message, "cannot copy rows into it: canceling statement due to lock timeout")
      assert.isTrue(error.transient)
    }))
})

describe("what the server reports", () => {
  it.live("are its limits, those of the role, and the clock", () =>
    Effect.gen(function*() {
      const database = yield* testDatabase
      const { query, schema, url } = database
      const role = `role_${schema}`
      yield* Effect.acquireRelease(
        query(`CREATE ROLE ${role} LOGIN PASSWORD 'test' CONNECTION LIMIT 5`),
        () => query(`DROP ROLE ${role}`)
      )
      yield* query(
        `ALTER ROLE ${role} SET idle_in_transaction_session_timeout TO '5s'; ALTER ROLE ${role} SET statement_timeout TO '1min';
         ALTER ROLE ${role} SET synchronous_commit TO off; ALTER ROLE ${role} SET default_transaction_read_only TO on`
      )
      const login = new URL(url)
      login.username = role
      login.password = "test"
      const facts = yield* (yield* checksOf({ ...database, url: login.href })).facts
      assert.deepInclude(facts, {
        role,
        roleConnections: 5,
        isReadOnly: true,
        isStandby: false,
        isSuperuser: false,
        synchronousCommit: "off",
        walLevel: "replica"
      })
      assert.deepStrictEqual(facts.timeouts.get("idle_in_transaction_session_timeout"), 5_000)
      assert.deepStrictEqual(facts.timeouts.get("statement_timeout"), 60_000)
      assert.isAtMost(Math.abs(facts.clockAheadMillis), 1_000 + facts.roundTripMillis)
      assert.isAtLeast(facts.reservedConnections, 1)
    }))
})
