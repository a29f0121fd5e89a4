import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Stream } from "effect"
import { TestClock } from "effect/testing"
import { bytesOf } from "../../../src/domain/chain/HeldRanges.ts"
import { awaitConfirmations } from "../../../src/programs/table/awaitConfirmations.ts"
import { type HeldMemory, makeHeldMemory } from "../../../src/programs/table/HeldMemory.ts"
import { KeptRanges } from "../../../src/programs/table/KeptRanges.ts"
import { StreamActivity } from "../../../src/programs/table/StreamActivity.ts"
import { headAt, recordedHead } from "../../doubles/SourceHead.ts"
import { wholeRange } from "../../support/events.ts"
import { exampleManifest } from "../../support/exampleManifest.ts"
import { checkpoint } from "../../support/scenario.ts"

const ROW_BYTES = 1_000

/** A memory whose use can be read. */
const counted = (limitBytes: number): HeldMemory & { readonly used: () => number; readonly peak: () => number } => {
  const memory = makeHeldMemory(limitBytes)
  let [used, peak] = [0, 0]
  return {
    ...memory,
    take: (bytes) => {
      used += bytes
      peak = Math.max(peak, used)
      memory.take(bytes)
    },
    used: () => used,
    peak: () => peak
  }
}

/** How many of `blocks` blocks of a table, each with one row, were passed on so far. */
const passing = Effect.fnUntraced(function*(memory: HeldMemory, blocks: number, confirmations: number) {
  let passed = 0
  const frames = Array.from(
    { length: blocks },
    (_, i) => wholeRange(10 + i, 1, 1, { sizeBytes: ROW_BYTES }).map((event) => [event])
  ).flat()
  const events = Stream.fromIterable(frames).pipe(Stream.rechunk(1), Stream.flatMap((frame) => Stream.fromArray(frame)))
  const kept = new KeptRanges(memory)
  const fiber = yield* events.pipe(
    Stream.concat(Stream.never),
    awaitConfirmations({
      confirmations,
      watermark: checkpoint("9a").history.at(-1),
      kept,
      manifest: exampleManifest(),
      activity: new StreamActivity(checkpoint("9a"), true, 0),
      memory,
      onEvent: () => undefined,
      onDropped: () => Effect.void,
      onHeld: () => Effect.void
    }),
    Stream.runForEach((event) => Effect.sync(() => void (event._tag === "Rows" && (passed += 1)))),
    Effect.forkScoped
  )
  return { fiber, passed: () => passed }
})

describe("the memory that tables share for rows that wait", () => {
  it.effect.each([1, 3, 8])(
    "I8 is bounded, and none of %s tables is held up by the others",
    (tables) =>
      Effect.gen(function*() {
        const [event] = wholeRange(10, 1, 1, { sizeBytes: ROW_BYTES })
        const frame = ROW_BYTES + 3 * bytesOf(event!)
        const memory = counted(3 * frame)
        const source = recordedHead(() => Effect.succeed(headAt(1_000)))
        yield* Effect.gen(function*() {
          // All of it is confirmed, but by the source alone: no range is far enough behind another one.
          const running = yield* Effect.forEach(Array.from({ length: tables }), () => passing(memory, 20, 500))
          yield* Effect.repeat(TestClock.adjust("1 second"), { times: 400 })
          assert.deepStrictEqual(running.map(({ passed }) => passed()), running.map(() => 20))
          assert.isAtMost(memory.peak(), 3 * frame + tables * frame)
          assert.isAbove(memory.peak(), 0)
          yield* Fiber.interruptAll(running.map(({ fiber }) => fiber))
          assert.strictEqual(memory.used(), 0, "all of it was given back")
        }).pipe(Effect.provide(source.layer))
      })
  )

  it.effect("is free again for the others when a table ends with rows that wait", () =>
    Effect.gen(function*() {
      const memory = counted(2_000)
      const source = recordedHead(() => Effect.succeed(headAt(0)))
      yield* Effect.gen(function*() {
        const { fiber, passed } = yield* passing(memory, 20, 500)
        yield* TestClock.adjust("10 seconds")
        assert.isAbove(memory.used(), 0)
        assert.isFalse(memory.hasRoom())
        assert.strictEqual(passed(), 0)
        yield* Fiber.interrupt(fiber)
        assert.strictEqual(memory.used(), 0)
        assert.isTrue(memory.hasRoom())
      }).pipe(Effect.provide(source.layer))
    }))
})
