import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Option } from "effect"
import { randomBytes } from "node:crypto"
import { Client } from "pg"
import { inject } from "vitest"
import { indexName } from "../../src/domain/postgres/table/tableIndexes.ts"
import { isLocked } from "../../src/services/PgPool.ts"
import type { IndexEvent } from "../../src/services/TableIndexes.ts"
import { sessionOf } from "../support/bookkeeping.ts"
import { prepareTable } from "../support/chunks.ts"
import { eventually } from "../support/eventually.ts"
import { holdLock } from "../support/holdLock.ts"
import type { TestDatabase } from "../support/postgres.ts"
import { startProxy, throughProxy } from "../support/proxy.ts"
import { BLOCK, commitRows, field, readyBench, recordedEvents, requestOf, UTF8 } from "../support/sinkBench.ts"

const fields = [BLOCK, field("note"), field("Other \"one\"")]

/** A table `t` with a row. */
const withTable = Effect.fnUntraced(function*(settings?: Parameters<typeof readyBench>[0]) {
  const all = yield* readyBench(settings)
  const writer = yield* prepareTable(all.sink, requestOf("t", fields))
  yield* commitRows(writer, fields, [[1n, "a", "b"]])
  const recorded = recordedEvents()
  const { onEvent } = recorded
  return {
    ...all,
    ...recorded,
    writer,
    buildOrLock: (...wanted: ReadonlyArray<ReadonlyArray<string>>) => all.indexes.build("t", wanted, onEvent),
    build: (...wanted: ReadonlyArray<ReadonlyArray<string>>) =>
      Effect.map(all.indexes.build("t", wanted, onEvent), Option.isNone)
  }
})

const indexesOf = ({ query, schema }: TestDatabase) =>
  Effect.map(
    query<{ name: string; valid: boolean; definition: string }>(
      `SELECT c.relname AS name, i.indisvalid AS valid, replace(pg_get_indexdef(c.oid), $1 || '.', '') AS definition
       FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
       WHERE i.indrelid = 't'::regclass AND NOT i.indisprimary ORDER BY 1`,
      [schema]
    ),
    (rows) => rows.map(({ definition, name, valid }) => [name, valid, /USING (.*)$/.exec(definition)?.[1]])
  )

/** A session that a concurrent build must wait for. */
const oldTransaction = ({ schema, url }: TestDatabase) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const client = new Client({ connectionString: url })
      await client.connect()
      await client.query(`BEGIN; INSERT INTO ${schema}.t (_block_num, _row_index) VALUES (99, 0)`)
      return client
    }),
    (client) => Effect.promise(() => client.end())
  )

const building = ({ query, schema }: TestDatabase) =>
  Effect.map(
    query<{ pid: number; name: string }>(
      "SELECT pid, application_name AS name FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX CONCURRENTLY%' AND query LIKE $1 AND state = 'active'",
      [`%${schema}%`]
    ),
    ([row]) => row
  )

/** The lock of builds on `t`, by its key as PostgreSQL shows it. */
const ofAdvisoryLock = (schema: string) =>
  `, hashtextextended('ampsync indexes ["${schema}","t"]', 0) AS key WHERE l.locktype = 'advisory'
    AND l.objid::bigint = key & 4294967295 AND l.classid::bigint = (key >> 32) & 4294967295`

describe("indexes of a table", () => {
  it.live("are built one after the other, with stable names, and once", () =>
    Effect.gen(function*() {
      const { build, database, events, indexes } = yield* withTable()
      const wanted = [["note"], ["Other \"one\"", "_block_num"]]
      assert.isTrue(yield* build(...wanted))
      const names = wanted.map((columns) => indexName("t", columns))
      assert.deepStrictEqual(events, names.flatMap((name) => [`building ${name}`, `built ${name}`]))
      assert.sameDeepMembers([...yield* indexesOf(database)], [
        [names[0], true, "btree (note)"],
        [names[1], true, "btree (\"Other \"\"one\"\"\", _block_num)"]
      ])
      assert.isTrue(yield* build(...wanted))
      assert.lengthOf(events, 4)
      assert.deepStrictEqual(yield* indexes.plan("t", wanted), { broken: [], missing: [], superfluous: [] })
    }))

  it.live("are not built where an equal one or a key exists, and others stay and are mentioned", () =>
    Effect.gen(function*() {
      const { build, database, events, indexes } = yield* withTable()
      yield* build(["note", "_block_num"])
      yield* database.query("CREATE INDEX by_hand ON t (note) INCLUDE (_block_num)")
      events.length = 0
      const wanted = [["note"], ["_block_num", "_row_index"]]
      assert.isTrue(yield* build(...wanted))
      assert.deepStrictEqual(events, [])
      const { superfluous } = yield* indexes.plan("t", wanted)
      assert.deepStrictEqual(superfluous.map(({ name }) => name), [indexName("t", ["note", "_block_num"])])
    }))

  it.live("that a terminated build left INVALID are dropped and built again", () =>
    Effect.gen(function*() {
      const { build, database, events } = yield* withTable()
      const name = indexName("t", ["note"])
      const old = yield* oldTransaction(database)
      const attempt = yield* Effect.forkScoped(Effect.flip(build(["note"])))
      yield* eventually("the build waits", Effect.map(building(database), (row) => row !== undefined))
      yield* database.query("SELECT pg_terminate_backend($1)", [(yield* building(database))!.pid])
      assert.isTrue((yield* Fiber.join(attempt)).isRetryable)
      yield* Effect.promise(() => old.query("ROLLBACK"))
      assert.deepStrictEqual(yield* indexesOf(database), [[name, false, "btree (note)"]])
      events.length = 0
      assert.isTrue(yield* build(["note"]))
      assert.deepStrictEqual(events, [`dropped broken ${name}`, `building ${name}`, `built ${name}`])
      assert.deepStrictEqual(yield* indexesOf(database), [[name, true, "btree (note)"]])
    }))

  it.live("that wait for an older transaction name it, and go on when it has ended", () =>
    Effect.gen(function*() {
      const { build, database, waitsFor } = yield* withTable()
      const old = yield* holdLock(database, "INSERT INTO t (_block_num, _row_index) VALUES (99, 0)")
      const pid = yield* old.processId
      const building = yield* Effect.forkScoped(build(["note"]))
      yield* eventually("the wait is reported", Effect.sync(() => waitsFor.includes(pid)))
      yield* old.release
      assert.isTrue(yield* Fiber.join(building))
    }))

  it.live("are built for two tables at a time", () =>
    Effect.gen(function*() {
      const { database, indexes, sink } = yield* withTable()
      const names = ["u", "v", "w"]
      for (const name of names) yield* prepareTable(sink, requestOf(name, fields))
      const old = yield* holdLock(database, "LOCK TABLE u, v, w IN ROW EXCLUSIVE MODE")
      const atWork = Effect.map(
        database.query<{ n: string }>(
          "SELECT count(*) AS n FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX CONCURRENTLY%' AND query LIKE $1 AND state = 'active'",
          [`%${database.schema}%`]
        ),
        ([row]) => Number(row!.n)
      )
      const queued: Array<string> = []
      const onEvent = (name: string) => ({ kind }: IndexEvent) =>
        Effect.sync(() => kind === "queued" ? void queued.push(name) : undefined)
      const building = yield* Effect.forkScoped(
        Effect.forEach(names, (name) => indexes.build(name, [["note"]], onEvent(name)), { concurrency: 3 })
      )
      yield* eventually("two builds wait", Effect.map(atWork, (n) => n === 2))
      yield* Effect.sleep(500)
      assert.strictEqual(yield* atWork, 2)
      assert.deepStrictEqual(queued, ["w"])
      yield* old.release
      assert.isTrue((yield* Fiber.join(building)).every(Option.isNone))
    }))

  it.live("I3 of a build that outlives its process are neither built a second time nor dropped as broken", () =>
    Effect.gen(function*() {
      const { build, database, events } = yield* withTable()
      const name = indexName("t", ["note"])
      const old = yield* oldTransaction(database)
      const attempt = yield* Effect.forkScoped(build(["note"]))
      yield* eventually("the build waits", Effect.map(building(database), (row) => row !== undefined))
      yield* Fiber.interrupt(attempt)
      events.length = 0
      assert.isFalse(yield* build(["note"]))
      assert.deepStrictEqual(events, [])
      yield* Effect.promise(() => old.query("ROLLBACK"))
      yield* eventually("PostgreSQL finishes it", build(["note"]))
      assert.deepStrictEqual(events, [])
      assert.deepStrictEqual(yield* indexesOf(database), [[name, true, "btree (note)"]])
    }))

  it.live("are not built while another session holds the lock, and its process is named", () =>
    Effect.gen(function*() {
      const { buildOrLock, database, events } = yield* withTable()
      const name = `ampsync indexes ${JSON.stringify([database.schema, "t"])}`
      const holder = yield* oldTransaction(database)
      const { rows: [row] } = yield* Effect.promise(() =>
        holder.query("SELECT pg_backend_pid() AS pid, pg_advisory_lock(hashtextextended($1, 0))", [name])
      )
      assert.deepStrictEqual(yield* buildOrLock(["note"]), Option.some({ name, processId: row.pid }))
      assert.deepStrictEqual(events, [])
    }))

  it.live("are built without leaving their lock to a session that a pooler keeps, also where a build fails", () =>
    Effect.gen(function*() {
      const proxy = yield* startProxy(Number(new URL(inject("postgresUrl")).port))
      proxy.keepBackends()
      const { build, database } = yield* withTable({ DATABASE_URL: throughProxy(inject("postgresUrl"), proxy) })
      const locks = () => database.query(`SELECT l.pid FROM pg_locks l ${ofAdvisoryLock(database.schema)}`)
      assert.isTrue(yield* build(["note"]))
      assert.deepStrictEqual(yield* locks(), [])
      yield* Effect.flip(build(["not there"]))
      assert.deepStrictEqual(yield* locks(), [])
    }))

  it.live("use no connection of the pool, and rows are committed while they are built", () =>
    Effect.gen(function*() {
      const { build, database, leases, sink } = yield* withTable({ MAX_DB_CONNECTIONS: "2" })
      const old = yield* oldTransaction(database)
      const attempt = yield* Effect.forkScoped(build(["note"]))
      yield* eventually("the build waits", Effect.map(building(database), (row) => row !== undefined))
      assert.strictEqual((yield* building(database))!.name, sessionOf(leases, "t"))
      yield* leases.heartbeat
      const writer = yield* prepareTable(sink, requestOf("t", fields))
      yield* commitRows(writer, fields, [[2n, "c", "d"]])
      assert.deepStrictEqual(yield* database.query("SELECT count(*)::int AS n FROM t"), [{ n: 2 }])
      yield* Effect.promise(() => old.query("ROLLBACK"))
      assert.isTrue(yield* Fiber.join(attempt))
    }))

  it.live("are built to the end with any timeouts of the role", () =>
    Effect.gen(function*() {
      const options = encodeURIComponent("-c statement_timeout=300 -c lock_timeout=300")
      const { build, database } = yield* withTable({ DATABASE_URL: `${inject("postgresUrl")}?options=${options}` })
      const old = yield* oldTransaction(database)
      const attempt = yield* Effect.forkScoped(build(["note"]))
      yield* eventually("the build waits", Effect.map(building(database), (row) => row !== undefined))
      yield* Effect.sleep("700 millis")
      yield* Effect.promise(() => old.query("ROLLBACK"))
      assert.isTrue(yield* Fiber.join(attempt))
    }))

  it.live("give way to new columns: a build that blocks them is terminated, not awaited", () =>
    Effect.gen(function*() {
      const { build, database, sink } = yield* withTable()
      const old = yield* oldTransaction(database)
      const attempt = yield* Effect.forkScoped(Effect.flip(build(["note"])))
      yield* eventually("the build waits", Effect.map(building(database), (row) => row !== undefined))
      const wider = requestOf("t", [...fields, field("more")])
      const first = yield* Effect.flip(prepareTable(sink, wider))
      assert.strictEqual(first._tag, "SqlError")
      assert.isTrue((yield* Fiber.join(attempt)).isRetryable)
      yield* Effect.promise(() => old.query("ROLLBACK"))
      yield* prepareTable(sink, wider)
      assert.isTrue(yield* build(["note"]))
    }))

  /** Random, so that it is not compressed: PostgreSQL names the index for up to 8 kB, and none beyond. */
  const wide = (bytes: number) => randomBytes(bytes / 2).toString("hex")
  const widths = [["3 kB", 6_000], ["12 kB", 24_000]] as const

  it.live.each(widths)(
    "that rows of %s are too large for are left out without remains, and the others built",
    ([
      ,
      bytes
    ]) =>
      Effect.gen(function*() {
        const { build, database, events, indexes, sink } = yield* withTable()
        yield* commitRows(yield* prepareTable(sink, requestOf("t", fields)), fields, [[2n, wide(bytes), "b"]])
        const wanted = [["note"], ["Other \"one\""]]
        const [left, built] = wanted.map((columns) => indexName("t", columns))
        assert.isTrue(yield* build(...wanted))
        assert.deepStrictEqual(events, [`building ${left}`, `left out ${left}`, `building ${built}`, `built ${built}`])
        assert.deepStrictEqual(yield* indexesOf(database), [[built, true, "btree (\"Other \"\"one\"\"\")"]])
        assert.lengthOf((yield* indexes.plan("t", wanted)).missing, 1)
      })
  )

  it.live.each(widths)(
    "that a row of %s is too large for are dropped, and that row is committed",
    ([, bytes]) =>
      Effect.gen(function*() {
        const { build, database, indexes, onEvent, sink } = yield* withTable()
        yield* build(["note"], ["_row_index"])
        const commit = Effect.gen(function*() {
          const writer = yield* prepareTable(sink, requestOf("t", fields))
          yield* commitRows(writer, fields, [[2n, wide(bytes), "b"], [3n, "c", "d"]])
        })
        const error = yield* Effect.flip(commit)
        if (error._tag !== "RowTooLargeForIndex") return assert.fail(error.message)
        assert.include(error.message, "blocks 2 to 3")
        const dropped = Option.getOrThrow(yield* indexes.dropFull("t", error.index, onEvent))
        assert.deepInclude(dropped, { name: indexName("t", ["note"]), columns: ["note"], isDropped: true })
        yield* commit
        assert.deepStrictEqual((yield* indexesOf(database)).map(([name]) => name), [indexName("t", ["_row_index"])])
        assert.isTrue(Option.isNone(yield* indexes.dropFull("t", error.index, onEvent)))
      })
  )

  it.live("that have no room are not dropped while somebody reads the table, who is named and holds up nobody else for long", () =>
    Effect.gen(function*() {
      const { build, database, indexes, onEvent, waitsFor } = yield* withTable()
      yield* build(["note"])
      const drop = indexes.dropFull("t", indexName("t", ["note"]), onEvent)
      const reader = yield* holdLock(database, "SELECT FROM t")
      const error = yield* Effect.flip(Effect.timeout(drop, "10 seconds"))
      assert.isTrue(isLocked(error), error.message)
      assert.include(waitsFor, yield* reader.processId)
      assert.lengthOf(yield* indexesOf(database), 1)
      yield* database.query("SELECT FROM t")
      yield* reader.release
      assert.isTrue(Option.getOrThrow(yield* drop).isDropped)
      assert.deepStrictEqual(yield* indexesOf(database), [])
    }))

  it.live("that have no room are dropped although another one is being built, which begins again", () =>
    Effect.gen(function*() {
      const { build, database, indexes, onEvent } = yield* withTable()
      const [full, other] = [["note"], ["Other \"one\""]]
      yield* build(full)
      // A build waits at its end for older snapshots, also of transactions that do not use the table.
      yield* database.query("CREATE TABLE elsewhere ()")
      const old = yield* holdLock(
        database,
        "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT FROM elsewhere"
      )
      const attempt = yield* Effect.forkScoped(Effect.flip(build(full, other)))
      yield* eventually("the build waits", Effect.map(building(database), (row) => row !== undefined))
      const dropped = yield* Effect.timeout(indexes.dropFull("t", indexName("t", full), onEvent), "15 seconds")
      assert.isTrue(Option.getOrThrow(dropped).isDropped)
      assert.isTrue((yield* Fiber.join(attempt)).isRetryable)
      yield* old.release
      assert.isTrue(yield* build(other))
      assert.deepStrictEqual((yield* indexesOf(database)).map(([name, valid]) => [name, valid]), [
        [indexName("t", other), true]
      ])
    }))

  it.live("that an interrupted build left behind name the transaction that their drop waits for", () =>
    Effect.gen(function*() {
      const { build, database, waitsFor } = yield* withTable()
      const name = indexName("t", ["note"])
      yield* database.query(`CREATE INDEX ${name} ON t (note)`)
      yield* database.query(`UPDATE pg_index SET indisvalid = false WHERE indexrelid = '${name}'::regclass`)
      const reader = yield* holdLock(database, "SELECT FROM t")
      const pid = yield* reader.processId
      const attempt = yield* Effect.forkScoped(build(["note"]))
      yield* eventually("the wait is reported", Effect.sync(() => waitsFor.includes(pid)), 15_000)
      yield* reader.release
      assert.isTrue(yield* Fiber.join(attempt))
    }))

  it.live("that are a user's, or a key, are found and stay", () =>
    Effect.gen(function*() {
      const { database, indexes, sink } = yield* withTable()
      const find = (table: string, name?: string) =>
        Effect.map(indexes.dropFull(table, name, () => Effect.void), Option.getOrThrow)
      yield* database.query("CREATE INDEX by_hand ON t (note)")
      for (const name of ["by_hand", undefined]) {
        assert.deepInclude(yield* find("t", name), { name: "by_hand", isDropped: false, isPrimaryKey: false })
      }
      // An index with such a name on other columns is a user's.
      yield* database.query(`ALTER INDEX by_hand RENAME TO ${indexName("t", ["_row_index"])}`)
      assert.deepInclude(yield* find("t"), { isDropped: false })
      yield* database.query(`DROP INDEX ${indexName("t", ["_row_index"])}`)
      yield* database.query(`CREATE INDEX ${indexName("t", ["note"])} ON t USING hash (note)`)
      assert.deepInclude(yield* find("t", indexName("t", ["note"])), { isDropped: false })
      assert.lengthOf(yield* indexesOf(database), 1)
      const keyed = requestOf("k", [BLOCK, field("note", UTF8, false)], { primaryKey: ["note"] })
      yield* prepareTable(sink, keyed)
      assert.deepInclude(yield* find("k"), { name: "k_pkey", columns: ["note"], isDropped: false, isPrimaryKey: true })
    }))
})
