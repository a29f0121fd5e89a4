import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Chain } from "../../../src/simulator/Chain.ts"
import type { GivenBlock } from "../../../src/simulator/GivenBlocks.ts"
import { catchUp } from "../../../src/simulator/rpc/followNode.ts"
import type { Node } from "../../../src/simulator/rpc/Node.ts"

/** A node whose blocks are letters: the same letter at the same height is the same block. */
const nodeOf = (letters: string): Node => {
  const hashes = [...letters].map((letter, i) => Uint8Array.from({ length: 32 }, () => letter.charCodeAt(0) + i))
  const block = (number: bigint): GivenBlock => ({
    number,
    hash: hashes[Number(number)]!,
    parentHash: hashes[Number(number) - 1] ?? new Uint8Array(32),
    timestamp: number,
    rows: { blocks: [{}], transactions: [], logs: [] }
  })
  const head = BigInt(letters.length) - 1n
  return {
    head: Effect.succeed(head),
    hashAt: (number) => Effect.succeed(number > head ? undefined : hexAt(hashes, number)),
    blocks: (from, to) =>
      Effect.succeed(Array.from({ length: Number(to - from) + 1 }, (_, i) => block(from + BigInt(i))))
  }
}

const hexAt = (hashes: ReadonlyArray<Uint8Array>, number: bigint): string =>
  `0x${Buffer.from(hashes[Number(number)]!).toString("hex")}`

const chain = () => new Chain({ seed: 1, dialect: "amp", blocks: 0 })

/** The served chain in letters. */
const served = ({ hashAt, tip }: Chain, self: Chain): string =>
  Array.from(
    { length: Number(tip) + 1 },
    (_, i) => String.fromCharCode(Number.parseInt(hashAt.call(self, BigInt(i))!.slice(2, 4), 16) - i)
  ).join("")

/** What is served after each state of the node. */
const follow = Effect.fnUntraced(function*(...states: ReadonlyArray<string>) {
  const followed = chain()
  const seen: Array<string> = []
  for (const state of states) {
    yield* catchUp(followed, nodeOf(state))
    seen.push(served(followed, followed))
  }
  return { seen, reorgs: followed.reorgs, orphaned: followed }
})

describe("following a node", () => {
  it.effect("takes what is new, in pieces", () =>
    Effect.gen(function*() {
      const long = "a".repeat(130)
      assert.deepStrictEqual((yield* follow("aaa", "aaaa", long)).seen, ["aaa", "aaaa", long])
    }))

  it.effect("serves a reorg once the new chain is the longer one, as a real server", () =>
    Effect.gen(function*() {
      const { orphaned, reorgs, seen } = yield* follow("aaaa", "aabb", "aabbb")
      assert.deepStrictEqual(seen, ["aaaa", "aaaa", "aabbb"])
      assert.strictEqual(reorgs, 1)
      // The orphaned blocks are remembered, so that a cursor among them is led back.
      assert.isDefined(orphaned.find(3n, hexAt([..."aaaa"].map((_, i) => new Uint8Array(32).fill(97 + i)), 3n)))
    }))

  it.effect("follows one that lost blocks and mines others, and one that begins another chain", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual((yield* follow("aaaa", "aa", "aac", "aaccc")).seen, ["aaaa", "aaaa", "aaaa", "aaccc"])
      assert.deepStrictEqual((yield* follow("aaa", "b", "bbbb")).seen, ["aaa", "aaa", "bbbb"])
    }))
})
