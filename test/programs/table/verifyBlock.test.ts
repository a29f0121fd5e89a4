/** How often a doubtful block is checked, and what is logged where it cannot be read. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { verifyBlock } from "../../../src/programs/table/verifyBlock.ts"
import type { HeadReport, SourceHeadError, SourceHeadReason } from "../../../src/services/SourceHead.ts"
import { recordedLog } from "../../doubles/Log.ts"
import { recordedHead, sourceHeadError } from "../../doubles/SourceHead.ts"
import { exampleManifest } from "../../support/exampleManifest.ts"

const failing = (reason: SourceHeadReason, retryable: boolean) => Effect.fail(sourceHeadError({ reason, retryable }))

/** Runs `verifyBlock` for an hour at most; returns its verdict, the number of requests to the source, and the log. */
const verifying = Effect.fnUntraced(function*(
  answer: (asked: number) => Effect.Effect<HeadReport, SourceHeadError>
) {
  const log = recordedLog()
  const head = recordedHead((_, asked) => answer(asked))
  const fiber = yield* Effect.forkChild(
    verifyBlock(exampleManifest(), "anvil", { block: 7n, hash: "0x" }).pipe(
      Effect.provide(head.layer),
      Effect.provide(log.layer)
    )
  )
  yield* TestClock.adjust("1 hour")
  const verdict = yield* Fiber.join(fiber)
  return { verdict, asked: head.askedAt.length, lines: log.lines }
})

describe("verifyBlock", () => {
  it.effect("asks again a source that may heal, and takes its verdict", () =>
    Effect.gen(function*() {
      const outcome = yield* verifying((asked) =>
        asked < 3 ? failing("QueryFailed", true) : Effect.succeed({ verdict: "orphaned", head: undefined })
      )
      assert.deepStrictEqual(outcome, { verdict: "orphaned", asked: 4, lines: [] })
    }))

  it.effect("gives up after eight more attempts, and logs why the block is unknown", () =>
    Effect.gen(function*() {
      const { asked, lines, verdict } = yield* verifying(() => failing("Timeout", true))
      assert.deepStrictEqual([verdict, asked], ["unknown", 9])
      assert.deepStrictEqual(lines, [
        "Block 7 could not be checked against the server's chain: cannot read the chain of network \"anvil\": injected. " +
        "The table is unverified until it can be checked"
      ])
    }))

  it.effect("does not repeat what cannot succeed", () =>
    Effect.gen(function*() {
      const { asked, lines, verdict } = yield* verifying(() => failing("UnreadableAnswer", false))
      assert.deepStrictEqual([verdict, asked, lines.length], ["unknown", 1, 1])
    }))

  it.effect("is silent where there is no table of blocks", () =>
    Effect.gen(function*() {
      const outcome = yield* verifying(() => failing("NoBlocksTable", false))
      assert.deepStrictEqual(outcome, { verdict: "unknown", asked: 1, lines: [] })
    }))
})
