import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { StreamActivity } from "../../../src/programs/table/StreamActivity.ts"
import { watchLease } from "../../../src/programs/table/watchLease.ts"
import { recordedWriter } from "../../doubles/TableWriter.ts"
import { checkpoint } from "../../support/scenario.ts"

/** Watches a table whose database returns `isCurrent` at each check. */
const watching = Effect.fnUntraced(function*(isCurrent: Effect.Effect<boolean, never>, isBuilding = false) {
  const activity = new StreamActivity(checkpoint("9a"), true, 0)
  let asked = 0
  const { writer } = recordedWriter({ isCurrent: Effect.tap(isCurrent, () => Effect.sync(() => (asked += 1))) })
  const fiber = yield* Effect.forkScoped(watchLease(writer, activity, { isBuilding: () => isBuilding }))
  return { activity, fiber, asked: () => asked }
})

describe("the last commit", () => {
  it.effect("that the database no longer has is noticed within five seconds, without a new block", () =>
    Effect.gen(function*() {
      const it = yield* watching(Effect.succeed(false))
      it.activity.onIdle(0)
      yield* TestClock.adjust("5 seconds")
      assert.deepInclude(yield* Fiber.join(it.fiber), { _tag: "ReconnectFrom", isFailure: false })
    }))

  it.effect("is not asked for while one is on its way", () =>
    Effect.gen(function*() {
      const it = yield* watching(Effect.succeed(false))
      it.activity.onIdle(0)
      it.activity.onBusy(0)
      yield* TestClock.adjust("10 minutes")
      assert.strictEqual(it.asked(), 0)
      assert.isUndefined(it.fiber.pollUnsafe())
    }))

  it.effect("is asked for while rows wait for a build of keys: none is on its way then", () =>
    Effect.gen(function*() {
      const it = yield* watching(Effect.succeed(false), true)
      it.activity.onIdle(0)
      it.activity.onBusy(0)
      yield* TestClock.adjust("5 seconds")
      assert.deepInclude(yield* Fiber.join(it.fiber), { _tag: "ReconnectFrom", isFailure: false })
    }))

  it.effect("that the database has is asked for every five seconds", () =>
    Effect.gen(function*() {
      const it = yield* watching(Effect.succeed(true))
      it.activity.onIdle(0)
      yield* TestClock.adjust("60 seconds")
      assert.strictEqual(it.asked(), 12)
      assert.isUndefined(it.fiber.pollUnsafe())
    }))
})
