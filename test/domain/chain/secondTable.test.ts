import { assert, describe, it } from "@effect/vitest"
import type { Checkpoint } from "../../../src/domain/chain/Checkpoint.ts"
import { firstReplaced, joined, notReached } from "../../../src/domain/chain/secondTable.ts"

/** `5a`: block 5 with the hash `a`. */
const at = (...watermarks: ReadonlyArray<string>): Checkpoint => ({
  network: "anvil",
  origin: 0n,
  history: watermarks.map((text) => ({ block: BigInt(text.slice(0, -1)), hash: text.slice(-1) })),
  unverifiedFrom: undefined
})

describe("a second table", () => {
  it.each<[string, Checkpoint, Checkpoint, RegExp | undefined]>([
    ["has reached a table without a watermark", at(), at(), undefined],
    ["without a watermark has not reached one", at("5a"), at(), /complete up to no block, and the table up to block 5/],
    [
      "has not reached a higher watermark",
      at("5a", "9a"),
      at("5a", "8a"),
      /up to block 8, and the table up to block 9/
    ],
    ["has reached the same watermark", at("9a"), at("9a"), undefined],
    ["has reached one between two of its own", at("9a"), at("5a", "12a"), undefined],
    ["has not reached one on another chain", at("9a"), at("9b", "12b"), /different blocks 9/]
  ])("%s", (_, first, second, expected) => {
    const reason = notReached(first, second)
    if (expected === undefined) assert.isUndefined(reason)
    else assert.match(reason!, expected)
  })
})

describe("the first block that a second table replaces", () => {
  it.each<[string, Checkpoint, Checkpoint, bigint | undefined, boolean, bigint | undefined]>([
    ["is the first that differs", at("5a", "9a"), at("5a", "9a"), 7n, false, 7n],
    ["is none where all are equal", at("5a", "9a"), at("5a", "9a", "12a"), undefined, false, undefined],
    ["is none above the watermark", at("5a", "9a"), at("5a", "12a"), 10n, false, undefined],
    ["is none where nothing was complete", at(), at("5a"), 3n, false, undefined],
    [
      "is that of the range that differs, by the watermarks of both",
      at("3a", "5a", "9a"),
      at("2a", "5a", "9a"),
      5n,
      true,
      3n
    ],
    ["is the first of the table where no watermark is older", at("5a", "9a"), at("5a", "9a"), 5n, true, 0n],
    [
      "is behind the newest common watermark where hashes differ",
      at("3a", "5a", "9a"),
      at("3a", "5b", "9b"),
      undefined,
      false,
      4n
    ],
    ["is the lower one of both", at("3a", "5a", "9a"), at("3a", "5b", "9b"), 2n, false, 2n],
    ["is the first of the table where no watermark is common", at("5a", "9a"), at("5b", "9b"), 8n, false, 0n]
  ])("%s", (_, first, second, firstPosition, rangeMode, expected) => {
    assert.strictEqual(firstReplaced(first, second, firstPosition, rangeMode), expected)
  })
})

describe("the history of both", () => {
  it.each<[string, Checkpoint, Checkpoint, boolean, Checkpoint]>([
    [
      "has the watermarks of both up to the newest common one",
      at("3a", "7a", "9a"),
      at("5a", "9a", "11a"),
      false,
      at("3a", "5a", "7a", "9a", "11a")
    ],
    ["has none of the first above it", at("3a", "9a", "10a"), at("9a", "12a"), false, at("3a", "9a", "12a")],
    ["is that of the second where nothing is common", at("3a", "9a"), at("3b", "12b"), false, at("3b", "12b")],
    ["is that of the second where rows carry the end of a range", at("3a", "9a"), at("9a"), true, at("9a")]
  ])("%s", (_, first, second, rangeMode, expected) => {
    assert.deepStrictEqual(joined(first, second, rangeMode), expected)
  })
})
