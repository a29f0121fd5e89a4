import { assert, describe, inject, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Option } from "effect"
import {
  blockRangesIndex,
  createDeferred,
  deferredIndexes,
  summarizeBlockRanges
} from "../../src/domain/postgres/table/deferredIndexes.ts"
import { deletion } from "../../src/layers/table-sink/deletion.ts"
import { expireHeartbeats } from "../support/bookkeeping.ts"
import { prepareTable } from "../support/chunks.ts"
import { eventually } from "../support/eventually.ts"
import { holdLock, lockHolder } from "../support/holdLock.ts"
import { type TestDatabase, testDatabase } from "../support/postgres.ts"
import {
  BLOCK,
  commitRows,
  field,
  processOn,
  readyBench,
  recordedEvents,
  requestOf,
  UINT64
} from "../support/sinkBench.ts"

const fields = [BLOCK, field("block_num", UINT64, false), field("note", undefined, false)]
const rows = (...blocks: ReadonlyArray<bigint>) => blocks.map((block) => [block, block, `row ${block % 5n}`])

type Request = Parameters<typeof requestOf>[2]

/** A table `t` that is created without its keys, with the rows of blocks 1 to 9. */
const deferred = Effect.fnUntraced(
  function*(settings: Request = {}, process?: Effect.Success<ReturnType<typeof readyBench>>) {
    const all = process ?? (yield* readyBench())
    const request = { ...requestOf("t", fields, settings), defersIndexes: true }
    const writer = yield* prepareTable(all.sink, request)
    yield* commitRows(writer, fields, rows(1n, 2n, 3n, 4n, 5n, 6n, 7n, 8n, 9n))
    const { events, onEvent, waitsFor } = recordedEvents()
    const definition = writer.deferred!
    return {
      ...all,
      request,
      writer,
      definition,
      events,
      waitsFor,
      build: Effect.map(all.indexes.buildDeferred(definition, (build) => build, onEvent), Option.isNone)
    }
  }
)

/**
 * Keeps builds on `t` from ending until it is released, not from beginning: it has changed the row of the table in pg_class, which
 * a build updates at its end.
 */
const holdBuildsOpen = (database: TestDatabase) => holdLock(database, "GRANT SELECT ON t TO PUBLIC")

/** Somebody has locked `t` against writers, as a build does. */
const isLockedForBuild = (database: TestDatabase) =>
  Effect.map(lockHolder(database, "t", "ShareLock"), (pid) => pid !== undefined)

/** What a table is to readers and to subscribers: its keys and indexes without their names, and its replica identity. */
const shapeOf = ({ query, schema }: TestDatabase, table = "t") =>
  query<{ line: string }>(
    `SELECT coalesce(con.contype::text, 'i') || ' ' || i.indisvalid || regexp_replace(pg_get_indexdef(i.indexrelid),
       '^.*USING', '') AS line
     FROM pg_index i LEFT JOIN pg_constraint con ON con.conindid = i.indexrelid WHERE i.indrelid = $1::regclass
     UNION ALL SELECT 'identity ' || relreplident::text FROM pg_class WHERE oid = $1::regclass ORDER BY 1`,
    [`${schema}.${table}`]
  ).pipe(Effect.map((lines) => lines.map(({ line }) => line)))

const withoutKeys = ["i true brin (_block_num)", "identity f"]

/** The shape of a table that is created with its keys at once. */
const eager = Effect.fnUntraced(function*(settings: Request = {}) {
  const { database, sink } = yield* readyBench()
  yield* prepareTable(sink, requestOf("t", fields, settings))
  return yield* shapeOf(database)
})

describe("a table that is created without its keys", () => {
  it.live.each<Request>([{}, { primaryKey: ["note", "block_num"] }])(
    "gets those of any other table: %j",
    (settings) =>
      Effect.gen(function*() {
        const { build, database, definition, events, indexes, request, sink } = yield* deferred(settings)
        assert.deepStrictEqual(yield* shapeOf(database), withoutKeys)
        assert.isTrue(yield* indexes.lacksKeys("t"))
        assert.isTrue(yield* build)
        assert.deepStrictEqual(yield* shapeOf(database), yield* eager(settings))
        const names = deferredIndexes(definition).map(({ name }) => name)
        assert.deepStrictEqual(events, names.flatMap((name) => [`building ${name}`, `built ${name}`]))
        assert.isFalse(yield* indexes.lacksKeys("t"))
        assert.isTrue(yield* build, "a second build has nothing to do")
        assert.lengthOf(events, 2 * names.length)
        assert.strictEqual((yield* sink.plan(request)).kind, "none")
        // Neither is one of the config's indexes, which a later config could drop.
        assert.deepStrictEqual((yield* indexes.plan("t", [])).superfluous, [])
      })
  )

  it.live("stays so over a restart, whatever the setting is then", () =>
    Effect.gen(function*() {
      const { database, leases, request, writer } = yield* deferred()
      assert.include(writer.notes.join(), "its primary key and its indexes are built once it has caught up")
      yield* leases.release("t")
      const { sink } = yield* processOn(database)
      assert.strictEqual((yield* sink.plan(request)).kind, "none")
      const again = yield* prepareTable(sink, { ...request, defersIndexes: false })
      assert.strictEqual(again.deferred?.table, "t")
      assert.deepStrictEqual(again.notes, writer.notes.slice(1))
      assert.strictEqual(again.rows, 9n)
      yield* commitRows(again, fields, rows(10n))
      assert.deepStrictEqual(yield* shapeOf(database), withoutKeys)
    }))

  it.live("takes new columns, and another primary key of the config, as long as it has none", () =>
    Effect.gen(function*() {
      const { database, indexes, leases, request } = yield* deferred()
      yield* leases.release("t")
      const { sink } = yield* processOn(database)
      const wider = { ...requestOf("t", [...fields, field("more")], { primaryKey: ["note", "block_num"] }) }
      const writer = yield* prepareTable(sink, { ...wider, defersIndexes: true })
      assert.isTrue(Option.isNone(yield* indexes.buildDeferred(writer.deferred!, (build) => build, () => Effect.void)))
      const shape = yield* shapeOf(database)
      assert.include(shape, "p true btree (note, block_num)")
      assert.strictEqual((yield* sink.plan(wider)).kind, "none")
      const error = yield* Effect.flip(sink.plan(request))
      assert.include(error.message, "ampsync does not change a primary key")
    }))

  it.live("deletes rows although somebody publishes it, and finds those of the newest blocks by an index", () =>
    Effect.gen(function*() {
      const { database, leases, sink } = yield* deferred()
      const { query, schema } = database
      yield* Effect.acquireRelease(
        query(`CREATE PUBLICATION ${schema} FOR TABLE t`),
        () => query(`DROP PUBLICATION ${schema}`)
      )
      yield* leases.release("t")
      const { rowsRemoved } = yield* sink.rewind("t", 9n)
      assert.strictEqual(rowsRemoved, 0)
      yield* query(
        "INSERT INTO t (_block_num, block_num, note, _row_index) SELECT 10, 10, 'x', n FROM generate_series(1, 50) n"
      )
      assert.strictEqual(yield* sink.trim("t"), 50)
      const { before, remove } = deletion({ schema, table: "t", positionColumn: "_block_num" }, 10n)
      const session = yield* holdLock(database, before.join("; "))
      const plan = yield* session.query(`EXPLAIN ${remove}`)
      assert.include(JSON.stringify(plan), blockRangesIndex("t"))
    }))

  it.live("is emptied, and remains one without keys", () =>
    Effect.gen(function*() {
      const { database, leases, sink } = yield* deferred()
      yield* leases.release("t")
      const { deleteSome } = yield* sink.empty("t")
      assert.strictEqual(yield* deleteSome, 9)
      assert.strictEqual(yield* deleteSome, 0)
      assert.deepStrictEqual(yield* shapeOf(database), withoutKeys)
    }))

  it.live("keeps the identity that its subscribers need", () =>
    Effect.gen(function*() {
      const database = yield* testDatabase
      const publication = `Publication of ${database.schema}`
      yield* Effect.addFinalizer(() => database.query(`DROP PUBLICATION IF EXISTS "${publication}"`))
      const process = yield* processOn(database, { CDC_READY: "logical", CDC_PUBLICATION: publication })
      yield* process.bookkeeping.ensure
      const { build } = yield* deferred({}, process)
      assert.isTrue(yield* build)
      assert.include(yield* shapeOf(database), "identity f")
    }))

  it.live("has what was added since taken into account for its rewinds, and no more once it has its keys", () =>
    Effect.gen(function*() {
      const { build, database, indexes } = yield* deferred()
      const statement = summarizeBlockRanges({ schema: database.schema, table: "t" })
      yield* database.query("SELECT brin_desummarize_range($1::regclass, 0)", [blockRangesIndex("t")])
      yield* indexes.summarize("t")
      assert.deepStrictEqual(yield* database.query(statement), [{ brin_summarize_new_values: 0 }])
      // As VACUUM does, which somebody who waits would end.
      const vacuum = yield* holdLock(database, "LOCK TABLE t IN SHARE UPDATE EXCLUSIVE MODE")
      assert.include((yield* Effect.flip(indexes.summarize("t"))).message, "55P03")
      yield* vacuum.release
      yield* build
      yield* indexes.summarize("t")
    }))
})

describe("the build of the keys", () => {
  it.live("drops what an interrupted one left behind, and keeps what it had built", () =>
    Effect.gen(function*() {
      const { build, database, definition, events } = yield* deferred()
      const [key, block] = deferredIndexes(definition)
      yield* database.query(createDeferred(definition, key!))
      yield* database.query(createDeferred(definition, block!))
      yield* database.query(`UPDATE pg_index SET indisvalid = false WHERE indexrelid = '${block!.name}'::regclass`)
      assert.isTrue(yield* build)
      assert.deepStrictEqual(events, [`dropped broken`, `building`, `built`].map((event) => `${event} ${block!.name}`))
      assert.deepStrictEqual(yield* shapeOf(database), yield* eager())
    }))

  it.live("waits for no reader longer than half a second, and goes on where it was", () =>
    Effect.gen(function*() {
      const { build, database, events, waitsFor } = yield* deferred()
      const reader = yield* holdLock(database, `LOCK TABLE t IN ACCESS SHARE MODE`)
      const began = performance.now()
      const error = yield* Effect.flip(build)
      assert.strictEqual(error._tag, "SqlError")
      assert.include(error.message, "55P03")
      assert.isAbove(performance.now() - began, 450)
      assert.deepStrictEqual((yield* shapeOf(database)).filter((line) => line.startsWith("p")), [])
      yield* reader.release
      assert.deepStrictEqual(waitsFor, [yield* reader.processId])
      const before = events.length
      assert.isTrue(yield* build)
      assert.lengthOf(events, before)
      assert.deepStrictEqual(yield* shapeOf(database), yield* eager())
    }))

  it.live("keeps writers out while the table is at rest, and no readers", () =>
    Effect.gen(function*() {
      const { database, definition, indexes } = yield* deferred()
      const [asked, atRest] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      const hold = yield* holdBuildsOpen(database)
      const building = yield* Effect.forkScoped(indexes.buildDeferred(
        definition,
        (build) =>
          Deferred.succeed(asked, undefined).pipe(Effect.andThen(Deferred.await(atRest)), Effect.andThen(build)),
        () => Effect.void
      ))
      yield* Deferred.await(asked)
      assert.isFalse(yield* isLockedForBuild(database))
      yield* database.query("INSERT INTO t (_block_num, block_num, note, _row_index) VALUES (0, 0, '', 0)")
      yield* Deferred.succeed(atRest, undefined)
      yield* eventually("the build is at work", isLockedForBuild(database))
      const [count, insert] = ["SELECT count(*)::int AS rows FROM t", "INSERT INTO t SELECT * FROM t"]
      assert.deepStrictEqual(yield* database.query(count), [{ rows: 10 }])
      const writer = yield* holdLock(database, "SET LOCAL lock_timeout TO '100ms'")
      const refused = yield* Effect.exit(writer.query(insert))
      assert.include(String(refused), "lock timeout")
      yield* hold.release
      assert.isTrue(Option.isNone(yield* Fiber.join(building)))
      assert.deepStrictEqual(yield* shapeOf(database), yield* eager())
    }))

  it.live("names who has locked the table, and gives up after two seconds, so that the table need not rest for longer", () =>
    Effect.gen(function*() {
      const { build, database, events, waitsFor } = yield* deferred()
      const writer = yield* holdLock(database, "LOCK TABLE t IN ROW EXCLUSIVE MODE")
      yield* holdLock(database, "SELECT FROM t")
      const began = performance.now()
      const error = yield* Effect.flip(build)
      assert.include(error.message, "55P03")
      assert.isAbove(performance.now() - began, 1_900)
      assert.deepStrictEqual([events, waitsFor], [[], [yield* writer.processId]], "readers are in nobody's way")
    }))

  it.live("is built to its end with any limit for transactions of the role", () =>
    Effect.gen(function*() {
      const [server] = yield* (yield* testDatabase).query<{ version: number }>(
        "SELECT current_setting('server_version_num')::int AS version"
      )
      // transaction_timeout came with PostgreSQL 17.
      if (server!.version < 170_000) return
      const options = encodeURIComponent("-c transaction_timeout=400")
      const { build, database } = yield* deferred(
        {},
        yield* readyBench({ DATABASE_URL: `${inject("postgresUrl")}?options=${options}` })
      )
      const holder = yield* holdBuildsOpen(database)
      const building = yield* Effect.forkScoped(build)
      yield* eventually("a build has locked the table", isLockedForBuild(database))
      yield* Effect.sleep("800 millis")
      yield* holder.release
      assert.isTrue(yield* Fiber.join(building))
      assert.deepStrictEqual(yield* shapeOf(database), yield* eager())
    }))

  it.live("names who keeps it from its end", () =>
    Effect.gen(function*() {
      const { build, database, waitsFor } = yield* deferred()
      const hold = yield* holdBuildsOpen(database)
      const building = yield* Effect.forkScoped(build)
      const processId = yield* hold.processId
      yield* eventually("the wait is reported", Effect.sync(() => waitsFor.includes(processId)))
      yield* hold.release
      assert.isTrue(yield* Fiber.join(building))
    }))

  it.live("ends with its process where PostgreSQL can notice that", () =>
    Effect.gen(function*() {
      const { build, database } = yield* deferred()
      const hold = yield* holdBuildsOpen(database)
      const building = yield* Effect.forkScoped(build)
      yield* eventually("the build is at work", isLockedForBuild(database))
      yield* Fiber.interrupt(building)
      const [server] = yield* database.query<{ canNotice: boolean }>(
        "SELECT count(*) > 0 AS \"canNotice\" FROM pg_settings WHERE name = 'client_connection_check_interval'"
      )
      if (server!.canNotice) {
        yield* eventually("the build is gone", Effect.map(isLockedForBuild(database), (isLocked) => !isLocked))
      }
      yield* hold.release
      yield* eventually("nothing is left of it", Effect.map(isLockedForBuild(database), (isLocked) => !isLocked))
      assert.deepStrictEqual(yield* shapeOf(database), withoutKeys)
    }))

  it.live("of a process that is gone is ended by a verb that deletes rows", () =>
    Effect.gen(function*() {
      const { database, leases } = yield* deferred()
      yield* database.query("INSERT INTO t (_block_num, block_num, note, _row_index) VALUES (10, 10, '', 0)")
      yield* Effect.forkScoped(Effect.exit(
        leases.withDedicatedConnection(
          "t",
          (run) => Effect.andThen(run(`BEGIN; LOCK TABLE ${database.schema}.t IN SHARE MODE`), Effect.never)
        )
      ))
      yield* eventually("the table is locked", isLockedForBuild(database))
      const second = yield* processOn(database)
      yield* expireHeartbeats(database, second)
      assert.strictEqual(yield* second.sink.trim("t"), 1)
    }), 30_000)

  it.live("is rejected where rows share the key that the config names", () =>
    Effect.gen(function*() {
      const { build, database } = yield* deferred({ primaryKey: ["note"] })
      for (let attempt = 0; attempt < 2; attempt += 1) {
        const error = yield* Effect.flip(build)
        assert.strictEqual(error._tag, "TableRejected")
        assert.strictEqual(
          error.message,
          "table \"t\" is rejected: its primary key (\"note\") cannot be built, because rows have the same values in it; " +
            "name columns in \"primaryKey\" of the config that no two rows share"
        )
        assert.deepStrictEqual(yield* shapeOf(database), withoutKeys, "nothing is left that rejects rows")
      }
    }))

  it.live("names the remedy where somebody else has added rows twice, while a transaction reads the table", () =>
    Effect.gen(function*() {
      const { build, database } = yield* deferred()
      yield* database.query("INSERT INTO t SELECT * FROM t WHERE block_num = 3")
      yield* holdLock(database, "SELECT count(*) FROM t")
      const { message } = yield* Effect.flip(build)
      assert.include(message, "somebody else has added or changed some: fill the table again with resync")
    }))

  it.live("goes on where somebody dropped the index that the table had instead", () =>
    Effect.gen(function*() {
      const { build, database } = yield* deferred()
      yield* database.query(`DROP INDEX "${blockRangesIndex("t")}"`)
      assert.isTrue(yield* build)
      assert.deepStrictEqual(yield* shapeOf(database), yield* eager())
    }))

  it.live("is rejected where rows have no room in the key", () =>
    Effect.gen(function*() {
      const { build, database } = yield* deferred({ primaryKey: ["note", "block_num"] })
      yield* database.query(
        "UPDATE t SET note = (SELECT string_agg(md5(random()::text), '') FROM generate_series(1, 300)) WHERE block_num = 1"
      )
      const error = yield* Effect.flip(build)
      assert.strictEqual(error._tag, "TableRejected")
      assert.include(error.message, "rows have values in it that are too large (a b-tree holds 2704 bytes of a row)")
    }))
})
