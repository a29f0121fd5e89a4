/** Leases go by the clock of the database and by elapsed time: what hosts take for the time does not matter. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { allDifferences } from "../support/compare.ts"
import { HOUR_MILLIS, shiftedClock } from "../support/shiftedClock.ts"
import { watchSnapshots } from "../support/snapshots.ts"
import { atWork, complete, standsBy, startReserve, takesOver } from "../support/standby.ts"
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
          yield* Effect.sleep(3_000)
          assert.strictEqual(yield* atWork(world), first.pid, "a clock that is set is no reason to take over")
        }
        yield* complete(world, [first])
        // Set back while its answer that another is at work is fresh: the answer must not live for hours.
        yield* early.shift(-20 * HOUR_MILLIS)
        yield* first.kill("SIGKILL")
        world.simulator.reorg(3)
        yield* takesOver(world, second, 25_000)
        yield* complete(world, [second])
        assert.deepStrictEqual(yield* allDifferences(world), [])
        assert.deepStrictEqual(yield* observation.violations, [])
      })
  )
})
