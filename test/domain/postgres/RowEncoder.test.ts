import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import type { Column, ColumnBatch } from "../../../src/domain/arrow/ColumnBatch.ts"
import { makeCopyPlan } from "../../../src/domain/postgres/encode/encodeCopy.ts"
import { outputOf } from "../../../src/domain/postgres/encode/FieldWriter.ts"
import { makeRowEncoder } from "../../../src/domain/postgres/encode/RowEncoder.ts"
import { type PgColumn, planColumns } from "../../../src/domain/postgres/types/PgType.ts"
import { encodeAll } from "../../support/encodeAll.ts"
import { batchOf, columnOf, field } from "../arrow/columns.ts"

const uint64 = { kind: "int", bits: 64, signed: false } as const
const utf8 = { kind: "utf8", offsets: 32 } as const
const textView = { kind: "utf8", offsets: "view" } as const
const range = { start: 0n, end: 1000n }
const blocks = (numbers: ReadonlyArray<bigint>) => columnOf(field("_block_num", uint64, false), numbers)

const planOf = (batch: ColumnBatch, change: (columns: ReadonlyArray<PgColumn>) => ReadonlyArray<PgColumn> = (_) => _) =>
  makeCopyPlan({
    columns: change(Result.getOrThrow(planColumns(batch.schema))),
    position: { kind: "column", index: 0, name: "_block_num" },
    textNul: "refuse"
  })

const bind = (batch: ColumnBatch, plan = planOf(batch)) => Result.getOrThrow(makeRowEncoder(plan).bind(batch))

const textBatch = (texts: ReadonlyArray<string>, type: typeof utf8 | typeof textView = textView) =>
  batchOf([blocks(texts.map(() => 5n)), columnOf(field("t", type, false), texts)])

const rowsOf = (rows: number): ReadonlyArray<string> => Array.from({ length: rows }, (_, row) => "x".repeat(row % 50))

/** A view column whose rows all point at one long value. */
const repeated = (rows: number, bytes: number): Column => {
  const column = columnOf(field("t", textView, false), ["y".repeat(bytes)])
  const views = new Uint8Array(16 * rows)
  for (let row = 0; row < rows; row++) views.set(column.buffers[0]!, 16 * row)
  return { ...column, length: rows, buffers: [views, ...column.buffers.slice(1)] }
}

describe("rows written into a buffer of the caller", () => {
  it("are none where the buffer is full already, also as the first ones of their batch", () => {
    const bound = bind(textBatch(["a", "b"]))
    const out = outputOf(new Uint8Array(100))
    assert.deepInclude(Result.getOrThrow(bound.write(out, 100, { from: 0, to: 2, range, cursor: undefined })), {
      rows: 0,
      end: 100
    })
  })

  it("fills the buffer behind the given position, and goes on in the next one", () => {
    for (const type of [utf8, textView]) {
      const batch = textBatch(rowsOf(2000), type)
      const whole = Buffer.from(
        Result.getOrThrow(encodeAll(planOf(batch), { batch, from: 0, to: 2000, range, cursor: undefined }, 1 << 20))
          .bytes
      )
      const bound = bind(batch)
      const room = 1000
      const out = outputOf(new Uint8Array(room + 5).subarray(5))
      const pieces: Array<Uint8Array> = []
      let [from, cursor] = [0, undefined as Parameters<typeof bound.write>[2]["cursor"]]
      while (from < 2000) {
        out.bytes.fill(0xee)
        const written = Result.getOrThrow(bound.write(out, 7, { from, to: 2000, range, cursor }))
        assert.isAbove(written.rows, 0)
        assert.isTrue(out.bytes.subarray(0, 7).every((byte) => byte === 0xee))
        // The row that did not fit is larger than what was left.
        if (from + written.rows < 2000) {
          assert.isAbove(Result.getOrThrow(bound.bound(from + written.rows, range)), room - written.end)
        }
        pieces.push(out.bytes.slice(7, written.end))
        ;({ cursor } = written)
        from += written.rows
      }
      assert.isTrue(Buffer.concat(pieces).equals(whole))
    }
  })

  it("writes no row at or behind `to`, and none when not even one fits", () => {
    const batch = textBatch(rowsOf(100))
    const bound = bind(batch)
    const out = outputOf(new Uint8Array(100_000))
    assert.strictEqual(Result.getOrThrow(bound.write(out, 0, { from: 3, to: 9, range, cursor: undefined })).rows, 6)
    const needed = Result.getOrThrow(bound.bound(49, range))
    const span = { from: 49, to: 50, range, cursor: { position: 4n, nextRowIndex: 2 } }
    const small = outputOf(new Uint8Array(needed - 1))
    assert.deepStrictEqual(bound.write(small, 0, span), Result.succeed({ rows: 0, end: 0, cursor: span.cursor }))
    const fitting = outputOf(new Uint8Array(needed + 3))
    assert.strictEqual(Result.getOrThrow(bound.write(fitting, 3, span)).rows, 1)
    assert.strictEqual(Result.getOrThrow(bound.write(fitting, 4, span)).rows, 0)
  })

  it("cuts by the bytes written and not by those received: views that share one long value", () => {
    const rows = 4096
    const batch = batchOf([blocks(Array<bigint>(rows).fill(5n)), repeated(rows, 24_000)])
    const bound = bind(batch)
    const out = outputOf(new Uint8Array(262_144))
    let from = 0
    while (from < 100) {
      const written = Result.getOrThrow(bound.write(out, 0, { from, to: rows, range, cursor: undefined }))
      assert.strictEqual(written.rows, 10)
      from += written.rows
    }
  })

  it("takes a batch that becomes more than 1 GiB row by row: rows that share one value count their written size", () => {
    const [rows, bytes] = [1_100, 1 << 20]
    const dictionary = {
      kind: "dictionary",
      id: 0n,
      index: { kind: "int", bits: 16, signed: true },
      value: utf8
    } as const
    const words = columnOf(field("t", utf8, false), ["y".repeat(bytes)])
    const indirect = { ...columnOf(field("t", dictionary, false), Array<string>(rows).fill("y")), dictionary: [words] }
    for (const column of [repeated(rows, bytes), indirect]) {
      const bound = bind(batchOf([blocks(Array<bigint>(rows).fill(5n)), column]))
      const small = outputOf(new Uint8Array(262_144))
      for (const from of [0, 1, rows - 1]) {
        const span = { from, to: rows, range, cursor: { position: 5n, nextRowIndex: from } }
        assert.strictEqual(Result.getOrThrow(bound.write(small, 0, span)).rows, 0)
        const needed = Result.getOrThrow(bound.bound(from, range))
        assert.isBelow(needed, bytes + 100)
        assert.strictEqual(Result.getOrThrow(bound.write(outputOf(new Uint8Array(needed)), 0, span)).rows, 1)
      }
    }
  })

  it("writes the rows before a rejected one; the call that begins with it fails", () => {
    for (const type of [utf8, textView]) {
      const texts = rowsOf(300).map((text, row) => row === 217 ? "secret\u0000" : text)
      const bound = bind(textBatch(texts, type))
      const out = outputOf(new Uint8Array(1 << 20))
      const first = Result.getOrThrow(bound.write(out, 0, { from: 0, to: 300, range, cursor: undefined }))
      assert.strictEqual(first.rows, 217)
      assert.deepStrictEqual(first.cursor, { position: 5n, nextRowIndex: 217 })
      const error = Result.getOrThrow(
        Result.flip(bound.write(out, 0, { from: 217, to: 300, range, cursor: first.cursor }))
      )
      assert.deepStrictEqual([error.kind, error.column, error.row, error.position], ["value", "t", 217, 5n])
      assert.strictEqual(
        Result.getOrThrow(bound.write(out, 0, { from: 218, to: 300, range, cursor: undefined })).rows,
        82
      )
    }
  })

  it("writes the rows before one whose position is rejected", () => {
    const bound = bind(batchOf([blocks([5n, 5n, 6n, 4n, 7n])]))
    const out = outputOf(new Uint8Array(1000))
    const first = Result.getOrThrow(bound.write(out, 0, { from: 0, to: 5, range, cursor: undefined }))
    assert.deepStrictEqual(first, { rows: 3, end: 66, cursor: { position: 6n, nextRowIndex: 1 } })
    const error = Result.getOrThrow(Result.flip(bound.write(out, 0, { from: 3, to: 5, range, cursor: first.cursor })))
    assert.deepStrictEqual([error.kind, error.row, error.position], ["position", 3, 4n])
  })

  it("calculates bounds at a cost of O(1) per row, however the sizes alternate", () => {
    // Runs of short rows make every guess too large for the long rows that follow.
    const texts = Array.from({ length: 8192 }, (_, row) => row % 400 < 380 ? "" : "z".repeat(3000))
    const batch = textBatch(texts)
    let calculated = 0
    const counting = (columns: ReadonlyArray<PgColumn>) =>
      columns.map((column): PgColumn => ({
        ...column,
        writer: (data, options) => {
          const { bound, write } = column.writer(data, options)
          return {
            write,
            bound: (from, to) => {
              if (column.name === "t") calculated += to - from
              return bound(from, to)
            }
          }
        }
      }))
    const plan = planOf(batch, counting)
    const input = { batch, from: 0, to: texts.length, range, cursor: undefined }
    assert.isTrue(Result.isSuccess(encodeAll(plan, input, 8192)))
    assert.isBelow(calculated, 6 * texts.length)
  })
})

describe("rows too large for PostgreSQL", () => {
  it("names the column that needs most", () => {
    const list = columnOf(field("c", { kind: "fixedSizeList", size: 0, item: field("item", { kind: "null" }) }), [[]])
    const huge = {
      ...list,
      field: field("c", { kind: "fixedSizeList", size: 0x7fffffff, item: field("item", { kind: "null" }) }),
      children: [{ ...list.children[0]!, length: 0x7fffffff, nullCount: 0x7fffffff }]
    }
    const bound = bind(batchOf([blocks([5n]), columnOf(field("a", utf8), ["x"]), huge]))
    const span = { from: 0, to: 1, range, cursor: undefined }
    assert.strictEqual(Result.getOrThrow(bound.write(outputOf(new Uint8Array(1 << 20)), 0, span)).rows, 0)
    const error = Result.getOrThrow(Result.flip(bound.bound(0, range)))
    assert.deepStrictEqual([error.kind, error.column, error.row, error.position], ["size", "c", 0, 5n])
    assert.include(error.message, "more than 1 GiB")
  })
})
