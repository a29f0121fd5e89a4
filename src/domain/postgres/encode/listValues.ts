/** Access to the items of list columns. */
import { type Column, isNull, viewOf } from "../../arrow/ColumnBatch.ts"
import { readIndex } from "../../arrow/readIndex.ts"

/** Locates the items of a row of a list column in its child column, whatever its layout. */
export interface ListValues {
  readonly startOf: (row: number) => number
  readonly sizeOf: (row: number) => number
  /** The sum of `boundOfItems` over the lists of the rows `from` to `to`, the latter excluded. */
  readonly bound: (from: number, to: number, boundOfItems: (from: number, to: number) => number) => number
}

export const listValues = (column: Column): ListValues => {
  const { type } = column.field
  if (type.kind === "map") return delimited(column, 4)
  if (type.kind === "fixedSizeList") return fixedSize(type.size)
  if (type.kind !== "list") throw new Error(`no lists in a column of kind ${type.kind}`)
  if (type.offsets === 32 || type.offsets === 64) return delimited(column, type.offsets >> 3)
  return viewed(column, type.offsets === "view32" ? 32 : 64)
}

const fixedSize = (size: number): ListValues => ({
  startOf: (row) => row * size,
  sizeOf: () => size,
  bound: (from, to, boundOfItems) => boundOfItems(from * size, to * size)
})

/** Offsets fit 31 bits (`checkColumn`), so the low word of a 64-bit one is its value. */
const delimited = (column: Column, stride: number): ListValues => {
  const offsets = viewOf(column.buffers[0]!)
  const offset = (row: number) => offsets.getInt32(row * stride, true)
  return {
    startOf: offset,
    sizeOf: (row) => offset(row + 1) - offset(row),
    // A column without rows may come without offsets.
    bound: (from, to, boundOfItems) => from === to ? 0 : boundOfItems(offset(from), offset(to))
  }
}

/** Lists that may overlap and come in any order, so each is counted by itself. */
const viewed = (column: Column, bits: 32 | 64): ListValues => {
  const startOf = readIndex({ kind: "int", bits, signed: true }, column.buffers[0]!)
  const sizeOf = readIndex({ kind: "int", bits, signed: true }, column.buffers[1]!)
  return {
    startOf,
    sizeOf,
    bound: (from, to, boundOfItems) => {
      let bytes = 0
      for (let row = from; row < to; row++) {
        if (!isNull(column.validity, row)) bytes += boundOfItems(startOf(row), startOf(row) + sizeOf(row))
      }
      return bytes
    }
  }
}
