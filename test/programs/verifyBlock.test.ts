/** How long a doubtful block is asked for, and what is logged where it cannot be read. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Logger, Result } from "effect"
import { TestClock } from "effect/testing"
import { decodeManifest } from "../../src/domain/Manifest.ts"
import { verifyBlock } from "../../src/programs/verifyBlock.ts"
import { type HeadReport, SourceHead, SourceHeadError, type SourceHeadReason } from "../../src/services/SourceHead.ts"

const manifest = Result.getOrThrow(decodeManifest({ name: "example", tables: { t: { sql: "SELECT 1" } } }))

const failing = (reason: SourceHeadReason, retryable: boolean) =>
  Effect.fail(
    new SourceHeadError({
      operation: "check",
      network: "anvil",
      table: "anvil.blocks",
      reason,
      detail: "out of order",
      retryable
    })
  )

/** Runs `verifyBlock` for an hour at most; answers its verdict, how often the source was asked, and what was logged. */
const verifying = Effect.fnUntraced(function*(
  answer: (asked: number) => Effect.Effect<HeadReport, SourceHeadError>
) {
  const lines: Array<string> = []
  let asked = 0
  const fiber = yield* Effect.forkChild(
    verifyBlock(manifest, "anvil", { block: 7n, hash: "0x" }).pipe(
      Effect.provide(Layer.mock(SourceHead, { check: () => Effect.suspend(() => answer(asked++)) })),
      Effect.provide(
        Logger.layer([Logger.make<unknown, void>(({ message }) => void lines.push([message].flat().join(" ")))])
      )
    )
  )
  yield* TestClock.adjust("1 hour")
  const verdict = yield* Fiber.join(fiber)
  return { verdict, asked, lines }
})

describe("verifyBlock", () => {
  it.effect("asks a source that is out of order again, and takes its verdict", () =>
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
        "Block 7 could not be checked against the server's chain: cannot read the chain of network \"anvil\" from table anvil.blocks: out of order"
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
