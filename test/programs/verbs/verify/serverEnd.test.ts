import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { BlockComparison } from "../../../../src/domain/verify/BlockComparison.ts"
import { endsBelow, serverEndOf } from "../../../../src/programs/verbs/verify/serverEnd.ts"
import { type HeadAnswer, headAt, recordedHead } from "../../../doubles/SourceHead.ts"
import { exampleManifest } from "../../../support/exampleManifest.ts"

const changed = { _tag: "ChainChanged", reason: "the server replaced blocks", from: 40n } as const

/** Blocks up to `through` are compared, of those up to block 59. */
const ask = (through: bigint, answer?: HeadAnswer) =>
  serverEndOf(exampleManifest(), "anvil", 59n, new BlockComparison(through, false), changed).pipe(
    Effect.provide(recordedHead(answer).layer)
  )

describe("the end of the server's chain", () => {
  it.effect("is below the last block, at it or above it, or not known", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* ask(39n, () => Effect.succeed(headAt(39))), { _tag: "EndsBelow", block: 39n })
      for (const head of [59, 70]) {
        assert.deepStrictEqual(yield* ask(39n, () => Effect.succeed(headAt(head))), { _tag: "Reaches" })
      }
      assert.strictEqual((yield* ask(39n))._tag, "Unknown")
      assert.strictEqual(
        (yield* ask(39n, () => Effect.succeed({ verdict: "unknown", head: undefined })))._tag,
        "Unknown"
      )
      // Everything is compared: it is not asked for.
      assert.deepStrictEqual(yield* ask(59n), { _tag: "Reaches" })
    }))

  it("is named with the blocks that it lacks", () => {
    assert.strictEqual(
      endsBelow(10_035n, 10_552n),
      "The chain of the server ends at block 10,035: it has nothing of blocks 10,036 to 10,552, up to which the table is complete"
    )
    assert.match(endsBelow(58n, 59n), /nothing of block 59, /)
    assert.match(endsBelow(-1n, 59n), /^The server has no block: it has nothing of blocks 0 to 59/)
  })
})
