import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { layer } from "../../src/layers/SchemaViews.ts"
import { isLocked, PgPool } from "../../src/services/PgPool.ts"
import { SchemaViews } from "../../src/services/SchemaViews.ts"
import { prepareTable } from "../support/chunks.ts"
import { type TestDatabase, testDatabase } from "../support/postgres.ts"
import { BLOCK, processOn, readyBench, requestOf } from "../support/sinkBench.ts"
import { startTransactionPooler } from "../support/transactionPooler.ts"

/** A schema with the table `t`. */
const version = Effect.tap(readyBench(), ({ sink }) => prepareTable(sink, requestOf("t", [BLOCK])))

/** As a process with these connections has it. */
const viewsOver = (pool: PgPool["Service"]) =>
  Effect.map(
    Layer.build(Layer.fresh(layer).pipe(Layer.provide(Layer.succeed(PgPool, pool)))),
    Context.get(SchemaViews)
  )

/** The schemas whose tables the views of `live` show. */
const shown = (live: TestDatabase) =>
  Effect.map(
    live.query<{ schema: string }>(
      "SELECT DISTINCT table_schema AS schema FROM information_schema.view_table_usage WHERE view_schema = $1",
      [live.schema]
    ),
    (rows) => rows.map(({ schema }) => schema)
  )

describe("a publication", () => {
  it.live("that begins during another one waits for it, and the views show one schema at any time", () =>
    Effect.gen(function*() {
      const [old, next, live] = [yield* version, yield* version, yield* testDatabase]
      const publish = Effect.fnUntraced(function*({ database, pool }: Effect.Success<typeof version>) {
        const views = yield* viewsOver(pool)
        yield* views.publish({ from: database.schema, as: live.schema, tables: ["t"], drop: false }).pipe(
          Effect.retry({ while: (error) => error._tag === "SqlError" && isLocked(error) })
        )
      })
      for (let round = 0; round < 10; round += 1) {
        yield* Effect.all([publish(old), publish(next)], { concurrency: 2 })
        assert.lengthOf(yield* shown(live), 1)
      }
    }))

  it.live("behind a pooler that lends sessions by transaction leaves none of its limits on a session", () =>
    Effect.gen(function*() {
      const { database } = yield* version
      const live = yield* testDatabase
      const url = new URL(database.url)
      url.port = String((yield* startTransactionPooler(Number(url.port))).port)
      url.searchParams.set("sslmode", "disable")
      const { pool } = yield* processOn(database, { DATABASE_URL: url.href, MAX_DB_CONNECTIONS: "2" })
      const limits = pool.sql.unsafe(
        "SELECT name, setting FROM pg_settings WHERE name IN ('lock_timeout', 'statement_timeout') ORDER BY 1"
      )
      const before = yield* limits
      const views = yield* viewsOver(pool)
      const request = { from: database.schema, as: live.schema, tables: ["t"], drop: false }
      assert.include((yield* views.publish(request)).created, "t")
      assert.deepStrictEqual(yield* shown(live), [database.schema])
      assert.deepStrictEqual(yield* limits, before)
      assert.deepStrictEqual((yield* views.publish(request)).statements, [])
    }))

  it.live("goes back to a schema that lacks a column once the statement of its refusal was run, with the views on it", () =>
    Effect.gen(function*() {
      const [old, next, live] = [yield* version, yield* version, yield* testDatabase]
      yield* next.database.query(`ALTER TABLE t ADD COLUMN "a name" numeric(78,0)`)
      const views = yield* viewsOver(next.pool)
      const from = (schema: string, drop = false) => ({ from: schema, as: live.schema, tables: ["t"], drop })
      yield* views.publish(from(next.database.schema))
      yield* live.query(`CREATE VIEW mine AS SELECT "a name" FROM t`)
      const refusal = (drop: boolean) =>
        Effect.map(
          Effect.flip(views.plan(from(old.database.schema, drop))),
          (error) => error._tag === "ViewsRejected" ? error.reasons.join() : assert.fail(error.message)
        )
      const keep = `ALTER TABLE "${old.database.schema}"."t" ADD COLUMN "a name" numeric(78,0)`
      assert.include(yield* refusal(false), `, and ${keep} keeps it there as NULL`)
      assert.include(yield* refusal(true), `drop them first, or keep the columns as NULL: ${keep}`)
      yield* old.database.query(keep)
      assert.include((yield* views.publish(from(old.database.schema))).replaced, "t")
      assert.deepStrictEqual(yield* live.query("SELECT * FROM mine"), [])
      // The sync of that schema goes on with its own columns.
      yield* prepareTable(old.sink, requestOf("t", [BLOCK]))
    }))

  it.live("is refused where the roles with whose rights the views read may not read the new schema", () =>
    Effect.gen(function*() {
      const [old, next, live] = [yield* version, yield* version, yield* testDatabase]
      const views = yield* viewsOver(next.pool)
      const from = (schema: string) => ({ from: schema, as: live.schema, tables: ["t"], drop: false })
      yield* views.publish(from(old.database.schema))
      const [owner, reader] = [`owner_${live.schema}`, `reader_${live.schema}`]
      yield* Effect.acquireRelease(
        live.query(
          `CREATE ROLE ${owner}; CREATE ROLE ${reader}; GRANT SELECT ON t TO ${reader};
           GRANT CREATE ON SCHEMA ${live.schema} TO ${owner}; ALTER VIEW t OWNER TO ${owner}`
        ),
        () => live.query(`DROP OWNED BY ${owner}, ${reader}; DROP ROLE ${owner}, ${reader}`)
      )
      const { schema } = next.database
      const unable = Effect.map(
        Effect.flip(views.plan(from(schema))),
        (error) =>
          error._tag === "ViewsRejected"
            ? error.reasons.map((reason) => reason.split("; run: "))
            : assert.fail(error.message)
      )
      const [[ofOwner, grants] = [], ...others] = yield* unable
      assert.include(ofOwner, `view "t" in schema "${live.schema}" reads with the rights of role "${owner}"`)
      assert.lengthOf(others, 0)
      yield* live.query(grants!)
      assert.deepStrictEqual((yield* views.plan(from(schema))).missing, [])
      const [server] = yield* live.query<{ version: number }>(
        "SELECT current_setting('server_version_num')::int AS version"
      )
      // Views with the rights of their readers came with PostgreSQL 15.
      if (server!.version < 150_000) return
      yield* live.query("ALTER VIEW t SET (security_invoker = true)")
      const [[ofReader, more] = []] = yield* unable
      assert.include(ofReader, `reads with the rights of role "${reader}"`)
      yield* live.query(more!)
      assert.include((yield* views.publish(from(schema))).replaced, "t")
    }))
})
