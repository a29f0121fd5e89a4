import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { AmpsyncProcess } from "../support/ampsyncProcess.ts"
import { eventually } from "../support/eventually.ts"
import { watchSnapshots } from "../support/snapshots.ts"
import { atWork, begun, complete, pick, standsBy, startReserve, takesOver } from "../support/standby.ts"
import { makeWorld } from "../support/world.ts"

const readiness = (replica: AmpsyncProcess) =>
  Effect.promise(async () => {
    const address = /Health endpoints: (http:\S+?)"?\s/.exec(replica.output())?.[1]
    return (await fetch(`${address}/readyz`)).status
  })

describe("two processes with STANDBY", () => {
  it.live(
    "I3 that start at once work one at a time: the other is ready, and takes over all tables when the first is killed, frozen or stopped",
    () =>
      Effect.gen(function*() {
        const world = yield* makeWorld({ dialect: "amp", blocks: 40 })
        const observation = yield* watchSnapshots(world)
        const replicas = [yield* startReserve(world), yield* startReserve(world)]
        yield* Effect.forEach(replicas, begun)
        const first = yield* pick(world, replicas)
        yield* standsBy(first.spare)
        yield* complete(world, replicas)
        yield* eventually("the standby is ready", Effect.map(readiness(first.spare), (status) => status === 200))
        yield* first.active.kill("SIGKILL")
        world.simulator.reorg(3)
        const third = yield* startReserve(world)
        const second = yield* pick(world, [first.spare, third])
        const taken = (from: AmpsyncProcess, how: string) =>
          new RegExp(`Took over table '\\w+' from (another process|\\S+ pid ${from.pid} \\(\\w+\\)), ${how}`)
        yield* second.active.prints(taken(first.active, "whose last heartbeat was at \\d{4}-\\S+Z"))
        yield* complete(world, [first.spare, third])
        // It wakes up when the other is at work.
        yield* second.active.kill("SIGSTOP")
        world.simulator.mine(2)
        yield* takesOver(world, second.spare)
        yield* second.active.kill("SIGCONT")
        world.simulator.reorg(2)
        yield* complete(world, [second.spare, second.active])
        assert.strictEqual(yield* atWork(world), second.spare.pid)
        yield* second.spare.kill("SIGTERM")
        world.simulator.mine(1)
        yield* takesOver(world, second.active)
        yield* second.active.prints(taken(second.spare, "which released it"))
        yield* complete(world, [second.active])
        assert.deepStrictEqual(yield* observation.violations, [])
      })
  )
})
