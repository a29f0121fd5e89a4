import { assert, describe, it } from "@effect/vitest"
import { BlockComparison, type BlockDigest, noRows, plus } from "../../../src/domain/verify/BlockComparison.ts"

const row = (value: bigint) => ({ high: value, low: -value })
const digest = (...values: ReadonlyArray<bigint>): BlockDigest =>
  values.reduce((sum, value) => plus(sum, { rows: 1, ...row(value) }), noRows)

/** Blocks 0 to 3 with a row each; the stored one of block 2 is another, and block 3 has one more. */
const compared = () => {
  const comparison = new BlockComparison(-1n, false)
  for (const block of [0n, 1n, 2n, 3n]) comparison.add(block, row(block))
  comparison.settle(
    new Map([[0n, digest(0n)], [1n, digest(1n)], [2n, digest(9n)], [3n, digest(9n, 3n)]]),
    3n
  )
  return comparison
}

const resultOf = ({ changed, differing, extra, missing, named, rows, through }: BlockComparison) => ({
  changed,
  differing,
  extra,
  missing,
  named: named.map(({ first }) => first),
  rows,
  through
})

describe("BlockComparison", () => {
  it("counts blocks that differ by their rows, whatever their order", () => {
    assert.deepStrictEqual(resultOf(compared()), {
      changed: 1,
      differing: 2,
      extra: 1,
      missing: 0,
      named: [2n, 3n],
      rows: 5,
      through: 3n
    })
    assert.deepStrictEqual(digest(1n, -5n, 7n), digest(7n, 1n, -5n))
    assert.notDeepEqual(digest(1n, 1n), digest(2n))
  })

  it("takes back what was compared from a block on", () => {
    const comparison = compared()
    assert.isTrue(comparison.takeBack(3n))
    assert.deepStrictEqual(resultOf(comparison), {
      changed: 1,
      differing: 1,
      extra: 0,
      missing: 0,
      named: [2n],
      rows: 3,
      through: 2n
    })
    assert.isTrue(comparison.takeBack(0n))
    assert.deepStrictEqual([comparison.rows, comparison.differing, comparison.through], [0, 0, -1n])
  })

  it("does not take back what is too long ago", () => {
    const comparison = new BlockComparison(-1n, false)
    for (let block = 0n; block < 20_000n; block++) comparison.add(block, row(block))
    comparison.settle(new Map(), 19_999n)
    assert.isTrue(comparison.takeBack(19_000n))
    assert.isFalse(comparison.takeBack(10n))
  })

  it("compares all rows of a step at once where they carry only the end of their range", () => {
    const comparison = new BlockComparison(-1n, true)
    comparison.add(9n, row(1n))
    comparison.add(9n, row(2n))
    comparison.settle(new Map([[4n, digest(2n)], [9n, digest(1n)]]), 9n)
    assert.deepStrictEqual([comparison.rows, comparison.differing], [2, 0])
    comparison.add(12n, row(1n))
    comparison.settle(new Map(), 12n)
    assert.deepStrictEqual(comparison.named, [{ first: 10n, last: 12n, expected: 1, stored: 0 }])
  })
})
