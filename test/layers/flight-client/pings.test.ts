import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Stream } from "effect"
import { makePingPace } from "../../../src/layers/flight-client/pingPace.ts"
import { startSimulator } from "../../../src/simulator/Simulator.ts"
import { clientOf, open } from "./client.ts"

const MINUTES_5 = 300_000

describe("pings of a Flight connection", () => {
  it.live("that are too frequent for a peer are reported as the reason, with the setting, and later connections send fewer", () =>
    Effect.gen(function*() {
      const { faults, flightUrl } = yield* startSimulator({ dialect: "amp", blocks: 5 })
      faults.enforcePings(MINUTES_5, 0)
      const client = yield* clientOf(flightUrl, { GRPC_PING_INTERVAL_SECS: "1" })
      const error = yield* Effect.flip(Effect.timeout(Stream.runDrain(open(client)), "20 seconds"))
      assert.deepInclude(error, { _tag: "FlightError", operation: "DoGet", retryable: true })
      for (const words of ["a ping every 1 s", "too_many_pings", flightUrl, "GRPC_PING_INTERVAL_SECS", "every 330 s"]) {
        assert.include(error.message, words)
      }
      const later = yield* Effect.forkScoped(Stream.runDrain(open(client)))
      yield* Effect.sleep("2500 millis")
      assert.isUndefined(later.pollUnsafe(), "two pings at the former pace would have ended it")
    }))

  it.live("are not sent where GRPC_PING_INTERVAL_SECS is 0", () =>
    Effect.gen(function*() {
      const { faults, flightUrl } = yield* startSimulator({ dialect: "amp", blocks: 5 })
      const reading = yield* Effect.forkScoped(
        Stream.runDrain(open(yield* clientOf(flightUrl, { GRPC_PING_INTERVAL_SECS: "0" })))
      )
      faults.enforcePings(MINUTES_5, -1)
      yield* Effect.sleep("1500 millis")
      assert.isUndefined(reading.pollUnsafe())
    }))

  it("become rarer once for all connections of the same pace, never more frequent", () => {
    const [minute, seconds330, hour] = [Duration.minutes(1), Duration.seconds(330), Duration.hours(1)]
    const pace = makePingPace(minute)
    for (let n = 0; n < 3; n++) assert.deepStrictEqual(pace.slowDown(minute), seconds330)
    assert.deepStrictEqual(pace.interval(), seconds330)
    assert.deepStrictEqual(pace.slowDown(seconds330), Duration.times(seconds330, 2))
    assert.deepStrictEqual(pace.slowDown(minute), Duration.times(seconds330, 2))
    assert.deepStrictEqual(makePingPace(hour).slowDown(minute), hour)
    assert.isUndefined(makePingPace(undefined).interval())
  })
})
