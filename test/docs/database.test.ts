import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { layer as poolLayer } from "../../src/layers/PgPool.ts"
import { Bookkeeping } from "../../src/services/Bookkeeping.ts"
import { startAmpsync } from "../support/ampsyncProcess.ts"
import { bookkeepingLayers } from "../support/bookkeeping.ts"
import { testDatabase } from "../support/postgres.ts"
import { awaitCanonicalChain } from "../support/snapshots.ts"
import { testSettings } from "../support/testSettings.ts"
import { makeWorld } from "../support/world.ts"
import { pageOf, tableRows } from "./pages.ts"

describe("docs/database.md", () => {
  it.live("has exactly the tables, views and columns that a start makes, with their types and comments", () =>
    Effect.gen(function*() {
      const database = yield* testDatabase
      const services = yield* Layer.build(
        bookkeepingLayers.pipe(Layer.provide(poolLayer), Layer.provide(Layer.fresh(testSettings(database))))
      )
      yield* Context.get(services, Bookkeeping).ensure
      const found = yield* database.query<{ relation: string; row: string }>(
        `SELECT c.relname AS relation, format('| \`%s\` | \`%s\` | %s |', a.attname, format_type(a.atttypid, a.atttypmod),
           col_description(c.oid, a.attnum)) AS row
         FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
         WHERE c.relnamespace = $1::regnamespace AND c.relkind NOT IN ('i', 'I') ORDER BY c.relname, a.attnum`,
        [database.schema]
      )
      const page = pageOf("docs/database.md")
      const relations = [...new Set(found.map(({ relation }) => relation))].filter((name) => !name.endsWith("_seq"))
      assert.deepStrictEqual([...page.anchors].filter((anchor) => anchor.startsWith("_ampsync_")).toSorted(), relations)
      for (const name of relations) {
        const rows = tableRows(page, name).map((cells) => `| ${cells.join(" | ")} |`)
        assert.deepStrictEqual(rows, found.filter(({ relation }) => relation === name).map(({ row }) => row), name)
      }
    }))

  it.live("names the rights that a start needs which makes nothing: rows, reorgs and a restart with a role that owns nothing", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ dialect: "amp", blocks: 20 })
      const { query, schema, url } = world.database
      yield* Effect.scoped(Effect.gen(function*() {
        const owner = yield* startAmpsync(world.environment)
        yield* awaitCanonicalChain(world)
        yield* owner.kill("SIGTERM")
        yield* owner.exited
      }))
      const role = `role_${schema}`
      yield* Effect.acquireRelease(
        query(`CREATE ROLE ${role} LOGIN PASSWORD 'test'`),
        () => Effect.andThen(query(`DROP OWNED BY ${role} CASCADE`), query(`DROP ROLE ${role}`))
      )
      yield* query(
        `GRANT USAGE ON SCHEMA ${schema} TO ${role};
         GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ${schema} TO ${role}`
      )
      const login = new URL(url)
      login.username = role
      login.password = "test"
      yield* startAmpsync({ ...world.environment, DATABASE_URL: login.href })
      world.simulator.mine(5)
      yield* awaitCanonicalChain(world)
      world.simulator.reorg(3, 4)
      yield* awaitCanonicalChain(world)
      const writers = yield* query("SELECT DISTINCT usename FROM pg_stat_activity WHERE usename = $1", [role])
      assert.lengthOf(writers, 1)
    }))
})
