/** Access to the bytes of text and binary columns. */
import { type Column, isNull, viewOf } from "../../arrow/ColumnBatch.ts"

/** Locates the bytes of a row of a text or binary column, whatever its layout. */
export interface ByteValues {
  readonly sourceOf: (row: number) => DataView
  readonly startOf: (row: number) => number
  readonly lengthOf: (row: number) => number
  /** At least the bytes of the rows `from` to `to`, the latter excluded. */
  readonly bytesOf: (from: number, to: number) => number
}

export const byteValues = (column: Column): ByteValues => {
  const { type } = column.field
  if (type.kind === "fixedSizeBinary") return fixedWidth(column, type.width)
  if (type.kind !== "utf8" && type.kind !== "binary") throw new Error(`no bytes in a column of kind ${type.kind}`)
  return type.offsets === "view" ? viewed(column) : delimited(column, type.offsets >> 3)
}

const fixedWidth = (column: Column, width: number): ByteValues => {
  const source = viewOf(column.buffers[0]!)
  return {
    sourceOf: () => source,
    startOf: (row) => row * width,
    lengthOf: () => width,
    bytesOf: (from, to) => (to - from) * width
  }
}

/** Offsets fit 31 bits (`checkColumn`), so the low word of a 64-bit one is its value. */
const delimited = (column: Column, stride: number): ByteValues => {
  const offsets = viewOf(column.buffers[0]!)
  const source = viewOf(column.buffers[1]!)
  const offset = (row: number) => offsets.getInt32(row * stride, true)
  return {
    sourceOf: () => source,
    startOf: offset,
    lengthOf: (row) => offset(row + 1) - offset(row),
    // A column without rows may come without offsets.
    bytesOf: (from, to) => from === to ? 0 : offset(to) - offset(from)
  }
}

/** Source: Apache Arrow, docs/source/format/Columnar.rst, "Variable-size Binary View Layout". */
const viewed = (column: Column): ByteValues => {
  const views = viewOf(column.buffers[0]!)
  const data = column.buffers.slice(1).map(viewOf)
  const lengthOf = (row: number) => views.getInt32(16 * row, true)
  const isInline = (row: number) => lengthOf(row) <= 12
  return {
    sourceOf: (row) => isInline(row) ? views : data[views.getInt32(16 * row + 8, true)]!,
    startOf: (row) => isInline(row) ? 16 * row + 4 : views.getInt32(16 * row + 12, true),
    lengthOf,
    bytesOf: (from, to) => {
      let bytes = 0
      for (let row = from; row < to; row++) if (!isNull(column.validity, row)) bytes += lengthOf(row)
      return bytes
    }
  }
}
