/** A nozzle table that passed a block which could not be checked, and how the mark of doubt is removed. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { TestClock } from "effect/testing"
import type { HeadReport } from "../../../src/domain/chain/sourceHead.ts"
import type { SourceHeadError } from "../../../src/services/SourceHead.ts"
import type { Messages } from "../../doubles/FlightClient.ts"
import { type HeadAnswer, headAt, sourceHeadError } from "../../doubles/SourceHead.ts"
import { frames } from "../../support/frames.ts"
import { data, type Message } from "../../support/scenario.ts"
import { supervised } from "../../support/supervised.ts"

const elapse = (seconds: number) => Effect.repeat(TestClock.adjust("1 second"), { times: seconds - 1 })

/** One range a minute; a gap lies before the second one. */
const everyMinute = (...messages: ReadonlyArray<Message>): Effect.Effect<Messages> =>
  Effect.succeed(
    Stream.concat(
      Stream.fromIterable(frames("nozzle", ...messages)).pipe(
        Stream.zipWithIndex,
        Stream.mapEffect(([frame, index]) =>
          index < 2 ? Effect.succeed(frame) : Effect.as(Effect.sleep("60 seconds"), frame)
        )
      ),
      Stream.never
    )
  )

/** The `blocks` table of the network can be read from some second on. */
const readableAfter = (seconds: number, report: (block: bigint) => HeadReport): HeadAnswer => ({ block }) =>
  Effect.clockWith((clock): Effect.Effect<HeadReport, SourceHeadError> =>
    clock.currentTimeMillisUnsafe() < seconds * 1_000 ? Effect.fail(sourceHeadError()) : Effect.succeed(report(block))
  )

const marks = Effect.fnUntraced(function*(script: {
  readonly report: (block: bigint) => HeadReport
  readonly messages: ReadonlyArray<Message>
  readonly readableAfterSeconds?: number
}) {
  const it = yield* supervised({
    dialect: "nozzle",
    open: () => everyMinute(...script.messages),
    head: readableAfter(script.readableAfterSeconds ?? 90, script.report)
  })
  yield* elapse(60 * script.messages.length)
  return it.committed().map(({ checkpoint }) => checkpoint.unverifiedFrom)
})

const ranges = [data(0, 9), data(13, 14), data(15, 16), data(17, 18)]

describe("the mark unverified", () => {
  it.effect("goes once every watermark since is found canonical", () =>
    Effect.gen(function*() {
      const found = yield* marks({ messages: ranges, report: () => headAt(16) })
      assert.deepStrictEqual(found, [undefined, 9n, undefined, undefined])
    }))

  it.effect("I2 stays while one of them is orphaned", () =>
    Effect.gen(function*() {
      const report = (block: bigint) => headAt(16, block === 9n ? "orphaned" : "canonical")
      assert.deepStrictEqual(yield* marks({ messages: ranges, report }), [undefined, 9n, 9n, 9n])
    }))

  it.effect("I2 stays where the history was thinned since: a watermark that is gone cannot be checked", () =>
    Effect.gen(function*() {
      const found = yield* marks({
        messages: [data(0, 9), data(13, 900), data(901, 902), data(903, 904)],
        report: () => headAt(904),
        readableAfterSeconds: 130
      })
      assert.deepStrictEqual(found, [undefined, 9n, 9n, 9n])
    }))
})
