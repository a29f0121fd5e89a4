import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { Dialect } from "../../../src/simulator/tables.ts"
import { awaitAllRows, replaceConfig, startSync } from "../../support/runningSync.ts"
import { makeWorld } from "../../support/world.ts"

/** Messages that are only consequences of a query that cannot be streamed. */
const CONSEQUENCE = /_block_num|_range_end|placed by column|primaryKey/

describe.each<Dialect>(["amp", "nozzle"])("a query that a server of the %s dialect refuses to stream", (dialect) => {
  it.live("is rejected at a reload and at a start with the server's reason, not with the position it lacks", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ dialect, blocks: 20, queries: { blocks: "SELECT * FROM anvil.blocks" } })
      const sync = yield* startSync(world.environment)
      yield* awaitAllRows(world, "blocks")
      yield* replaceConfig(world, { blocks: "SELECT count(*) AS n FROM anvil.blocks" })
      yield* sync.logs("Failed to reload manifest")
      const rejection = sync.lines.find((line) => line.startsWith("Failed to reload manifest"))!
      assert.include(rejection, "non-incremental")
      assert.notMatch(rejection, CONSEQUENCE)
      yield* sync.stop
      const again = yield* startSync(world.environment)
      yield* again.logs("non-incremental")
      assert.notMatch(again.lines.join("\n"), CONSEQUENCE)
    }))
})

describe("a query that a server plans, and refuses to stream only when it runs", () => {
  const SORTED = "SELECT DISTINCT ON (block_num()) hash FROM anvil.blocks ORDER BY block_num()"

  it.live("is rejected at a reload, and at a start parks its table alone, with the server's reason and without creating it", () =>
    Effect.gen(function*() {
      const blocks = "SELECT * FROM anvil.blocks"
      const world = yield* makeWorld({ dialect: "amp", blocks: 20, queries: { blocks } })
      const sync = yield* startSync(world.environment)
      yield* awaitAllRows(world, "blocks")
      yield* replaceConfig(world, { blocks, logs: `SELECT * FROM (${SORTED}) AS sorted` })
      yield* sync.logs("Failed to reload manifest")
      const rejection = sync.lines.find((line) => line.startsWith("Failed to reload manifest"))!
      assert.match(rejection, /table "logs": DoGet failed with INTERNAL: .*non-incremental operation: Sort/)
      yield* sync.stop
      const again = yield* startSync(world.environment)
      yield* again.logs("Table 'logs' is parked")
      const parked = again.lines.find((line) => line.startsWith("Table 'logs' is parked"))!
      assert.include(parked, "non-incremental operation: Sort")
      assert.lengthOf(again.lines.filter((line) => line.includes("Table 'logs' failed")), 0)
      assert.deepStrictEqual(yield* world.database.query("SELECT to_regclass('logs')::text AS name"), [{ name: null }])
      yield* awaitAllRows(world, "blocks")
    }))

  it.live("is rejected with the CAST that helps where it yields a dictionary, which no server can send", () =>
    Effect.gen(function*() {
      const queries = { blocks: "SELECT * FROM anvil.blocks" }
      const world = yield* makeWorld({ dialect: "amp", blocks: 20, queries })
      const sync = yield* startSync(world.environment)
      yield* awaitAllRows(world, "blocks")
      world.simulator.faults.failAfter(1, 13, "Ipc error: no dict id for field kind")
      yield* replaceConfig(world, { ...queries, logs: "SELECT * FROM anvil.logs" })
      yield* sync.logs("Failed to reload manifest")
      const rejection = sync.lines.find((line) => line.startsWith("Failed to reload manifest"))!
      assert.match(rejection, /table "logs": .*no dict id for field kind; .*CAST\("kind" AS VARCHAR\)/)
    }))
})
