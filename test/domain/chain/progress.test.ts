import { assert, describe, it } from "@effect/vitest"
import { addEvent, addRows, type Chunk, emptyChunk, firstChunk, nextChunk } from "../../../src/domain/chain/Chunk.ts"
import { advanceProgress, type Progress } from "../../../src/domain/chain/progress.ts"
import { block, checkpoint, range } from "../../support/scenario.ts"

const nothing: Progress = { watermark: undefined, highestRow: undefined }
const nine = checkpoint("9a")

/** Rows of blocks 10 to 19, the last one at `position`, on top of block 9. */
const rowsUpTo = (position: number, from: Chunk = firstChunk(nine)): Chunk =>
  addRows(
    addEvent(from, { _tag: "RangeStarted", range: range(10, 19), checkpoint: nine, endIsDeclared: true }),
    3,
    30,
    BigInt(position)
  )

/** Whether each of these commits is progress, one after the other. */
const judge = (...chunks: ReadonlyArray<Chunk>): ReadonlyArray<boolean> => {
  let progress: Progress = { ...nothing, watermark: block("9a") }
  return chunks.map((chunk) => {
    const next = advanceProgress(progress, chunk)
    progress = next.progress
    return next.isProgress
  })
}

describe("a commit is progress", () => {
  it("when it moves the watermark, with or without rows", () => {
    const complete = addEvent(emptyChunk(nine), {
      _tag: "Watermark",
      range: range(10, 12),
      checkpoint: checkpoint("9a", "12a")
    })
    assert.deepStrictEqual(judge(complete, nextChunk(complete)), [true, false])
  })

  it("when it has a row higher than any before", () => {
    assert.deepStrictEqual(judge(rowsUpTo(12), rowsUpTo(15, nextChunk(rowsUpTo(12)))), [true, true])
  })

  it("not when an attempt receives the same rows as the one before: a stream that breaks in every range", () => {
    assert.deepStrictEqual(judge(rowsUpTo(15), rowsUpTo(12), rowsUpTo(15), rowsUpTo(15)), [true, false, false, false])
  })

  it("not when it only deletes and repeats the watermark", () => {
    assert.isFalse(advanceProgress({ watermark: block("9a"), highestRow: 15n }, firstChunk(nine)).isProgress)
  })

  it("when a reorg moves the watermark back, and then when rows climb again from where it went", () => {
    const reorged = addRows(
      addEvent(emptyChunk(nine), {
        _tag: "Reorg",
        deleteFrom: 5n,
        watermark: block("4a"),
        replaced: block("9a"),
        range: range(5, 19, "b", "a"),
        checkpoint: checkpoint("4a")
      }),
      2,
      20,
      6n
    )
    const next = addRows(nextChunk(reorged), 2, 20, 8n)
    assert.deepStrictEqual(judge(rowsUpTo(15), reorged, next), [true, true, true])
  })
})
