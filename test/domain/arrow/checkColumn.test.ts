import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import type { ArrowType } from "../../../src/domain/arrow/ArrowSchema.ts"
import { checkColumn } from "../../../src/domain/arrow/checkColumn.ts"
import type { Column } from "../../../src/domain/arrow/ColumnBatch.ts"
import { attempt } from "../../../src/domain/arrow/MalformedArrow.ts"
import { columnOf, field, type Value } from "./columns.ts"

const int = (bits: 8 | 16 | 32 | 64, signed = true) => ({ kind: "int", bits, signed }) as const
const utf8 = { kind: "utf8", offsets: 32 } as const
const item = field("item", int(32))

const column = (type: ArrowType, values: ReadonlyArray<Value>) => columnOf(field("c", type), values)

/** The reason why a column is rejected, or "fine". */
const verdict = (of: Column): string =>
  Result.match(attempt(() => checkColumn(of, "c")), { onFailure: ({ reason }) => reason, onSuccess: () => "fine" })

/** `of` with one little-endian integer of a buffer replaced. */
const patched = (of: Column, buffer: number, at: number, bits: 8 | 32 | 64, value: bigint): Column => {
  const bytes = of.buffers[buffer]!.slice()
  const view = new DataView(bytes.buffer)
  if (bits === 8) view.setUint8(at, Number(value))
  else if (bits === 32) view.setInt32(at, Number(value), true)
  else view.setBigInt64(at, value, true)
  return { ...of, buffers: of.buffers.map((known, index) => index === buffer ? bytes : known) }
}

const shortened = (of: Column, buffer: number): Column => ({
  ...of,
  buffers: of.buffers.map((known, index) => index === buffer ? known.subarray(0, known.length - 1) : known)
})

const tooShort = "column \"c\" has a buffer that is too short for its rows"

describe("checkColumn", () => {
  it("rejects a values buffer that is one byte too short, for every width", () => {
    const types: ReadonlyArray<readonly [ArrowType, Value]> = [
      [{ kind: "bool" }, true],
      ...([8, 16, 32, 64] as const).map((bits) => [int(bits), 1n] as const),
      ...([16, 32, 64] as const).map((bits) => [{ kind: "float", bits }, 1] as const),
      ...([32, 64, 128, 256] as const).map((bits) => [{ kind: "decimal", bits, precision: 9, scale: 0 }, 1n] as const),
      [{ kind: "fixedSizeBinary", width: 5 }, new Uint8Array(5)],
      [{ kind: "date", unit: "day" }, 1n],
      [{ kind: "date", unit: "millisecond" }, 1n],
      [{ kind: "time", bits: 32, unit: "second" }, 1n],
      [{ kind: "time", bits: 64, unit: "nanosecond" }, 1n],
      [{ kind: "timestamp", unit: "second", timezone: undefined }, 1n],
      [{ kind: "duration", unit: "second" }, 1n],
      [{ kind: "interval", unit: "yearMonth" }, [1n]],
      [{ kind: "interval", unit: "dayTime" }, [1n, 1n]],
      [{ kind: "interval", unit: "monthDayNano" }, [1n, 1n, 1n]],
      [{ kind: "dictionary", id: 0n, index: int(16), value: utf8 }, "a"],
      [{ kind: "utf8", offsets: "view" }, "a"],
      [{ kind: "list", offsets: "view32", item }, [1n]],
      [utf8, "a"],
      [{ kind: "union", mode: "sparse", typeIds: [0], fields: [item] }, [0n, 1n]]
    ]
    for (const [type, value] of types) {
      const good = column(type, Array<Value>(9).fill(value))
      assert.strictEqual(verdict(good), "fine", type.kind)
      assert.strictEqual(verdict(shortened(good, 0)), tooShort, type.kind)
    }
  })

  it("rejects offsets that go backwards, begin below zero, point outside or exceed 31 bits", () => {
    for (const offsets of [32, 64] as const) {
      const width = offsets / 8
      const good = column({ kind: "utf8", offsets }, ["ab", "", "cde"])
      const at = (index: number, value: bigint) => verdict(patched(good, 0, index * width, offsets, value))
      assert.strictEqual(verdict(good), "fine")
      assert.strictEqual(at(0, 1n), "fine")
      assert.include(at(0, -1n), "go backwards")
      assert.include(at(1, 3n), "go backwards")
      assert.strictEqual(at(3, 4n), "fine")
      assert.include(at(3, 6n), "outside its values")
      if (offsets === 64) assert.include(at(3, 2n ** 32n + 5n), "go backwards")
      const list = column({ kind: "list", offsets, item }, [[1n], [2n, 3n]])
      assert.include(verdict(patched(list, 0, 2 * width, offsets, 4n)), "outside its values")
    }
    const map = column({ kind: "map", key: field("k", utf8), value: field("v", utf8), keysSorted: false }, [[[
      "a",
      "b"
    ]]])
    assert.strictEqual(verdict(map), "fine")
    assert.include(verdict(patched(map, 0, 4, 32, 2n)), "outside its values")
  })

  it("rejects views that are negative, point outside or name no buffer, unless they are null", () => {
    const long = "more than twelve bytes"
    const good = column({ kind: "binary", offsets: "view" }, [long, "short", null])
    const at = (place: number, value: bigint) => verdict(patched(good, 0, place, 32, value))
    assert.strictEqual(verdict(good), "fine")
    assert.include(at(0, -1n), "view that points outside")
    assert.include(at(0, BigInt(long.length) + 1n), "view that points outside")
    assert.include(at(8, 2n), "view that points outside")
    assert.include(at(8, -1n), "view that points outside")
    assert.include(at(12, 1n), "view that points outside")
    assert.include(at(12, -1n), "view that points outside")
    assert.include(at(16, 13n), "view that points outside")
    assert.strictEqual(at(32, -99n), "fine")
  })

  it("rejects list views that point outside the items, unless they are null", () => {
    for (const [offsets, bits] of [["view32", 32], ["view64", 64]] as const) {
      const good = column({ kind: "list", offsets, item }, [[1n, 2n], [3n], null])
      const at = (buffer: 0 | 1, row: number, value: bigint) =>
        verdict(patched(good, buffer, row * bits / 8, bits, value))
      assert.strictEqual(verdict(good), "fine")
      assert.include(at(0, 0, -1n), "list that points outside")
      assert.include(at(1, 0, -1n), "list that points outside")
      assert.include(at(1, 0, 3n), "list that points outside")
      assert.include(at(0, 1, 3n), "list that points outside")
      assert.strictEqual(at(0, 2, 99n), "fine")
    }
  })

  it("rejects dictionary indices outside the dictionary, unless they are null", () => {
    for (const signed of [true, false]) {
      const good = column({ kind: "dictionary", id: 0n, index: int(8, signed), value: utf8 }, ["a", "b", "c", null])
      const at = (row: number, value: bigint) => verdict(patched(good, 0, row, 8, value))
      assert.strictEqual(at(0, 2n), "fine")
      assert.include(at(0, 3n), "index outside its dictionary of 3 values")
      assert.include(at(0, 255n), "index outside its dictionary of 3 values")
      assert.strictEqual(at(3, 77n), "fine")
    }
  })

  it("rejects unions with an unknown member or an offset outside it", () => {
    const fields = [field("a", int(32)), field("b", utf8)]
    const sparse = column({ kind: "union", mode: "sparse", typeIds: [5, 7], fields }, [[0n, 1n], [1n, "x"]])
    assert.strictEqual(verdict(sparse), "fine")
    assert.include(verdict(patched(sparse, 0, 0, 8, 6n)), "unknown member")
    const dense = column({ kind: "union", mode: "dense", typeIds: [5, 7], fields }, [[0n, 1n], [1n, "x"]])
    assert.strictEqual(verdict(dense), "fine")
    assert.include(verdict(patched(dense, 0, 0, 8, 255n)), "unknown member")
    assert.include(verdict(patched(dense, 1, 0, 32, 1n)), "outside its member")
    assert.include(verdict(patched(dense, 1, 4, 32, -1n)), "outside its member")
    assert.strictEqual(verdict(shortened(dense, 1)), tooShort)
  })

  it("rejects runs that do not grow, end early or have no end", () => {
    const type = { kind: "runEndEncoded", runEnds: field("r", int(32), false), values: field("v", utf8) } as const
    const good = column(type, ["a", "a", "b", "c"])
    const withEnds = (ends: ReadonlyArray<bigint | null>): string =>
      verdict({ ...good, children: [columnOf(field("r", int(32)), ends), good.children[1]!] })
    assert.strictEqual(verdict(good), "fine")
    assert.strictEqual(withEnds([2n, 3n, 9n]), "fine")
    assert.include(withEnds([2n, 3n, 3n]), "runs that do not grow")
    assert.include(withEnds([0n, 3n, 4n]), "runs that do not grow")
    assert.include(withEnds([1n, 2n, 3n]), "runs that end before its rows")
    assert.include(withEnds([2n, null, 4n]), "run without an end")
    assert.include(withEnds([]), "runs that end before its rows")
  })
})
