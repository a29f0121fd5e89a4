import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { Dialect } from "../../src/simulator/tables.ts"
import { startAmpsync } from "../support/ampsyncProcess.ts"
import { differences } from "../support/compare.ts"
import { eventually } from "../support/eventually.ts"
import { holdsCanonicalChain } from "../support/snapshots.ts"
import { makeWorld, type World } from "../support/world.ts"

const columns = ["_block_num", "block_num", "hash"]
const queries = { blocks: `SELECT ${columns.join(", ")} FROM anvil.blocks` }

const resync = (world: World, ...args: ReadonlyArray<string>) =>
  startAmpsync(world.environment, ["resync", "--online", "--table", "blocks", "--yes", ...args])

describe("resync --online", () => {
  it.live.each<Dialect>(["amp", "nozzle"])(
    "smoke %s",
    (dialect) =>
      Effect.gen(function*() {
        const world = yield* makeWorld({ dialect, blocks: 60, queries })
        const sync = yield* startAmpsync(world.environment)
        yield* eventually("chain", holdsCanonicalChain(world, ["blocks"]))
        if (dialect === "nozzle") yield* Effect.forkScoped(Effect.forever(Effect.delay(Effect.sync(() => world.simulator.mine(1)), 300)))
        yield* world.database.query("UPDATE blocks SET hash = '\\x00' WHERE _block_num = 5; DELETE FROM blocks WHERE _block_num = 9")
        const run = yield* resync(world)
        const { code } = yield* run.exited
        console.log(run.output())
        assert.strictEqual(code, 0)
        console.log(sync.output())
        console.log(yield* world.database.query("SELECT * FROM _ampsync_reorgs"))
        yield* eventually("the table holds the chain", holdsCanonicalChain(world, ["blocks"]))
        assert.deepStrictEqual(yield* differences(world, "blocks", { columns }), [])
      }),
    60_000
  )
})
