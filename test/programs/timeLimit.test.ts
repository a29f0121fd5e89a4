/** Whom the failure of a time limit names, and why, wherever the time ends. */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Schedule } from "effect"
import { TestClock } from "effect/testing"
import { trackPending, withTimeLimit } from "../../src/programs/timeLimit.ts"
import { testSettings } from "../support/testSettings.ts"
import { unreachableDatabase } from "../support/unreachableDatabase.ts"

const FLIGHT = "Arrow Flight at http://localhost:1602 (AMP_FLIGHT_ADDR)"
const DATABASE = "the database at 127.0.0.1:1 (DATABASE_URL)"

const refused = Effect.fail(new Error("connect ECONNREFUSED 127.0.0.1:1602"))

/** The reason of a limit of three seconds around requests to Flight, two seconds apart, and a database that is silent then. */
const reasonOf = (...attempts: ReadonlyArray<Effect.Effect<void, Error>>) => {
  const left = [...attempts]
  const work = Effect.suspend(() => left.shift()!).pipe(
    trackPending("flight"),
    Effect.retry(Schedule.spaced("2 seconds")),
    Effect.andThen(trackPending("database")(Effect.never)),
    withTimeLimit(Duration.seconds(3), (reason) => reason)
  )
  return Effect.forkChild(Effect.flip(work)).pipe(
    Effect.tap(TestClock.adjust("3 seconds")),
    Effect.flatMap(Fiber.join),
    Effect.provide(testSettings(unreachableDatabase))
  )
}

describe("a time limit names", () => {
  it.effect("who is silent", () =>
    Effect.gen(function*() {
      assert.strictEqual(
        yield* reasonOf(Effect.never),
        `no answer within 3s from ${FLIGHT}; if it is only slow, raise --timeout`
      )
    }))

  it.effect("the last failure where the time ends between two attempts", () =>
    Effect.gen(function*() {
      const reason = yield* reasonOf(Effect.delay(refused, "1500 millis"))
      assert.include(reason, `from ${FLIGHT}: connect ECONNREFUSED 127.0.0.1:1602;`)
    }))

  it.effect("the last failure where the time ends within an attempt", () =>
    Effect.gen(function*() {
      const reason = yield* reasonOf(refused, Effect.never)
      assert.include(reason, `from ${FLIGHT}: connect ECONNREFUSED 127.0.0.1:1602;`)
    }))

  it.effect("nobody who answered in the end", () =>
    Effect.gen(function*() {
      const reason = yield* reasonOf(refused, Effect.void)
      assert.include(reason, `from ${DATABASE};`)
      assert.notInclude(reason, "Arrow Flight")
    }))
})
