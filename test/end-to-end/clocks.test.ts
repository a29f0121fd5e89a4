/** Leases go by the clock of the database, and waits by elapsed time: what a host takes for the time does not matter. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { startAmpsync } from "../support/ampsyncProcess.ts"
import { allDifferences } from "../support/compare.ts"
import { eventually } from "../support/eventually.ts"
import { HOUR_MILLIS, shiftedClock } from "../support/shiftedClock.ts"
import { awaitCanonicalChain, awaitWatermark, watchSnapshots } from "../support/snapshots.ts"
import { complete, pick, standsBy, startReserve, takesOver } from "../support/standby.ts"
import { makeWorld } from "../support/world.ts"

describe("two processes with STANDBY", () => {
  it.live(
    "I3 whose clocks are ten hours apart, and are set back and forth, work one at a time, and take over in time",
    () =>
      Effect.gen(function*() {
        const world = yield* makeWorld({ dialect: "amp", blocks: 40 })
        const observation = yield* watchSnapshots(world)
        const [late, early] = [yield* shiftedClock(-5 * HOUR_MILLIS), yield* shiftedClock(5 * HOUR_MILLIS)]
        const first = yield* startReserve(world, late.environment)
        yield* complete(world, [first])
        const second = yield* startReserve(world, early.environment)
        yield* standsBy(second)
        for (const hours of [3, -7]) {
          yield* late.shift(hours * HOUR_MILLIS)
          yield* early.shift(-hours * HOUR_MILLIS)
          world.simulator.mine(1)
          yield* Effect.sleep(2_500)
          const beats = yield* world.database.query<{ seconds: number }>(
            "SELECT extract(epoch FROM clock_timestamp() - heartbeat_at)::float8 AS seconds FROM _ampsync_writers"
          )
          for (const { seconds } of beats) {
            assert.isBelow(Math.abs(seconds), 1_800, "heartbeats are by the database's clock")
          }
        }
        yield* complete(world, [first, second])
        // What a database leaves whose own clock is set: at most one needless takeover.
        for (const change of ["+ interval '1 hour'", "- interval '1 hour'"]) {
          yield* world.database.query(`UPDATE _ampsync_writers SET heartbeat_at = heartbeat_at ${change}`)
          world.simulator.reorg(2)
          yield* complete(world, [first, second])
        }
        const { active, spare } = yield* pick(world, [first, second])
        // Set back while its answer that another is at work is fresh: the answer must not live for hours.
        yield* (spare === first ? late : early).shift(-20 * HOUR_MILLIS)
        yield* active.kill("SIGKILL")
        world.simulator.reorg(3)
        yield* takesOver(world, spare)
        yield* complete(world, [spare])
        assert.deepStrictEqual(yield* allDifferences(world), [])
        assert.deepStrictEqual(yield* observation.violations, [])
      }),
    180_000
  )
})

const queries = { blocks: "SELECT * FROM anvil.blocks" }

describe.concurrent("a process whose clock is set", () => {
  it.live.each([-5, 5])(
    "by %d hours goes on: rows of a long range are committed before it ends, and new blocks follow",
    (hours) =>
      Effect.gen(function*() {
        const world = yield* makeWorld({ dialect: "amp", blocks: 4, maxRangeBlocks: 1_000, maxBatchRows: 1, queries })
        const clock = yield* shiftedClock(0)
        const process = yield* startAmpsync({ ...world.environment, ...clock.environment })
        yield* awaitWatermark(world, "blocks", 3n)
        world.simulator.faults.delayMillis = 300
        world.simulator.mine(200)
        yield* Effect.sleep(300)
        yield* clock.shift(hours * HOUR_MILLIS)
        // The range takes a minute.
        yield* eventually(
          "rows above the watermark are committed",
          Effect.map(
            world.database.query(
              "SELECT FROM blocks, _ampsync_checkpoints WHERE table_name = 'blocks' AND _block_num > max_block_num"
            ),
            (rows) => rows.length > 0
          ),
          45_000
        )
        world.simulator.faults.delayMillis = 0
        yield* awaitCanonicalChain(world, ["blocks"])
        world.simulator.reorg(2)
        yield* awaitCanonicalChain(world, ["blocks"])
        assert.notMatch(process.output(), /CRITICAL|Failed to create stream/)
      })
  )
})
