import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import type { ColumnBatch } from "../../../src/domain/arrow/ColumnBatch.ts"
import {
  copyColumns,
  copyHeader,
  copyTrailer,
  makeCopyPlan,
  type RowCursor
} from "../../../src/domain/postgres/encode/encodeCopy.ts"
import { planColumns } from "../../../src/domain/postgres/types/PgType.ts"
import { encodeAll } from "../../support/encodeAll.ts"
import { batchOf, columnOf, field, type Value } from "../arrow/columns.ts"

const uint64 = { kind: "int", bits: 64, signed: false } as const
const utf8 = { kind: "utf8", offsets: 32 } as const

const blocks = (numbers: ReadonlyArray<bigint | null>, name = "_block_num", nullable = true) =>
  columnOf(field(name, uint64, nullable), numbers)

const planOf = (batch: ColumnBatch, mode: "column" | "rangeEnd", textNul: "refuse" | "replace" = "refuse") => {
  const columns = Result.getOrThrow(planColumns(batch.schema))
  const position = mode === "column"
    ? { kind: "column", index: 0, name: columns[0]!.name } as const
    : { kind: "rangeEnd" } as const
  return makeCopyPlan({ columns, position, textNul })
}

const encode = (
  batch: ColumnBatch,
  options: {
    from?: number
    to?: number
    start?: bigint
    end?: bigint
    cursor?: RowCursor | undefined
    mode?: "column" | "rangeEnd"
    textNul?: "refuse" | "replace"
  } = {}
) =>
  encodeAll(planOf(batch, options.mode ?? "column", options.textNul), {
    batch,
    from: options.from ?? 0,
    to: options.to ?? batch.rows,
    range: { start: options.start ?? 0n, end: options.end ?? 1000n },
    cursor: options.cursor
  })

/** `_row_index` of tuples of one BIGINT, `_row_index` and, in range mode, `_range_end`. */
const rowIndices = (bytes: Uint8Array, tupleBytes: number): ReadonlyArray<number> => {
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  assert.strictEqual(bytes.length % tupleBytes, 0)
  return Array.from({ length: bytes.length / tupleBytes }, (_, row) => view.getInt32(row * tupleBytes + 2 + 12 + 4))
}

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex")
const errorOf = (result: ReturnType<typeof encode>) => Result.getOrThrow(Result.flip(result))

describe("COPY framing", () => {
  it("begins with PostgreSQL's signature and ends with -1", () => {
    assert.strictEqual(hex(copyHeader), "5047434f50590aff0d0a000000000000000000")
    assert.strictEqual(hex(copyTrailer), "ffff")
  })

  it("writes the query's columns, then _row_index", () => {
    const batch = batchOf([blocks([7n]), columnOf(field("to", utf8), ["x"])])
    assert.deepStrictEqual(copyColumns(planOf(batch, "column")), ["_block_num", "to", "_row_index"])
    assert.strictEqual(
      hex(Result.getOrThrow(encode(batch)).bytes),
      ["0003", "00000008", "0000000000000007", "00000001", "78", "00000004", "00000000"].join("")
    )
  })

  it("writes _range_end last when the query has no position", () => {
    const batch = batchOf([columnOf(field("a", utf8), [null])])
    assert.deepStrictEqual(copyColumns(planOf(batch, "rangeEnd")), ["a", "_row_index", "_range_end"])
    assert.strictEqual(
      hex(Result.getOrThrow(encode(batch, { mode: "rangeEnd", end: 0x123456789n })).bytes),
      ["0003", "ffffffff", "00000004", "00000000", "00000008", "0000000123456789"].join("")
    )
  })

  it("writes nothing for no rows", () => {
    const cursor = { position: 3n, nextRowIndex: 9 }
    const empty = { ...batchOf([blocks([])]), columns: [{ ...blocks([]), buffers: [new Uint8Array(0)] }] }
    assert.deepStrictEqual(encode(empty, { cursor }), Result.succeed({ bytes: new Uint8Array(0), cursor }))
  })
})

describe("_row_index", () => {
  const numbers = [5n, 5n, 5n, 6n, 8n, 8n, 9n, 9n, 9n, 9n]

  it("counts from 0 within each block", () => {
    const { bytes, cursor } = Result.getOrThrow(encode(batchOf([blocks(numbers)])))
    assert.deepStrictEqual(rowIndices(bytes, 22), [0, 1, 2, 0, 0, 1, 0, 1, 2, 3])
    assert.deepStrictEqual(cursor, { position: 9n, nextRowIndex: 4 })
  })

  it("goes on across every pair of slices as if the rows came in one piece", () => {
    const batch = batchOf([blocks(numbers)])
    const whole = hex(Result.getOrThrow(encode(batch)).bytes)
    for (let cut = 0; cut <= numbers.length; cut++) {
      const first = Result.getOrThrow(encode(batch, { to: cut }))
      const second = Result.getOrThrow(encode(batch, { from: cut, cursor: first.cursor }))
      assert.strictEqual(hex(first.bytes) + hex(second.bytes), whole)
    }
  })

  it("counts over the whole range when the range is the position", () => {
    const batch = batchOf([blocks(numbers, "n")])
    const first = Result.getOrThrow(encode(batch, { mode: "rangeEnd", to: 4, end: 77n }))
    const second = Result.getOrThrow(encode(batch, { mode: "rangeEnd", from: 4, end: 77n, cursor: first.cursor }))
    assert.deepStrictEqual(first.cursor, { position: 77n, nextRowIndex: 4 })
    assert.deepStrictEqual(second.cursor, { position: 77n, nextRowIndex: 10 })
    assert.strictEqual(second.bytes[second.bytes.length - 1], 77)
  })

  it("distinguishes blocks beyond 2^53", () => {
    const batch = batchOf([blocks([2n ** 53n, 2n ** 53n + 1n, 2n ** 53n + 1n, 2n ** 53n + 2n])])
    const { bytes } = Result.getOrThrow(encode(batch, { end: 2n ** 60n }))
    assert.deepStrictEqual(rowIndices(bytes, 22), [0, 0, 1, 0])
  })

  it("reads a position of any integer type", () => {
    for (const bits of [8, 16, 32, 64] as const) {
      for (const signed of [true, false]) {
        const batch = batchOf([columnOf(field("block_num", { kind: "int", bits, signed }), [3n, 3n, 4n])])
        const { bytes } = Result.getOrThrow(encode(batch))
        assert.deepStrictEqual(rowIndices(bytes, 22), [0, 1, 0])
      }
    }
  })

  it("rejects to count beyond an INTEGER", () => {
    const cursor = { position: 5n, nextRowIndex: 0x7fffffff }
    assert.strictEqual(Result.getOrThrow(encode(batchOf([blocks([5n])]), { cursor })).cursor!.nextRowIndex, 0x80000000)
    assert.include(errorOf(encode(batchOf([blocks([5n, 5n])]), { cursor })).reason, "more rows than an INTEGER")
    const inRange = encode(batchOf([blocks([5n, 5n], "n")]), { cursor, mode: "rangeEnd" })
    assert.include(errorOf(inRange).reason, "more rows than an INTEGER")
  })
})

const misplaced = (numbers: ReadonlyArray<bigint | null>, options: Parameters<typeof encode>[1] = {}) => {
  const { column, kind, message, position, row } = errorOf(encode(batchOf([blocks(numbers)]), options))
  assert.strictEqual(kind, "position")
  return { column, message, position, row }
}

describe("positions", () => {
  it("I2 rejects a row below or above the range that delivered it", () => {
    assert.deepStrictEqual(misplaced([10n, 9n], { start: 10n, end: 20n }), {
      column: "_block_num",
      message: "column \"_block_num\", block 9: a row lies outside the blocks 10 to 20 that delivered it",
      position: 9n,
      row: 1
    })
    assert.strictEqual(misplaced([10n, 21n], { start: 10n, end: 20n }).position, 21n)
    assert.strictEqual(misplaced([2n ** 64n - 1n], { start: 10n, end: 20n }).position, 2n ** 64n - 1n)
  })

  it("rejects a null position, also right after one that is not null", () => {
    assert.deepStrictEqual(misplaced([10n, 10n, null], { start: 10n, end: 20n }), {
      column: "_block_num",
      message: "column \"_block_num\", blocks 10 to 20: a row has no block number, which is its position in the chain",
      position: undefined,
      row: 2
    })
  })

  it("rejects a position that goes backwards, within a batch and across batches", () => {
    assert.include(misplaced([11n, 12n, 11n]).message, "a row follows one of block 12 in the same range")
    const cursor = { position: 12n, nextRowIndex: 3 }
    assert.include(misplaced([11n], { cursor }).message, "a row follows one of block 12 in the same range")
  })

  it("checks only the rows of the slice", () => {
    const batch = batchOf([blocks([1n, 10n, 11n, 99n, null])])
    assert.isTrue(Result.isSuccess(encode(batch, { from: 1, to: 3, start: 10n, end: 20n })))
  })
})

const rejected = (value: Parameters<typeof columnOf>[1], type: Parameters<typeof field>[1], name = "c") => {
  const batch = batchOf([blocks(value.map(() => 5n)), columnOf(field(name, type, true), value)])
  const error = errorOf(encode(batch))
  assert.deepStrictEqual([error.kind, error.position], ["value", 5n])
  return { column: error.column, row: error.row, reason: error.reason, message: error.message }
}

const timestamp = (unit: "second" | "microsecond") => ({ kind: "timestamp", unit, timezone: undefined }) as const

describe("values PostgreSQL cannot store", () => {
  it("rejects a block number above 2^63-1 that is not the position, and never wraps it", () => {
    const { column, message, row } = rejected([1n, 2n ** 63n], uint64, "block_num")
    assert.deepStrictEqual([column, row], ["block_num", 1])
    assert.strictEqual(message, "column \"block_num\", block 5: it is larger than 2^63-1, the largest BIGINT")
    const batch = batchOf([blocks([5n]), columnOf(field("block_num", uint64), [2n ** 63n - 1n])])
    assert.isTrue(Result.isSuccess(encode(batch)))
  })

  it("rejects timestamps and dates beyond PostgreSQL's, and accepts the last ones inside", () => {
    const times: ReadonlyArray<readonly ["second" | "microsecond", bigint]> = [
      ["second", 9_224_318_016_000n],
      ["second", -210_866_803_201n],
      ["second", 2n ** 63n - 1n],
      ["second", -(2n ** 63n)],
      ["microsecond", -210_866_803_200_000_001n],
      ["microsecond", -(2n ** 63n)]
    ]
    for (const [unit, value] of times) assert.include(rejected([value], timestamp(unit)).reason, "4713 BC to 294276 AD")
    const days = { kind: "date", unit: "day" } as const
    for (const day of [-2440589n, 2145042906n, 2n ** 31n - 1n, -(2n ** 31n)]) {
      assert.include(rejected([day], days).reason, "4713 BC to 5874897 AD")
    }
    const millis = { kind: "date", unit: "millisecond" } as const
    for (const value of [2n ** 63n - 1n, -(2n ** 63n), 2145042906n * 86_400_000n]) {
      assert.include(rejected([value], millis).reason, "4713 BC to 5874897 AD")
    }
    for (const value of [1n, 2n ** 53n + 1n]) assert.include(rejected([value], millis).reason, "time of day")
  })

  it("rejects times outside a day and durations beyond an INTERVAL", () => {
    for (const value of [-1n, 86_400_000_001n]) {
      assert.include(rejected([value], { kind: "time", bits: 64, unit: "microsecond" }).reason, "no time of day")
    }
    for (const value of [9_223_372_036_855n, -9_223_372_036_855n]) {
      assert.include(rejected([value], { kind: "duration", unit: "second" }).reason, "longer than an INTERVAL")
    }
  })

  it("rejects a decimal with more digits than its type declares", () => {
    for (const value of [10n ** 38n, -(10n ** 38n), -(2n ** 127n)]) {
      const decimal = { kind: "decimal", bits: 128, precision: 38, scale: 2 } as const
      assert.include(rejected([value], decimal).reason, "more than the 38 digits")
    }
  })

  it("rejects NUL in text without showing the text, unless it is to be replaced", () => {
    for (const offsets of [32, 64, "view"] as const) {
      const { message } = rejected(["fine", "secret\u0000"], { kind: "utf8", offsets })
      assert.strictEqual(
        message,
        "column \"c\", block 5: it contains a NUL character, which PostgreSQL cannot store in a text"
      )
    }
    const batch = batchOf([blocks([5n]), columnOf(field("c", utf8), ["\u0000a\u0000é"])])
    const replaced = hex(Result.getOrThrow(encode(batch, { textNul: "replace" })).bytes)
    assert.include(replaced, `00000009${Buffer.from("\ufffda\ufffdé").toString("hex")}00000004`)
  })

  it("rejects bytes that are not UTF-8", () => {
    const bad = [
      "80",
      "c0af",
      "c1bf",
      "e0809f",
      "eda080",
      "f08080af",
      "f4908080",
      "f5808080",
      "e282",
      "c3",
      "ff",
      "61c3",
      "e28261"
    ]
    for (const digits of bad) {
      assert.include(rejected([Uint8Array.from(Buffer.from(digits, "hex"))], utf8).reason, "not valid UTF-8", digits)
    }
    const good = ["c280", "dfbf", "e0a080", "ed9fbf", "ee8080", "efbfbf", "f0908080", "f48fbfbf"]
    for (const digits of good) {
      const batch = batchOf([blocks([5n]), columnOf(field("c", utf8), [Uint8Array.from(Buffer.from(digits, "hex"))])])
      assert.isTrue(Result.isSuccess(encode(batch)), digits)
    }
  })

  it("checks each value by itself: a character cut in two is rejected", () => {
    const halves = [Uint8Array.of(0xc3), Uint8Array.of(0xa9)]
    assert.include(rejected(halves, utf8).reason, "not valid UTF-8")
  })

  it("rejects a NULL in a column that is declared without, whatever hides it", () => {
    const dictionary = {
      kind: "dictionary",
      id: 0n,
      index: { kind: "int", bits: 8, signed: true },
      value: utf8
    } as const
    for (const type of [utf8, uint64, dictionary] as const) {
      const values: ReadonlyArray<Value> = type === uint64 ? [1n, null] : ["a", null]
      const error = errorOf(encode(batchOf([blocks([5n, 5n]), columnOf(field("c", type, false), values)])))
      assert.deepStrictEqual([error.column, error.row], ["c", 1])
      assert.include(error.reason, "declared not to be")
    }
  })

  it("rejects a NULL that hides among the values of a dictionary or of runs", () => {
    const index = { kind: "int", bits: 8, signed: true } as const
    const dictionary = columnOf(field("c", { kind: "dictionary", id: 0n, index, value: utf8 }, false), ["a", "b"])
    const hidden = { ...dictionary, dictionary: [columnOf(field("values", utf8), ["a", null])] }
    const runEnds = field("r", { kind: "int", bits: 16, signed: true }, false)
    const runs = columnOf(field("c", { kind: "runEndEncoded", runEnds, values: field("v", utf8, false) }, false), [
      "a",
      null
    ])
    for (const column of [hidden, runs]) {
      const error = errorOf(encode(batchOf([blocks([5n, 5n]), column])))
      assert.deepStrictEqual([error.column, error.row], ["c", 1])
    }
  })

  it("rejects a batch whose columns are not those of the plan, and names what differs", () => {
    const planned = batchOf([blocks([5n]), columnOf(field("c", utf8), ["x"])])
    const input = { from: 0, to: 1, range: { start: 0n, end: 9n }, cursor: undefined }
    const binary = field("c", { kind: "binary", offsets: 32 })
    const others = [
      [batchOf([blocks([5n]), columnOf(binary, ["x"])]), "column \"c\" was Utf8 and is Binary"],
      [batchOf([blocks([5n]), columnOf(field("d", utf8), ["x"])]), "column \"c\" (Utf8) is now \"d\" (Utf8)"],
      [batchOf([blocks([5n])]), "column \"c\" (Utf8) is missing"],
      [
        batchOf([blocks([5n]), columnOf(field("c", utf8), ["x"]), columnOf(field("e", utf8), ["x"])]),
        "column \"e\" (Utf8) is new"
      ]
    ] as const
    for (const [batch, words] of others) {
      const error = errorOf(encodeAll(planOf(planned, "column"), { ...input, batch }))
      assert.strictEqual(error.kind, "schema")
      assert.isTrue(error.reason.endsWith(words), error.reason)
    }
  })

  it("rejects to build more than 1 GiB at once instead of running out of memory", () => {
    const list = columnOf(field("c", { kind: "fixedSizeList", size: 0, item: field("item", { kind: "null" }) }), [[]])
    const huge = {
      ...list,
      field: field("c", { kind: "fixedSizeList", size: 0x7fffffff, item: field("item", { kind: "null" }) }),
      children: [{ ...list.children[0]!, length: 0x7fffffff, nullCount: 0x7fffffff }]
    }
    assert.strictEqual(errorOf(encode(batchOf([blocks([5n]), huge]))).kind, "size")
  })
})
