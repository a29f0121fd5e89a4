/** A table that the dataset does not have: the server reports it as its own failure, the Admin API tells the two apart. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { replaceConfig, startSync } from "../../support/runningSync.ts"
import { makeWorld, manifestOf } from "../../support/world.ts"

const queries = { blocks: "SELECT * FROM anvil.blocks" }
const KEPT = "Keeping previous configuration active"

describe.each(["amp", "nozzle"] as const)("a reload with a misspelt table (%s)", (dialect) => {
  it.live("is rejected with the table that may be meant, and is not tried again", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ dialect, blocks: 20, queries })
      const sync = yield* startSync(world.environment)
      yield* sync.logs("Started reorg stream for table: blocks")
      yield* replaceConfig(world, manifestOf(dialect, { ...queries, more: "SELECT * FROM anvil.lgos" }) as object)
      yield* sync.logs("_/anvil 0.1.0 has no table \"lgos\"; did you mean \"logs\"?")
      yield* sync.logs(KEPT)
      assert.include(sync.lines, KEPT)
    }))
})
