import { assert, describe, it } from "@effect/vitest"
import {
  afterCommit,
  afterFailure,
  type ChunkSize,
  initialChunkSize,
  MAX_ROWS,
  MIN_ROWS
} from "../../src/domain/ChunkSize.ts"

const { rows: INITIAL_ROWS } = initialChunkSize

/** Commits of the full size, each with the same speed. */
const atSpeed = (size: ChunkSize, commits: number, rowsPerMilli: number): ChunkSize =>
  Array.from({ length: commits }).reduce(
    (last: ChunkSize) => afterCommit(last, last.rows, last.rows / rowsPerMilli),
    size
  )

describe("the size of a chunk", () => {
  it("settles at the rows of one second, from below and from above", () => {
    assert.strictEqual(atSpeed(initialChunkSize, 20, 23).rows, 23_000)
    assert.strictEqual(atSpeed(initialChunkSize, 20, 2).rows, 2_000)
  })

  it("grows by half and shrinks by three tenths at most with one commit", () => {
    assert.strictEqual(atSpeed(initialChunkSize, 1, 1_000).rows, INITIAL_ROWS * 1.5)
    assert.strictEqual(atSpeed(initialChunkSize, 1, 1).rows, INITIAL_ROWS * 0.7)
    assert.strictEqual(atSpeed(initialChunkSize, 1, 11).rows, 11_000)
  })

  it("stays within its limits", () => {
    assert.strictEqual(atSpeed(initialChunkSize, 30, 1_000).rows, MAX_ROWS)
    assert.strictEqual(atSpeed(initialChunkSize, 30, 0.001).rows, MIN_ROWS)
    assert.strictEqual(Array.from({ length: 50 }).reduce(afterFailure, initialChunkSize).rows, MIN_ROWS)
    assert.strictEqual(afterCommit(initialChunkSize, INITIAL_ROWS, 0).rows, INITIAL_ROWS * 1.5)
  })

  it("does not change after a small commit that was fast, nor after one without rows", () => {
    assert.strictEqual(afterCommit(initialChunkSize, 20, 5), initialChunkSize)
    assert.strictEqual(afterCommit(initialChunkSize, 0, 60_000), initialChunkSize)
  })

  it("shrinks where even smaller commits take too long, as those of wide rows do", () => {
    assert.strictEqual(afterCommit(initialChunkSize, 900, 4_000).rows, INITIAL_ROWS * 0.7)
  })

  it("changes little for one commit that was slow by chance", () => {
    const steady = atSpeed(initialChunkSize, 20, 20)
    const disturbed = afterCommit(steady, steady.rows, 10_000)
    assert.isAtLeast(disturbed.rows, steady.rows * 0.7)
    assert.isAbove(atSpeed(disturbed, 3, 20).rows, steady.rows * 0.85)
  })

  it("shrinks at once after a failure, and forgets the smoothed speed", () => {
    const fast = atSpeed(initialChunkSize, 20, 40)
    const failed = afterFailure(fast)
    assert.deepStrictEqual(failed, { rows: 28_000, rowsPerMilli: undefined })
    assert.strictEqual(atSpeed(failed, 1, 5).rows, Math.trunc(28_000 * 0.7))
  })
})
