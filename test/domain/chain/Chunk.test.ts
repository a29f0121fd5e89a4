import { assert, describe, it } from "@effect/vitest"
import type { Checkpoint } from "../../../src/domain/chain/Checkpoint.ts"
import type { Chunk } from "../../../src/domain/chain/Chunk.ts"
import {
  addEvent,
  addRows,
  closesGroup,
  emptyChunk,
  firstChunk,
  isFull,
  isWorthCommitting,
  nextChunk
} from "../../../src/domain/chain/Chunk.ts"
import type { RowBatch, Rows, TableEvent } from "../../../src/domain/chain/TableEvent.ts"
import { block, checkpoint, range } from "../../support/scenario.ts"

type WithoutRows = Exclude<TableEvent, Rows<RowBatch>>
type Event = WithoutRows | { readonly _tag: "Written"; readonly rows: number }

/** Rows that were written, of ten bytes each. */
const rows = (count: number): Event => ({ _tag: "Written", rows: count })
const starts = (start: number, end: number, after: Checkpoint): WithoutRows => ({
  _tag: "RangeStarted",
  range: range(start, end),
  checkpoint: after,
  endIsDeclared: true
})
const completes = (start: number, end: number, after: Checkpoint): WithoutRows => ({
  _tag: "Watermark",
  range: range(start, end),
  checkpoint: after
})
const reorg = (deleteFrom: number | undefined, after: Checkpoint): WithoutRows => ({
  _tag: "Reorg",
  deleteFrom: deleteFrom === undefined ? undefined : BigInt(deleteFrom),
  watermark: after.history.at(-1),
  replaced: block("12a"),
  range: range(deleteFrom ?? 0, 20, "b"),
  checkpoint: after
})
const arrival: TableEvent = { _tag: "Rows", batch: { rows: 2 }, range: range(10, 12) }
const add = (chunk: Chunk, event: Event): Chunk =>
  event._tag === "Written" ? addRows(chunk, event.rows, 10 * event.rows, 11n) : addEvent(chunk, event)
const all = (chunk: Chunk, ...events: ReadonlyArray<Event>): Chunk => events.reduce(add, chunk)

describe("a chunk", () => {
  it("I1 of a new connection carries the deferred deletion of everything above the watermark", () => {
    assert.strictEqual(firstChunk(checkpoint("4a", "9a")).deleteFrom, 10n)
    assert.strictEqual(firstChunk(checkpoint()).deleteFrom, "all")
  })

  it("I1 carries the deferred deletion in its first commit, with rows or with a watermark alone", () => {
    const start = firstChunk(checkpoint("9a"))
    assert.isFalse(isWorthCommitting(start))
    const withRows = all(start, starts(10, 12, checkpoint("9a")), rows(3))
    const withWatermark = all(start, starts(10, 12, checkpoint("9a")), completes(10, 12, checkpoint("9a", "12a")))
    for (const chunk of [withRows, withWatermark]) {
      assert.isTrue(isWorthCommitting(chunk))
      assert.strictEqual(chunk.deleteFrom, 10n)
    }
  })

  it("I1 does not delete before rows follow, so that readers see no gap", () => {
    const chunk = all(
      firstChunk(checkpoint("9a", "12a")),
      reorg(10, checkpoint("9a")),
      starts(10, 20, checkpoint("9a"))
    )
    assert.isFalse(isWorthCommitting(chunk))
    assert.isTrue(isWorthCommitting(add(chunk, rows(1))))
    const replaced = all(chunk, completes(10, 12, checkpoint("9a", "12b")))
    assert.isTrue(isWorthCommitting(replaced))
    assert.deepStrictEqual(replaced.before, checkpoint("9a", "12a"))
  })

  it("I2 deletes from the lowest block that any of its reorgs names, and the next one deletes nothing", () => {
    const lower = all(firstChunk(checkpoint("4a", "9a")), reorg(5, checkpoint("4a")), reorg(7, checkpoint("4a", "6b")))
    assert.strictEqual(lower.deleteFrom, 5n)
    assert.strictEqual(
      all(firstChunk(checkpoint("4a")), reorg(undefined, checkpoint()), reorg(3, checkpoint("2b"))).deleteFrom,
      "all"
    )
    assert.strictEqual(emptyChunk(lower.checkpoint).deleteFrom, undefined)
    assert.deepStrictEqual(lower.reorgs.map(({ firstBlock, newHash }) => [firstBlock, newHash]), [
      [5n, block("20b").hash],
      [7n, block("20b").hash]
    ])
  })

  it("closes before a reorg if it holds anything", () => {
    const empty = emptyChunk(checkpoint("9a"))
    const open = all(empty, starts(10, 12, checkpoint("9a")), rows(2))
    const complete = all(empty, starts(10, 12, checkpoint("9a")), completes(10, 12, checkpoint("9a", "12a")))
    assert.isFalse(closesGroup(empty, reorg(10, checkpoint("9a"))))
    assert.isTrue(closesGroup(open, reorg(10, checkpoint("9a"))))
    assert.isTrue(closesGroup(complete, reorg(10, checkpoint("9a"))))
    assert.isFalse(closesGroup(open, arrival))
    assert.isFalse(closesGroup(complete, starts(13, 14, checkpoint("9a", "12a"))))
  })

  it("holds several complete ranges, and counts its provisional rows", () => {
    const [ten, fourteen] = [checkpoint("9a", "12a"), checkpoint("9a", "12a", "14a")]
    const chunk = all(emptyChunk(checkpoint("9a")), starts(10, 12, checkpoint("9a")), rows(2), completes(10, 12, ten))
    const grown = all(chunk, starts(13, 14, ten), rows(3))
    assert.deepStrictEqual([chunk.provisionalRows, grown.provisionalRows, grown.rows, grown.sizeBytes], [0, 3, 5, 50])
    const done = add(grown, completes(13, 14, fourteen))
    assert.deepStrictEqual([done.provisionalRows, done.completed, done.checkpoint], [0, range(13, 14), fourteen])
    assert.deepStrictEqual([done.firstBlock, done.lastBlock], [10n, 14n])
    assert.deepStrictEqual([done.highestRow, done.sizeBytes], [11n, 50])
  })

  it("covers the blocks that replace, not those that a reorg took back", () => {
    const chunk = all(
      emptyChunk(checkpoint("9a")),
      starts(10, 12, checkpoint("9a")),
      reorg(5, checkpoint("4a")),
      starts(5, 7, checkpoint("4a"))
    )
    assert.deepStrictEqual([chunk.firstBlock, chunk.lastBlock, chunk.completed], [5n, 7n, undefined])
  })

  it("is not worth a commit where only the start of a range or a stored watermark came", () => {
    const start = emptyChunk(checkpoint("9a"))
    assert.isFalse(isWorthCommitting(add(start, starts(10, 12, checkpoint("9a")))))
    assert.isFalse(isWorthCommitting(add(start, completes(5, 9, checkpoint("9a")))))
  })

  it("names the blocks of rows whose range began in the chunk before", () => {
    const before = all(emptyChunk(checkpoint("9a")), starts(10, 12, checkpoint("9a")), rows(2))
    const after = add(nextChunk(before), rows(3))
    assert.deepStrictEqual([after.firstBlock, after.lastBlock, after.rows], [10n, 12n, 3])
  })

  it("is full of rows or of bytes", () => {
    const start = emptyChunk(checkpoint("9a"))
    assert.isFalse(isFull(add(start, rows(5)), 6, 51))
    assert.isTrue(isFull(add(start, rows(6)), 6, 1000))
    assert.isTrue(isFull(add(start, rows(5)), 6, 50))
  })
})
