import { assert, describe, it } from "@effect/vitest"
import {
  afterCommit,
  afterFailure,
  type BatchSize,
  initialBatchSize,
  MAX_ROWS,
  MIN_ROWS
} from "../../src/domain/BatchSize.ts"

const after = (size: BatchSize, times: number, millis: number, rows?: number): BatchSize =>
  Array.from({ length: times }).reduce((grown: BatchSize) => afterCommit(grown, rows ?? grown.rows, millis), size)

describe("the size of a batch", () => {
  it("waits for three commits before it changes", () => {
    assert.strictEqual(after(initialBatchSize, 2, 10).rows, initialBatchSize.rows)
    assert.isAbove(after(initialBatchSize, 3, 10).rows, initialBatchSize.rows)
  })

  it("grows fast where commits take less than half a second, slowly up to a second, and shrinks beyond", () => {
    assert.strictEqual(after(initialBatchSize, 3, 400).rows, 12_000)
    assert.strictEqual(after(initialBatchSize, 3, 800).rows, 10_500)
    assert.strictEqual(after(initialBatchSize, 3, 1_200).rows, 9_000)
  })

  it("stays within its limits", () => {
    assert.strictEqual(after(initialBatchSize, 100, 1).rows, MAX_ROWS)
    assert.strictEqual(after(initialBatchSize, 100, 60_000).rows, MIN_ROWS)
    assert.strictEqual(Array.from({ length: 50 }).reduce(afterFailure, initialBatchSize).rows, MIN_ROWS)
  })

  it("learns nothing from a small commit that was fast", () => {
    assert.strictEqual(after(initialBatchSize, 10, 5, 20), initialBatchSize)
  })

  it("shrinks where even commits smaller than asked for take too long, as those of wide rows do", () => {
    assert.isBelow(after(initialBatchSize, 30, 4_000, 900).rows, 2_000)
  })

  it("judges by the last ten commits", () => {
    const slow = after(initialBatchSize, 30, 3_000)
    assert.strictEqual(slow.recentMillis.length, 10)
    assert.isAbove(after(slow, 20, 100).rows, slow.rows)
  })

  it("shrinks at once after a failure, and judges anew", () => {
    const grown = after(initialBatchSize, 5, 100)
    const failed = afterFailure(grown)
    assert.strictEqual(failed.rows, Math.trunc(grown.rows * 0.7))
    assert.deepStrictEqual(failed.recentMillis, [])
  })
})
