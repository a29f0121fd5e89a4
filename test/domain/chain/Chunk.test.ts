import { assert, describe, it } from "@effect/vitest"
import type { Chunk, Part } from "../../../src/domain/chain/Chunk.ts"
import {
  addPart,
  closesGroup,
  emptyChunk,
  firstChunk,
  isFull,
  isWorthCommitting,
  nextChunk
} from "../../../src/domain/chain/Chunk.ts"
import type { Known } from "../../../src/domain/chain/follow.ts"
import { block, history, network, range } from "../../support/scenario.ts"

const known = (...names: ReadonlyArray<string>): Known => ({
  network,
  origin: 0n,
  history: history(...names),
  unverifiedFrom: undefined
})
const rows = (count: number): Part => ({ _tag: "Rows", bytes: new Uint8Array(10 * count), rows: count })
const begins = (start: number, end: number, after: Known): Part => ({
  _tag: "Range",
  range: range(start, end),
  known: after,
  endIsTold: true
})
const completes = (start: number, end: number, after: Known): Part => ({
  _tag: "Watermark",
  range: range(start, end),
  known: after
})
const rewinds = (deleteFrom: number | undefined, after: Known): Part => ({
  _tag: "Rewind",
  rewind: {
    _tag: "Rewind",
    deleteFrom: deleteFrom === undefined ? undefined : BigInt(deleteFrom),
    watermark: after.history.at(-1),
    replaced: block("12a"),
    range: range(deleteFrom ?? 0, 20, "b")
  },
  known: after
})
const all = (chunk: Chunk, ...parts: ReadonlyArray<Part>): Chunk => parts.reduce(addPart, chunk)

describe("a chunk", () => {
  it("I1 of a new connection owes the deletion of everything above the watermark", () => {
    assert.strictEqual(firstChunk(known("4a", "9a")).deleteFrom, 10n)
    assert.strictEqual(firstChunk(known()).deleteFrom, "all")
  })

  it("I1 carries what is owed in its first commit, be it rows or a watermark without any", () => {
    const start = firstChunk(known("9a"))
    assert.isFalse(isWorthCommitting(start))
    const withRows = all(start, begins(10, 12, known("9a")), rows(3))
    const withWatermark = all(start, begins(10, 12, known("9a")), completes(10, 12, known("9a", "12a")))
    for (const chunk of [withRows, withWatermark]) {
      assert.isTrue(isWorthCommitting(chunk))
      assert.strictEqual(chunk.deleteFrom, 10n)
    }
  })

  it("I1 does not delete before something follows, so that readers see no hole", () => {
    const chunk = all(firstChunk(known("9a", "12a")), rewinds(10, known("9a")), begins(10, 20, known("9a")))
    assert.isFalse(isWorthCommitting(chunk))
    assert.isTrue(isWorthCommitting(addPart(chunk, rows(1))))
    const replaced = all(chunk, completes(10, 12, known("9a", "12b")))
    assert.isTrue(isWorthCommitting(replaced))
    assert.deepStrictEqual(replaced.before, known("9a", "12a"))
  })

  it("I2 deletes from the lowest block that any of its rewinds names, and owes nothing afterwards", () => {
    const lower = all(firstChunk(known("4a", "9a")), rewinds(5, known("4a")), rewinds(7, known("4a", "6b")))
    assert.strictEqual(lower.deleteFrom, 5n)
    assert.strictEqual(
      all(firstChunk(known("4a")), rewinds(undefined, known()), rewinds(3, known("2b"))).deleteFrom,
      "all"
    )
    assert.strictEqual(emptyChunk(lower.known).deleteFrom, undefined)
    assert.deepStrictEqual(lower.reorgs.map((reorg) => [reorg.firstBlock, reorg.newHash]), [
      [5n, block("20b").hash],
      [7n, block("20b").hash]
    ])
  })

  it("closes before a rewind if it holds anything", () => {
    const empty = emptyChunk(known("9a"))
    const open = all(empty, begins(10, 12, known("9a")), rows(2))
    const complete = all(empty, begins(10, 12, known("9a")), completes(10, 12, known("9a", "12a")))
    assert.isFalse(closesGroup(empty, rewinds(10, known("9a"))))
    assert.isTrue(closesGroup(open, rewinds(10, known("9a"))))
    assert.isTrue(closesGroup(complete, rewinds(10, known("9a"))))
    assert.isFalse(closesGroup(open, rows(2)))
    assert.isFalse(closesGroup(complete, begins(13, 14, known("9a", "12a"))))
  })

  it("holds several complete ranges, and says which of its rows are provisional", () => {
    const [ten, fourteen] = [known("9a", "12a"), known("9a", "12a", "14a")]
    const chunk = all(emptyChunk(known("9a")), begins(10, 12, known("9a")), rows(2), completes(10, 12, ten))
    const grown = all(chunk, begins(13, 14, ten), rows(3))
    assert.deepStrictEqual([chunk.openRows, grown.openRows, grown.rows, grown.sizeBytes], [0, 3, 5, 50])
    const done = addPart(grown, completes(13, 14, fourteen))
    assert.deepStrictEqual([done.openRows, done.completed, done.known], [0, range(13, 14), fourteen])
    assert.deepStrictEqual([done.firstBlock, done.lastBlock], [10n, 14n])
    assert.strictEqual(done.pieces.length, 2)
  })

  it("is about the blocks that replace, not about those that a rewind took back", () => {
    const chunk = all(
      emptyChunk(known("9a")),
      begins(10, 12, known("9a")),
      rewinds(5, known("4a")),
      begins(5, 7, known("4a"))
    )
    assert.deepStrictEqual([chunk.firstBlock, chunk.lastBlock, chunk.completed], [5n, 7n, undefined])
  })

  it("is nothing to commit where only the beginning of a range or a known watermark came", () => {
    const start = emptyChunk(known("9a"))
    assert.isFalse(isWorthCommitting(addPart(start, begins(10, 12, known("9a")))))
    assert.isFalse(isWorthCommitting(addPart(start, completes(5, 9, known("9a")))))
  })

  it("names the blocks of rows whose range began in the chunk before", () => {
    const before = all(emptyChunk(known("9a")), begins(10, 12, known("9a")), rows(2))
    const after = addPart(nextChunk(before), rows(3))
    assert.deepStrictEqual([after.firstBlock, after.lastBlock, after.rows], [10n, 12n, 3])
  })

  it("is full of rows, of bytes or of pieces", () => {
    const start = emptyChunk(known("9a"))
    assert.isFalse(isFull(addPart(start, rows(5)), 6, 51))
    assert.isTrue(isFull(addPart(start, rows(6)), 6, 1000))
    assert.isTrue(isFull(addPart(start, rows(5)), 6, 50))
    const crumbs = all(start, ...Array.from({ length: 2000 }, () => rows(1)))
    assert.isTrue(isFull(crumbs, 10_000, 1_000_000))
  })
})
