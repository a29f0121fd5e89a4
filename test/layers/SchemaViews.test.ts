import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { layer } from "../../src/layers/SchemaViews.ts"
import { PgPool } from "../../src/services/PgPool.ts"
import { SchemaViews } from "../../src/services/SchemaViews.ts"
import { prepareTable } from "../support/chunks.ts"
import { testDatabase } from "../support/postgres.ts"
import { BLOCK, readyBench, requestOf } from "../support/sinkBench.ts"

/** A schema with the table `t`. */
const version = Effect.tap(readyBench(), ({ sink }) => prepareTable(sink, requestOf("t", [BLOCK])))

describe("a publication", () => {
  it.live("goes back to a schema that lacks a column once the statement of its refusal was run, with the views on it", () =>
    Effect.gen(function*() {
      const [old, next, live] = [yield* version, yield* version, yield* testDatabase]
      yield* next.database.query(`ALTER TABLE t ADD COLUMN "a name" numeric(78,0)`)
      const views = Context.get(
        yield* Layer.build(layer.pipe(Layer.provide(Layer.succeed(PgPool, next.pool)))),
        SchemaViews
      )
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
      const views = Context.get(
        yield* Layer.build(layer.pipe(Layer.provide(Layer.succeed(PgPool, next.pool)))),
        SchemaViews
      )
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
