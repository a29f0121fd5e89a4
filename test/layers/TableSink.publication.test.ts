import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { prepareTable } from "../support/chunks.ts"
import type { TestDatabase } from "../support/postgres.ts"
import { testDatabase } from "../support/postgres.ts"
import { BLOCK, field, processOn, requestOf } from "../support/sinkBench.ts"

const request = requestOf("t", [BLOCK, field("note")])

/** A process whose tables are published under a name that no other test has; the publication goes with the test. */
const published = Effect.gen(function*() {
  const database = yield* testDatabase
  const publication = `Publication of ${database.schema}`
  yield* Effect.addFinalizer(() => database.query(`DROP PUBLICATION IF EXISTS "${publication}"`))
  const settings = { CDC_READY: "logical", CDC_PUBLICATION: publication }
  return { ...yield* processOn(database, settings), publication, settings }
})

const members = ({ query }: TestDatabase, publication: string) =>
  Effect.map(
    query<{ name: string }>(
      `SELECT tablename || ' ' || relreplident::text AS name FROM pg_publication_tables
       JOIN pg_class c ON c.oid = format('%I.%I', schemaname, tablename)::regclass WHERE pubname = $1 ORDER BY 1`,
      [publication]
    ),
    (rows) => rows.map(({ name }) => name)
  )

/** Another role that may do what it is granted, and a process that logs in as it. */
const processAs = Effect.fnUntraced(
  function*(database: TestDatabase, settings: Readonly<Record<string, string>>, grants: string) {
    const role = `role_${database.schema}`
    const { query, schema } = database
    yield* Effect.acquireRelease(
      query(`CREATE ROLE ${role} LOGIN PASSWORD 'test'; GRANT USAGE, CREATE ON SCHEMA ${schema} TO ${role}; ${grants}`),
      () => Effect.andThen(query(`DROP OWNED BY ${role} CASCADE`), query(`DROP ROLE ${role}`))
    )
    const url = new URL(database.url)
    url.username = role
    url.password = "test"
    return yield* processOn({ ...database, url: url.href }, settings)
  }
)

describe("with CDC_READY", () => {
  it.live("a table without its keys is created and opened with a note on followers that rely on a primary key", () =>
    Effect.gen(function*() {
      const { bookkeeping, database, leases, publication, settings, sink } = yield* published
      yield* bookkeeping.ensure
      const note = "followers of the write-ahead log that identify rows by the primary key"
      const without = { ...request, defersIndexes: true }
      assert.include((yield* sink.plan(without)).notes.join("; "), note)
      assert.include((yield* prepareTable(sink, without)).notes.join("; "), note)
      assert.include(yield* members(database, publication), "t f")
      yield* leases.release("t")
      const later = yield* processOn(database, settings)
      assert.include((yield* prepareTable(later.sink, request)).notes.join("; "), note)
      assert.notInclude((yield* later.sink.plan({ ...request, table: "other" })).notes.join("; "), note)
    }))

  it.live("a table and its bookkeeping are published, with all columns of deleted rows, and a second start adds nothing", () =>
    Effect.gen(function*() {
      const { bookkeeping, database, publication, sink } = yield* published
      yield* bookkeeping.ensure
      const writer = yield* prepareTable(sink, request)
      assert.include(writer.notes, `published in "${publication}", with all columns of deleted rows in the log`)
      assert.deepStrictEqual(yield* members(database, publication), [
        "_ampsync_checkpoints f",
        "_ampsync_reorgs f",
        "t f"
      ])
      assert.deepStrictEqual(yield* bookkeeping.pending, [])
      assert.strictEqual((yield* sink.plan(request)).kind, "none")
    }))

  it.live("a table that was there before is published without another change", () =>
    Effect.gen(function*() {
      const { bookkeeping, database, publication, sink } = yield* published
      const before = yield* processOn(database)
      yield* before.bookkeeping.ensure
      yield* prepareTable(before.sink, request)
      yield* before.leases.release("t")
      assert.lengthOf(yield* bookkeeping.pending, 5)
      yield* bookkeeping.ensure
      const { schema } = database
      assert.deepStrictEqual((yield* sink.plan(request)).statements, [
        `ALTER TABLE ${schema}.t REPLICA IDENTITY FULL`,
        `ALTER PUBLICATION "${publication}" ADD TABLE "${schema}"."t"`
      ])
      yield* prepareTable(sink, request)
      assert.include(yield* members(database, publication), "t f")
    }))

  it.live("a publication without deletions is reported", () =>
    Effect.gen(function*() {
      const { bookkeeping, database, publication, sink } = yield* published
      yield* database.query(`CREATE PUBLICATION "${publication}" WITH (publish = 'insert, update')`)
      yield* bookkeeping.ensure
      const { notes } = yield* prepareTable(sink, request)
      assert.include(
        notes,
        `publication "${publication}" leaves out delete, so its subscribers keep rows that are wrong; run ` +
          `ALTER PUBLICATION "${publication}" SET (publish = 'insert, update, delete, truncate')`
      )
    }))

  it.live("a role that may not create the publication gets the statement for one that may", () =>
    Effect.gen(function*() {
      const { database, publication, settings } = yield* published
      const { bookkeeping } = yield* processAs(database, settings, "")
      const error = yield* Effect.flip(bookkeeping.ensure)
      assert.strictEqual(
        error.message,
        `CDC_READY needs publication "${publication}", which this role may not create; run as one that may, and make this ` +
          `role its owner: CREATE PUBLICATION "${publication}" WITH (publish_via_partition_root = true)`
      )
    }))

  it.live("a role that may not add the table parks it, with the statements for one that may", () =>
    Effect.gen(function*() {
      const { bookkeeping, database, publication, settings } = yield* published
      yield* bookkeeping.ensure
      const { schema } = database
      const { sink } = yield* processAs(
        database,
        settings,
        `GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ${schema} TO role_${schema}`
      )
      const error = yield* Effect.flip(prepareTable(sink, request))
      assert.strictEqual(error._tag, "TableRejected")
      assert.include(error.message, `CDC_READY needs the table in publication "${publication}"`)
      assert.include(error.message, `ALTER PUBLICATION "${publication}" ADD TABLE "${schema}"."t"`)
      // Nothing was made.
      assert.deepStrictEqual(
        yield* database.query("SELECT FROM pg_tables WHERE schemaname = $1 AND tablename = 't'", [schema]),
        []
      )
    }))
})
