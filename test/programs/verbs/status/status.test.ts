import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { startAmpsync } from "../../../support/ampsyncProcess.ts"
import { preparedWriter } from "../../../support/bookkeeping.ts"
import { eventually } from "../../../support/eventually.ts"
import { type TestDatabase, testDatabase } from "../../../support/postgres.ts"
import { startProxy, throughProxy } from "../../../support/proxy.ts"
import { runAmpsync } from "../../../support/runAmpsync.ts"
import { awaitCanonicalChain } from "../../../support/snapshots.ts"
import { makeWorld } from "../../../support/world.ts"

const settingsOf = ({ schema, url }: TestDatabase) => ({ DATABASE_URL: url, DATABASE_SCHEMA: schema })
const run = (database: TestDatabase, ...args: ReadonlyArray<string>) =>
  runAmpsync(settingsOf(database), "status", ...args)

/** A role that may only read the schema, and its URL. */
const reader = Effect.fnUntraced(function*({ query, schema, url }: TestDatabase) {
  const role = `reader_${schema}`
  yield* Effect.acquireRelease(
    query(`CREATE ROLE ${role} LOGIN PASSWORD 'test'`),
    () => Effect.andThen(query(`DROP OWNED BY ${role}`), query(`DROP ROLE ${role}`))
  )
  const login = new URL(url)
  login.username = role
  login.password = "test"
  return { role, url: login.href }
})

describe("ampsync status", () => {
  it.live("prints how each table is, for a role that may only read, and exits 0; 3 once the process is dead", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ dialect: "amp", blocks: 20 })
      const { database } = world
      const { role, url } = yield* reader(database)
      const process = yield* startAmpsync(world.environment)
      yield* awaitCanonicalChain(world)
      yield* eventually(
        "all three tables are shown as caught up",
        Effect.map(
          database.query("SELECT FROM _ampsync_progress WHERE state = 'caught up' AND source_head = 19"),
          ({ length }) => length === 3
        )
      )
      yield* database.query(
        `GRANT USAGE ON SCHEMA ${database.schema} TO ${role};
         GRANT SELECT ON ALL TABLES IN SCHEMA ${database.schema} TO ${role}`
      )
      const [text, json] = yield* Effect.all([
        run({ ...database, url }),
        run({ ...database, url }, "--json")
      ], { concurrency: 2 })
      assert.strictEqual(text.code, 0, text.stdout + text.stderr)
      assert.match(text.stdout, /^ +blocks +caught up +.* 20 +0 +19 /m)
      assert.include(text.stdout, `pid ${process.pid} (`)
      assert.include(text.stdout, "All is well.")
      assert.notInclude(text.stdout, "\u001b")
      assert.strictEqual(json.code, 0, json.stderr)
      const document = JSON.parse(json.stdout)
      assert.deepInclude(document, { ok: true, problems: [] })
      assert.deepInclude(document.database, { schema: database.schema })
      assert.deepStrictEqual(
        document.tables.map(({ table, watermark }: { table: string; watermark: number }) => [table, watermark]),
        [
          ["blocks", 19],
          ["logs", 19],
          ["transactions", 19]
        ]
      )
      assert.deepInclude(document.writers[0], { pid: process.pid, alive: true, version: "0.1.0" })
      assert.deepInclude(document.latest[0], { dataset: "_/example", network: "anvil", block: 19 })

      yield* process.kill("SIGKILL")
      yield* process.exited
      // As if six seconds had passed.
      yield* database.query("UPDATE _ampsync_writers SET heartbeat_at = heartbeat_at - interval '1 minute'")
      const dead = yield* run(database)
      assert.strictEqual(dead.code, 3, dead.stderr)
      assert.match(dead.stdout, /^ +blocks +offline/m)
      assert.include(dead.stdout, "last reported: caught up")
      assert.include(dead.stdout, "Needs attention: blocks (offline), logs (offline), transactions (offline)")
    }))

  it.live("exits 3 where no table is synced, 1 where nothing can be read, 2 for a wrong setting, and prints no status then", () =>
    Effect.gen(function*() {
      const database = yield* testDatabase
      yield* preparedWriter(database)
      const [text, missing, down, wrong] = yield* Effect.all([
        run(database),
        run({ ...database, schema: "not_there" }, "--json"),
        runAmpsync({ DATABASE_URL: "postgresql://u@127.0.0.1:1/d" }, "status"),
        runAmpsync({}, "status")
      ], { concurrency: 2 })
      assert.strictEqual(text.code, 3, text.stderr)
      assert.include(text.stdout, "Needs attention: no tables")
      assert.deepStrictEqual([missing.code, missing.stdout], [1, ""])
      assert.include(missing.stderr, "no status could be read: schema \"not_there\" of database")
      assert.deepStrictEqual([down.code, down.stdout], [1, ""])
      assert.include(down.stderr, "ECONNREFUSED")
      assert.deepStrictEqual([wrong.code, wrong.stdout], [2, ""])
      assert.include(wrong.stderr, "DATABASE_URL")
    }))

  it.live("goes on with --watch while the database is away, shows that, and ends with 0 when it is stopped", () =>
    Effect.gen(function*() {
      const database = yield* testDatabase
      yield* preparedWriter(database)
      const target = Number(new URL(database.url).port)
      const reserved = yield* Effect.scoped(startProxy(target))
      const url = throughProxy(database.url, reserved)
      const watching = yield* startAmpsync(settingsOf({ ...database, url }), ["status", "--watch"])
      yield* watching.prints(/UTC: no status could be read: .*ECONNREFUSED.* \(for 0 s; trying again every 2 s\)/)
      yield* Effect.scoped(Effect.gen(function*() {
        yield* startProxy(target, reserved.port)
        yield* watching.prints(/--- \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC\n.*Schema/)
        yield* watching.prints("no tables")
      }))
      const before = watching.output().length
      yield* watching.prints(new RegExp(`^[^]{${before},}no status could be read`))
      yield* watching.kill("SIGINT")
      assert.strictEqual((yield* watching.exited).code, 0, watching.output())
    }))
})
