import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema, Scope } from "effect"
import { TestClock } from "effect/testing"
import { Status } from "../../../src/services/HealthApi.ts"
import { committed } from "../../doubles/statusEvents.ts"
import { type EventStream, openEvents } from "../../support/eventStream.ts"
import { ask } from "../../support/health.ts"
import { ready, serving } from "../../support/servingHealth.ts"

const states = (stream: EventStream): ReadonlyArray<string> => stream.events().map(({ tables }) => tables[0].state)

/** Lets seconds pass; after each of them a comment or an event has had the time to arrive. */
const seconds = Effect.fnUntraced(function*(count: number) {
  for (let second = 0; second < count; second += 1) {
    yield* TestClock.adjust("1 second")
    yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 20)))
  }
})

describe("/events", () => {
  it.effect("begins with the whole status, and sends it again when it has changed, once a second at most", () =>
    Effect.gen(function*() {
      const { address, recorder } = yield* ready
      const stream = yield* openEvents(address)
      assert.deepInclude(stream.headers, { "content-type": "text/event-stream", "cache-control": "no-store" })
      yield* stream.until(() => stream.events().length === 1)
      const [first] = stream.events()
      assert.deepStrictEqual(Schema.decodeUnknownSync(Status)(first), first)
      assert.deepStrictEqual(first, (yield* ask(address, "/status")).body)
      yield* recorder.record("logs", { _tag: "CaughtUp" })
      yield* recorder.record("logs", { _tag: "Failed", attempts: 1, reason: "refused" })
      yield* TestClock.adjust("1 second")
      yield* stream.until(() => stream.events().length === 2)
      assert.deepStrictEqual(states(stream), ["catching up", "retrying"])
      yield* recorder.record("logs", { _tag: "CaughtUp" })
      yield* TestClock.adjust("1 second")
      yield* stream.until(() => stream.events().length === 3)
      assert.deepStrictEqual(states(stream), ["catching up", "retrying", "caught up"])
    }))

  it.effect("sends a comment every five seconds while nothing changes, also while a watermark grows old", () =>
    Effect.gen(function*() {
      const { address, recorder } = yield* ready
      yield* recorder.record("logs", committed({ watermarkAtSeconds: 0, rowsAdded: 0 }))
      const stream = yield* openEvents(address)
      yield* stream.until(() => stream.events().length === 1)
      yield* seconds(4)
      assert.notInclude(stream.text(), ": keep-alive")
      yield* TestClock.adjust("1 second")
      yield* stream.until(() => stream.text().endsWith("\n\n: keep-alive\n\n"))
      assert.lengthOf(stream.events(), 1)
    }))

  it.effect("has places for 32 readers; one more is refused with the reason, and gets the place of one who leaves", () =>
    Effect.gen(function*() {
      const { address } = yield* serving()
      const readers = yield* Effect.forEach(Array.from({ length: 32 }), () => openEvents(address))
      assert.deepStrictEqual(readers.map(({ status }) => status), Array.from({ length: 32 }, () => 200))
      const refused = yield* openEvents(address)
      assert.strictEqual(refused.status, 503)
      yield* refused.closed
      assert.include(JSON.parse(refused.text()).message, "Not more than 32 may watch at the same time")
      assert.strictEqual((yield* ask(address, "/livez")).status, 200)
      yield* readers[7]!.leave
      let status = 503
      while (status === 503) {
        const next = yield* openEvents(address)
        status = next.status
        yield* next.leave
      }
      assert.strictEqual(status, 200)
    }))

  it.effect("keeps one event for a reader that does not read, and has the newest one next", () =>
    Effect.gen(function*() {
      const { address, recorder } = yield* serving()
      // More than a MB a second: soon more than the buffers of the operating system take.
      const tables = Array.from({ length: 1_500 }, (_, index) => `table_${index}`)
      yield* recorder.begin(tables)
      const stream = yield* openEvents(address)
      yield* stream.until(() => stream.events().length === 1)
      yield* stream.pause
      for (let second = 1; second <= 40; second += 1) {
        yield* recorder.record("table_0", { _tag: "Waiting", reason: `second ${second}` })
        yield* seconds(1)
      }
      yield* stream.resume
      // It sleeps until the next second only once what it has sent is taken.
      while (stream.events().at(-1).tables[0].reason !== "second 40") yield* seconds(1)
      assert.isBelow(stream.events().length, 25)
    }))

  it.live("ends at once with the server, for readers that read and for those that do not", () =>
    Effect.gen(function*() {
      // The readers outlive the server.
      const scope = yield* Effect.scope
      const { since, streams } = yield* Effect.scoped(Effect.gen(function*() {
        const { address, recorder } = yield* serving()
        yield* recorder.begin(Array.from({ length: 2_000 }, (_, index) => `table_${index}`))
        const streams = yield* Effect.forEach([1, 2, 3], () => Scope.provide(openEvents(address), scope))
        yield* streams[0]!.pause
        yield* streams[1]!.until(() => streams[1]!.events().length > 0)
        return { streams, since: performance.now() }
      }))
      for (const stream of streams) yield* stream.resume
      for (const stream of streams) yield* stream.closed
      assert.isBelow(performance.now() - since, 3_000)
    }))
})
