/** The first message of a range is awaited, and none is lost by that. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Stream } from "effect"
import { TestClock } from "effect/testing"
import type { FlightData } from "../../../src/domain/flight/FlightData.ts"
import { awaitFirstMessage, peekFirstMessage } from "../../../src/programs/table/firstMessage.ts"
import { flightError } from "../../doubles/FlightClient.ts"

const message = (number: number, isOfRange: boolean): FlightData => ({
  dataHeader: new Uint8Array([number]),
  appMetadata: new Uint8Array(isOfRange ? 1 : 0),
  dataBody: new Uint8Array()
})

const schema = message(0, false)
const ranges = [1, 2, 3, 4].map((number) => message(number, true))

const numbers = (messages: ReadonlyArray<FlightData>) => messages.map(({ dataHeader }) => dataHeader[0])

describe("the first message of a stream", () => {
  it.effect("is waited for, and followed by all others, also by those that came together with it", () =>
    Effect.gen(function*() {
      const [first, second, third, fourth] = ranges
      const messages = Stream.fromArrays([schema], [first!, second!], [third!], [fourth!])
      const all = yield* Effect.flatMap(peekFirstMessage(messages), ({ messages }) => Stream.runCollect(messages)).pipe(
        Effect.scoped
      )
      assert.deepStrictEqual(numbers(all), [0, 1, 2, 3, 4])
    }))

  it.effect("names the network of its range", () =>
    Effect.gen(function*() {
      const range = { network: "anvil", numbers: { start: 0, end: 1 }, hash: "0".repeat(64), prev_hash: null }
      const metadata = new TextEncoder().encode(JSON.stringify({ ranges: [range], ranges_complete: false }))
      const sent = [schema, { ...ranges[0]!, appMetadata: metadata }, ranges[1]!]
      assert.strictEqual((yield* Effect.scoped(peekFirstMessage(Stream.fromIterable(sent)))).network, "anvil")
      assert.isUndefined((yield* Effect.scoped(peekFirstMessage(Stream.fromIterable([schema, ranges[0]!])))).network)
    }))

  it.effect("may be the only one, or missing", () =>
    Effect.gen(function*() {
      for (const sent of [[], [schema], [schema, ranges[0]!]]) {
        const all = yield* Effect.flatMap(peekFirstMessage(Stream.fromIterable(sent)), ({ messages }) =>
          Stream.runCollect(messages)).pipe(
            Effect.scoped
          )
        assert.deepStrictEqual(numbers(all), numbers(sent))
      }
    }))

  it.effect("is not waited for where the server waits for a block, and comes when it comes", () =>
    Effect.gen(function*() {
      const late = Stream.fromEffect(Effect.as(Effect.sleep("10 seconds"), ranges[0]!))
      const messages = Stream.concat(Stream.make(schema), Stream.concat(late, Stream.make(ranges[1]!)))
      const seen: Array<number | undefined> = []
      let isPeeked = false
      const fiber = yield* peekFirstMessage(messages).pipe(
        Effect.tap(() => Effect.sync(() => void (isPeeked = true))),
        Effect.flatMap(({ messages }) =>
          Stream.runForEach(messages, ({ dataHeader }) => Effect.sync(() => void seen.push(dataHeader[0])))
        ),
        Effect.scoped,
        Effect.forkChild
      )
      yield* TestClock.adjust("2 seconds")
      assert.isFalse(isPeeked)
      yield* TestClock.adjust("1 second")
      assert.isTrue(isPeeked)
      yield* TestClock.adjust("7 seconds")
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(seen, [0, 1, 2])
    }))

  it.effect("is a failure where the server refuses the query", () =>
    Effect.gen(function*() {
      const refused = Stream.concat(Stream.make(schema), Stream.fail(flightError(false)))
      const error = yield* Effect.flip(Effect.scoped(peekFirstMessage(refused)))
      assert.strictEqual(error.message, flightError(false).message)
    }))

  it.effect("is awaited for three seconds from when the stream is open, however long that takes", () =>
    Effect.gen(function*() {
      const refused = Stream.concat(Stream.make(schema), Stream.fail(flightError(false)))
      const opening = Effect.delay(Effect.succeed({ schema: new Uint8Array(), messages: refused }), "20 seconds")
      const waiting = yield* Effect.forkChild(Effect.flip(awaitFirstMessage(opening)))
      yield* TestClock.adjust("20 seconds")
      assert.strictEqual((yield* Fiber.join(waiting)).message, flightError(false).message)
    }))
})
