/** A table that gets its partitions, and waits with one that another session keeps it from. */
import { Effect } from "effect"
import { holdLock } from "../../support/holdLock.ts"
import { replaceConfig } from "../../support/runningSync.ts"
import { awaitWatermark } from "../../support/snapshots.ts"
import { makeWorld, manifestOf } from "../../support/world.ts"
import type { Stage } from "./stage.ts"

const queries = { blocks: "SELECT * FROM anvil.blocks" }

export const partitions = Effect.fnUntraced(function*({ sees, start }: Stage) {
  const world = yield* makeWorld({ dialect: "amp", blocks: 8, queries })
  yield* replaceConfig(world, manifestOf("amp", queries, { blocks: { partitionBy: { blocks: 5 } } }) as object)
  yield* start(world.environment)
  yield* awaitWatermark(world, "blocks", 7n)
  world.simulator.mine(4)
  yield* awaitWatermark(world, "blocks", 11n)
  yield* holdLock(world.database, "LOCK TABLE blocks IN SHARE UPDATE EXCLUSIVE MODE")
  world.simulator.mine(6)
  yield* awaitWatermark(world, "blocks", 17n)
  yield* sees("partitionsMade", "partitionNotMade")
})
