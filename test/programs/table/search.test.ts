/** A table whose newest blocks are orphaned searches the newest canonical one, one connection per step. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { TestClock } from "effect/testing"
import type { HeadReport } from "../../../src/domain/chain/sourceHead.ts"
import type { Watermark } from "../../../src/domain/chain/watermarks.ts"
import type { StreamRequest } from "../../../src/services/FlightClient.ts"
import type { Messages } from "../../doubles/FlightClient.ts"
import { headAt } from "../../doubles/SourceHead.ts"
import { frames } from "../../support/frames.ts"
import { data, hashOf, reorg, watermark } from "../../support/scenario.ts"
import { supervised } from "../../support/supervised.ts"

const elapse = (seconds: number) => Effect.repeat(TestClock.adjust("1 second"), { times: seconds - 1 })

const silent = (messages: Messages = Stream.empty): Messages => Stream.concat(messages, Stream.never)

/** Complete watermarks of blocks 300 to 440, every tenth. */
const stored = Array.from({ length: 15 }, (_, index) => `${300 + 10 * index}a`)

interface Source {
  /** The newest stored block that it still has. */
  readonly fork: number
  /** Its first block: requests from below are not answered, and its table of blocks begins here. */
  readonly first: number
  /** The highest block from which it answers a stream; it hangs above. */
  readonly answersUpTo?: number
}

/** What an amp server of another chain above `fork` sends after a cursor, and what its table of blocks shows. */
const source = ({ answersUpTo = Infinity, first, fork }: Source) => ({
  open: (_attempt: number, { cursor }: StreamRequest): Effect.Effect<Messages> => {
    const from = Number(cursor?.number ?? first - 1)
    if (from < first - 1 || from > answersUpTo) return Effect.succeed(silent())
    const start = from <= fork ? from + 1 : from
    const answer = start > fork + 1 ? reorg(start, 450, "b", "b") : data(start, 450, "b", "a")
    return Effect.succeed(silent(Stream.fromIterable(frames("amp", answer, watermark(450)))))
  },
  head: ({ block, hash }: Watermark): Effect.Effect<HeadReport> => {
    const isCanonical = block <= BigInt(fork) || hash === hashOf(block, "b")
    return Effect.succeed(headAt(450, block < BigInt(first) ? "unknown" : isCanonical ? "canonical" : "orphaned"))
  }
})

describe("the search for the newest canonical block", () => {
  it.effect("is a state of its own, with the block that is asked from, until one is found", () =>
    Effect.gen(function*() {
      const it = yield* supervised({ stored, ...source({ fork: 335, first: 0, answersUpTo: 440 }) })
      yield* elapse(90)
      assert.include(it.phases.map(([, phase]) => phase), "searching")
      assert.notInclude(it.phases.map(([, phase]) => phase), "diverged")
      assert.strictEqual(yield* it.phase, "caught up")
      assert.strictEqual(it.committed().at(-1)?.checkpoint.history.at(-1)?.block, 450n)
    }))

  it.effect("does not wait for a block that the source shows to be orphaned: an older one is asked", () =>
    Effect.gen(function*() {
      // The server walks back through its orphans, which takes minutes, unless it is asked from a canonical block.
      const { head, open } = source({ fork: 335, first: 0 })
      const it = yield* supervised({
        stored,
        head,
        open: (attempt, request) =>
          attempt > 0 && request.cursor!.number > 335n ? Effect.succeed(silent()) : open(attempt, request)
      })
      yield* elapse(180)
      assert.strictEqual(yield* it.phase, "caught up")
      assert.strictEqual(it.committed().at(-1)?.checkpoint.history.at(-1)?.block, 450n)
    }))

  it.effect("asks newer blocks again where an older one is not answered: it may be below the server's first block", () =>
    Effect.gen(function*() {
      const it = yield* supervised({ stored, ...source({ fork: 385, first: 380 }) })
      yield* elapse(20 * 60)
      const asked = it.requests.map(({ cursor }) => Number(cursor?.number))
      assert.isTrue(asked.some((block) => block < 380), `it asked from ${asked.join(", ")}`)
      assert.strictEqual(yield* it.phase, "caught up")
      assert.strictEqual(it.committed().at(-1)?.checkpoint.history.at(-1)?.block, 450n)
      assert.strictEqual(it.committed()[0]?.deleteFrom, 381n, "nothing below the newest canonical block is deleted")
    }))

  it.effect("I2 that ends without an answer deletes nothing: the table is stalled with the reason, and asks for ever", () =>
    Effect.gen(function*() {
      const it = yield* supervised({ stored, ...source({ fork: 200, first: 436 }) })
      yield* elapse(90 * 60)
      assert.lengthOf(it.committed(), 0)
      const { phase, reason } = yield* it.status
      assert.strictEqual(phase, "stalled")
      assert.include(reason, "sends nothing after block")
      const before = it.requests.length
      yield* elapse(20 * 60)
      assert.isAbove(it.requests.length, before)
    }))
})
