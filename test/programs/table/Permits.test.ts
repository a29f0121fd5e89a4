import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber } from "effect"
import { makePermits } from "../../../src/programs/table/Permits.ts"

describe("the permits of the chunks in flight", () => {
  it.effect("count those in use: not those that wait, and not those that ended, failed or were interrupted", () =>
    Effect.gen(function*() {
      const permits = yield* makePermits(2)
      const done = yield* Deferred.make<void>()
      const running = yield* Effect.forEach(
        [Deferred.await(done), Effect.never, Effect.never],
        (effect) => Effect.forkChild(permits.withPermit(effect), { startImmediately: true })
      )
      assert.deepStrictEqual([permits.total, permits.inUse()], [2, 2])
      yield* Deferred.succeed(done, undefined)
      yield* Effect.yieldNow
      assert.strictEqual(permits.inUse(), 2)
      yield* Fiber.interruptAll(running)
      assert.strictEqual(permits.inUse(), 0)
      yield* Effect.flip(permits.withPermit(Effect.fail("no")))
      assert.strictEqual(permits.inUse(), 0)
    }))
})
