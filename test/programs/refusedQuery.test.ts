import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { Dialect } from "../../src/simulator/tables.ts"
import { makeWorld } from "../support/world.ts"
import { edit, holdsAll, startSync } from "./runningSync.ts"

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
