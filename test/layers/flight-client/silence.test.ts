/** Peers that accept and do not respond: each call has a deadline, and only its own connection is closed. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Stream } from "effect"
import { TestClock } from "effect/testing"
import { startSimulator } from "../../../src/simulator/Simulator.ts"
import { eventually } from "../../support/eventually.ts"
import { clientOf, open, SQL } from "./client.ts"
import { serveHttp2 } from "./http2Server.ts"

/** Real time passes, independent of the test clock. */
const until = (holds: () => boolean) =>
  Effect.promise(async () => {
    while (!holds()) await new Promise((resolve) => setTimeout(resolve, 5))
  })

describe("silence of a Flight peer", () => {
  it.effect("a connection that is accepted without a response fails after ten seconds, with its address", () =>
    Effect.gen(function*() {
      const simulator = yield* startSimulator({ dialect: "amp", blocks: 5 })
      simulator.faults.freeze()
      const fiber = yield* Effect.forkChild(Effect.flip((yield* clientOf(simulator.flightUrl)).schema(SQL)))
      yield* until(() => simulator.faults.connections === 1)
      yield* TestClock.adjust("10 seconds")
      const error = yield* Fiber.join(fiber)
      assert.deepInclude(error, { operation: "GetFlightInfo", status: "UNAVAILABLE", retryable: true })
      assert.strictEqual(
        error.detail,
        `no connection within 10 s (at ${simulator.flightUrl}, which AMP_FLIGHT_ADDR names)`
      )
    }))

  it.effect("a call that a connected peer does not answer fails after a minute, with its address", () =>
    Effect.gen(function*() {
      let calls = 0
      const url = yield* serveHttp2({ GetFlightInfo: () => void (calls += 1) })
      const fiber = yield* Effect.forkChild(Effect.flip((yield* clientOf(url)).schema(SQL)))
      yield* until(() => calls === 1)
      yield* TestClock.adjust("59 seconds")
      assert.isUndefined(fiber.pollUnsafe())
      yield* TestClock.adjust("1 second")
      const error = yield* Fiber.join(fiber)
      assert.deepInclude(error, { operation: "GetFlightInfo", status: "DEADLINE_EXCEEDED", retryable: true })
      assert.strictEqual(error.detail, `no answer within 60 s (at ${url}, which AMP_FLIGHT_ADDR names)`)
    }))

  it.live("a stream on a frozen connection fails at the unanswered ping, and the next one is served", () =>
    Effect.gen(function*() {
      const { faults, flightUrl } = yield* startSimulator({ dialect: "amp", blocks: 5 })
      const client = yield* clientOf(flightUrl, { GRPC_PING_INTERVAL_SECS: "1" })
      let received = 0
      const frozen = yield* Effect.forkScoped(
        Effect.flip(Stream.runForEach(open(client), () => Effect.sync(() => received += 1)))
      )
      yield* eventually("history is here", Effect.sync(() => received > 0 && received === faults.messagesSent))
      faults.freeze()
      assert.deepInclude(yield* Fiber.join(frozen), { operation: "DoGet", status: "UNAVAILABLE", retryable: true })
      faults.resume()
      assert.isAbove((yield* Stream.runCollect(Stream.take(open(client), 2))).length, 1)
    }))

  it.live("streams are served however few of them a connection carries", () =>
    Effect.gen(function*() {
      const { faults, flightUrl } = yield* startSimulator({ dialect: "amp", blocks: 5, maxStreams: 1 })
      const client = yield* clientOf(flightUrl)
      for (let n = 0; n < 3; n++) yield* Effect.forkScoped(Stream.runDrain(open(client)))
      yield* eventually("all three are open", Effect.sync(() => faults.openStreams === 3))
      assert.strictEqual(faults.connections, 3)
    }))
})
