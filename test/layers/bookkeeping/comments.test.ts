import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { layer as poolLayer } from "../../../src/layers/PgPool.ts"
import { Bookkeeping } from "../../../src/services/Bookkeeping.ts"
import { bookkeepingLayers } from "../../support/bookkeeping.ts"
import { type TestDatabase, testDatabase } from "../../support/postgres.ts"
import { testSettings } from "../../support/testSettings.ts"

const started = (database: TestDatabase) =>
  Effect.map(
    Layer.build(bookkeepingLayers.pipe(Layer.provide(poolLayer), Layer.provide(Layer.fresh(testSettings(database))))),
    (services) => Context.get(services, Bookkeeping)
  )

/** Objects of the bookkeeping, and their columns, that have no comment. */
const withoutComment = ({ query, schema }: TestDatabase) =>
  Effect.map(
    query<{ name: string }>(
      `SELECT c.relname || coalesce('.' || a.attname, '') AS name
       FROM pg_class c
       CROSS JOIN LATERAL (
         SELECT 0 AS attnum, NULL AS attname UNION ALL
         SELECT attnum, attname FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped
       ) a
       WHERE c.relnamespace = $1::regnamespace AND c.relkind IN ('r', 'v') AND c.relname LIKE '\\_ampsync\\_%'
         AND NOT EXISTS (SELECT FROM pg_description d
           WHERE d.objoid = c.oid AND d.classoid = 'pg_class'::regclass AND d.objsubid = a.attnum)
       ORDER BY 1`,
      [schema]
    ),
    (rows) => rows.map(({ name }) => name)
  )

describe("comments of the bookkeeping", () => {
  it.live("are on every table, view and column, and a second start has nothing to add", () =>
    Effect.gen(function*() {
      const database = yield* testDatabase
      const bookkeeping = yield* started(database)
      yield* bookkeeping.ensure
      assert.deepStrictEqual(yield* withoutComment(database), [])
      assert.deepStrictEqual(yield* bookkeeping.pending, [])
      const [view] = yield* database.query(
        "SELECT obj_description('_ampsync_progress'::regclass, 'pg_class') AS comment"
      )
      assert.match(String(view?.["comment"]), /^State of each table \(definition \w+\)$/)
    }))

  it.live("that are missing or out of date are set by the next start, which runs no other statement", () =>
    Effect.gen(function*() {
      const database = yield* testDatabase
      const bookkeeping = yield* started(database)
      yield* bookkeeping.ensure
      yield* database.query(
        `COMMENT ON COLUMN _ampsync_reorgs.depth IS NULL; COMMENT ON TABLE _ampsync_reorgs IS 'of an earlier version'`
      )
      const [statement, ...others] = yield* bookkeeping.pending
      assert.lengthOf(others, 0)
      assert.match(
        statement!,
        /^COMMENT ON TABLE \S+ IS E?'[^']+'; COMMENT ON COLUMN \S+_ampsync_reorgs\.depth IS E?'[^']+'$/
      )
      yield* bookkeeping.ensure
      assert.deepStrictEqual(yield* bookkeeping.pending, [])
      assert.deepStrictEqual(yield* withoutComment(database), [])
    }))

  it.live("are left to the owner of the tables: a start with another role does without, and needs no right to create", () =>
    Effect.gen(function*() {
      const database = yield* testDatabase
      yield* (yield* started(database)).ensure
      yield* database.query(
        "COMMENT ON COLUMN _ampsync_reorgs.depth IS NULL; COMMENT ON TABLE _ampsync_writers IS NULL"
      )
      const role = `role_${database.schema}`
      yield* Effect.acquireRelease(
        database.query(`CREATE ROLE ${role} LOGIN PASSWORD 'test'`),
        () => Effect.andThen(database.query(`DROP OWNED BY ${role} CASCADE`), database.query(`DROP ROLE ${role}`))
      )
      yield* database.query(
        `GRANT USAGE ON SCHEMA ${database.schema} TO ${role};
         GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ${database.schema} TO ${role}`
      )
      const url = new URL(database.url)
      url.username = role
      url.password = "test"
      const other = yield* started({ ...database, url: url.href })
      assert.deepStrictEqual(yield* other.pending, [])
      yield* other.ensure
      assert.deepStrictEqual(yield* withoutComment(database), ["_ampsync_reorgs.depth", "_ampsync_writers"])
    }))
})
