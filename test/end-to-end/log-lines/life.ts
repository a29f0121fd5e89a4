/** A sync that goes well: its start, its rows, a reorg, a minute, its end, and the next start; and one that takes its time. */
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import { awaitWatermark } from "../../support/snapshots.ts"
import { makeWorld } from "../../support/world.ts"
import type { Stage } from "./stage.ts"

export const life = Effect.fnUntraced(function*({ sees, start }: Stage) {
  const world = yield* makeWorld({
    dialect: "amp",
    blocks: 200,
    queries: {
      blocks: "SELECT * FROM anvil.blocks",
      logs: "SELECT * FROM anvil.logs",
      hashes: "SELECT block_num, hash FROM anvil.blocks"
    }
  })
  const process = yield* start(world.environment)
  yield* sees("caughtUp", "inserted")
  world.simulator.reorg(3)
  yield* sees("reorgHandled")
  for (const table of ["blocks", "logs", "hashes"]) yield* awaitWatermark(world, table, 200n)
  yield* sees("lastMinute")
  yield* process.kill("SIGTERM")
  assert.strictEqual((yield* process.exited).code, 0, process.output())
  yield* start(world.environment)
  yield* sees("resuming")
})

/** Tables that take a minute to catch up: one, and in another process six. */
export const backlog = Effect.fnUntraced(function*({ sees, start }: Stage) {
  for (const tables of [["blocks"], ["a", "b", "c", "d", "e", "f"]]) {
    const world = yield* makeWorld({
      dialect: "amp",
      blocks: 200,
      maxRangeBlocks: 1,
      queries: Object.fromEntries(tables.map((table) => [table, "SELECT block_num, hash FROM anvil.blocks"]))
    })
    world.simulator.faults.delayMillis = 250
    yield* start(world.environment)
  }
  yield* sees("catchingUp", "tablesCatchingUp")
})
