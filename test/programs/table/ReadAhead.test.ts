import { assert, describe, it } from "@effect/vitest"
import { type Cause, Effect, Exit, Fiber, Queue, Scope, Stream } from "effect"
import { TestClock } from "effect/testing"
import { makeReadAhead } from "../../../src/programs/table/ReadAhead.ts"

interface Event {
  readonly name: string
  readonly bytes: number
}

const event = (name: string, bytes = 1_000): Event => ({ name, bytes })

/** Lets everything happen that needs no time. */
const moment = Effect.repeat(TestClock.adjust("0 millis"), { times: 20 })

/** Reads ahead of frames that a test sends, and counts those the stream was asked for. */
const reading = Effect.fnUntraced(function*(...frames: ReadonlyArray<ReadonlyArray<Event>>) {
  const queue = yield* Queue.unbounded<ReadonlyArray<Event>, string | Cause.Done>()
  let asked = 0
  const events = Stream.fromQueue(queue).pipe(
    Stream.rechunk(1),
    Stream.tap(() => Effect.sync(() => void (asked += 1))),
    Stream.flatMap((frame) => Stream.fromArray(frame))
  )
  const input = yield* makeReadAhead(events, ({ bytes }) => bytes)
  yield* Queue.offerAll(queue, frames)
  yield* moment
  return {
    input,
    asked: () => asked,
    send: (...more: ReadonlyArray<ReadonlyArray<Event>>) => Effect.andThen(Queue.offerAll(queue, more), moment),
    fail: (error: string) => Effect.andThen(Queue.fail(queue, error), moment),
    end: Effect.andThen(Queue.end(queue), moment)
  }
})

describe("what is read ahead", () => {
  it.effect("is one frame without a limit, however many events it has", () =>
    Effect.gen(function*() {
      const { asked, input } = yield* reading([event("a"), event("b")], [event("c")], [event("d")])
      assert.strictEqual(asked(), 1)
      assert.isTrue(input.isShort())
      assert.strictEqual(input.peek()?.name, "a")
      input.drop()
      yield* moment
      assert.deepStrictEqual([input.peek()?.name, asked()], ["b", 1], "the frame is still there")
      input.drop()
      yield* moment
      assert.deepStrictEqual([input.peek()?.name, asked()], ["c", 2])
    }))

  it.effect("is bounded by bytes: the frame that reaches the limit is the last one", () =>
    Effect.gen(function*() {
      const { asked, input } = yield* reading(...Array.from({ length: 10 }, (_, i) => [event(`${i}`)]))
      input.limit(3_000)
      yield* moment
      assert.strictEqual(asked(), 3)
      assert.isFalse(input.isShort())
      input.drop()
      yield* moment
      assert.strictEqual(asked(), 4)
      input.limit(0)
      for (const name of ["1", "2", "3"]) {
        assert.strictEqual(input.peek()?.name, name)
        input.drop()
        yield* moment
      }
      assert.deepStrictEqual([input.peek()?.name, asked()], ["4", 5], "back to one frame at a time")
    }))

  it.effect("counts something for frames without rows, so that they are bounded as well", () =>
    Effect.gen(function*() {
      const { asked, input } = yield* reading(...Array.from({ length: 100 }, (_, i) => [event(`${i}`, 0)]))
      input.limit(10_000)
      yield* moment
      assert.isAtMost(asked(), 50)
      assert.isAtLeast(asked(), 5)
    }))
})

describe("who waits for events", () => {
  it.effect("is woken by the next one, or by the end of the stream", () =>
    Effect.gen(function*() {
      const { end, input, send } = yield* reading()
      const first = yield* Effect.forkScoped(input.arrival)
      yield* moment
      assert.isUndefined(first.pollUnsafe())
      assert.isTrue(input.isEmpty())
      yield* send([event("a")])
      yield* Fiber.join(first)
      input.drop()
      const second = yield* Effect.forkScoped(input.arrival)
      yield* moment
      assert.isUndefined(second.pollUnsafe())
      yield* end
      yield* Fiber.join(second)
    }))

  it.effect("waits no longer than it wants to", () =>
    Effect.gen(function*() {
      const { input, send } = yield* reading()
      const late = yield* Effect.forkScoped(input.arrivesWithin(1_000))
      yield* TestClock.adjust("1 second")
      assert.isFalse(yield* Fiber.join(late))
      const early = yield* Effect.forkScoped(input.arrivesWithin(1_000))
      yield* TestClock.adjust("900 millis")
      yield* send([event("a")])
      assert.isTrue(yield* Fiber.join(early))
      assert.isTrue(yield* input.arrivesWithin(0), "it is there already")
    }))

  it.effect("for a backlog waits for so many bytes, or for the end of the stream", () =>
    Effect.gen(function*() {
      const { end, input, send } = yield* reading()
      input.limit(10_000)
      const enough = yield* Effect.forkScoped(input.backlog(2_500))
      yield* send([event("a")])
      assert.isUndefined(enough.pollUnsafe())
      yield* send([event("b"), event("c")])
      yield* Fiber.join(enough)
      const never = yield* Effect.forkScoped(input.backlog(1_000_000))
      yield* moment
      assert.isUndefined(never.pollUnsafe())
      yield* end
      yield* Fiber.join(never)
    }))
})

describe("the end of a stream", () => {
  it.effect("is reported after everything that came before it", () =>
    Effect.gen(function*() {
      const { end, input } = yield* reading([event("a")], [event("b")])
      input.limit(10_000)
      yield* end
      assert.isFalse(input.isEnded())
      input.drop()
      assert.deepStrictEqual([input.peek()?.name, input.isEnded()], ["b", false])
      input.drop()
      assert.isTrue(input.isEnded())
      assert.deepStrictEqual(yield* Effect.exit(input.end), Exit.void)
    }))

  it.effect("by a failure is reported after everything that came before it", () =>
    Effect.gen(function*() {
      const { fail, input } = yield* reading([event("a")])
      yield* fail("broken")
      assert.deepStrictEqual([input.peek()?.name, input.isEnded()], ["a", false])
      input.drop()
      assert.isTrue(input.isEnded())
      assert.strictEqual(yield* Effect.flip(input.end), "broken")
    }))

  it.effect("stops the reading with the scope", () =>
    Effect.gen(function*() {
      let closed = false
      const scope = yield* Scope.make()
      const endless = Stream.never.pipe(Stream.ensuring(Effect.sync(() => void (closed = true))))
      yield* Scope.provide(makeReadAhead(endless, () => 0), scope)
      yield* moment
      yield* Scope.close(scope, Exit.void)
      assert.isTrue(closed)
    }))
})
