import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { Dialect } from "../../../src/simulator/tables.ts"
import { edit, holdsAll, startSync } from "../../support/runningSync.ts"
import { makeWorld } from "../../support/world.ts"

/** What only follows from a query that no stream can be made of. */
const CONSEQUENCE = /_block_num|_range_end|placed by column|primaryKey/

describe.each<Dialect>(["amp", "nozzle"])("a query that a server of the %s dialect refuses to stream", (dialect) => {
  it.live("is refused at a reload and at a start with the server's reason, not with the position it lacks", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ dialect, blocks: 20, queries: { blocks: "SELECT * FROM anvil.blocks" } })
      const sync = yield* startSync(world.environment)
      yield* holdsAll(world, "blocks")
      yield* edit(world, { blocks: "SELECT count(*) AS n FROM anvil.blocks" })
      yield* sync.says("Failed to reload manifest")
      const refusal = sync.lines.find((line) => line.startsWith("Failed to reload manifest"))!
      assert.include(refusal, "non-incremental")
      assert.notMatch(refusal, CONSEQUENCE)
      yield* sync.stop
      const again = yield* startSync(world.environment)
      yield* again.says("non-incremental")
      assert.notMatch(again.lines.join("\n"), CONSEQUENCE)
    }))
})

describe("a query that a server finds out to be none for a stream only where it runs", () => {
  const SORTED = "SELECT DISTINCT ON (block_num()) hash FROM anvil.blocks ORDER BY block_num()"

  it.live("is refused at a reload, and at a start parks its table alone, with the server's reason", () =>
    Effect.gen(function*() {
      const blocks = "SELECT * FROM anvil.blocks"
      const world = yield* makeWorld({ dialect: "amp", blocks: 20, queries: { blocks } })
      const sync = yield* startSync(world.environment)
      yield* holdsAll(world, "blocks")
      yield* edit(world, { blocks, logs: `SELECT * FROM (${SORTED}) AS sorted` })
      yield* sync.says("Failed to reload manifest")
      const refusal = sync.lines.find((line) => line.startsWith("Failed to reload manifest"))!
      assert.match(refusal, /table "logs": DoGet failed with INTERNAL: .*non-incremental operation: Sort/)
      yield* sync.stop
      const again = yield* startSync(world.environment)
      yield* again.says("Table 'logs' is parked")
      const parked = again.lines.find((line) => line.startsWith("Table 'logs' is parked"))!
      assert.include(parked, "non-incremental operation: Sort")
      assert.lengthOf(again.lines.filter((line) => line.includes("Table 'logs' failed")), 0)
      yield* holdsAll(world, "blocks")
    }))

  it.live("is refused with the cure where it yields a dictionary, which no server can send", () =>
    Effect.gen(function*() {
      const queries = { blocks: "SELECT * FROM anvil.blocks" }
      const world = yield* makeWorld({ dialect: "amp", blocks: 20, queries })
      const sync = yield* startSync(world.environment)
      yield* holdsAll(world, "blocks")
      world.simulator.faults.failAfter(1, 13, "Ipc error: no dict id for field kind")
      yield* edit(world, { ...queries, logs: "SELECT * FROM anvil.logs" })
      yield* sync.says("Failed to reload manifest")
      const refusal = sync.lines.find((line) => line.startsWith("Failed to reload manifest"))!
      assert.match(refusal, /table "logs": .*no dict id for field kind; .*CAST\("kind" AS VARCHAR\)/)
    }))
})
