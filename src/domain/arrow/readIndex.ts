import type { ArrowType } from "./ArrowSchema.ts"
import { viewOf } from "./ColumnBatch.ts"

/**
 * Reads small integers (dictionary indices, run ends) of any width as numbers.
 *
 * 64-bit values are exact up to 2^53; a larger one is still larger than any valid index.
 */
export const readIndex = (type: Extract<ArrowType, { kind: "int" }>, bytes: Uint8Array): (row: number) => number => {
  const view = viewOf(bytes)
  switch (type.bits) {
    case 8:
      return type.signed ? (row) => view.getInt8(row) : (row) => view.getUint8(row)
    case 16:
      return type.signed ? (row) => view.getInt16(2 * row, true) : (row) => view.getUint16(2 * row, true)
    case 32:
      return type.signed ? (row) => view.getInt32(4 * row, true) : (row) => view.getUint32(4 * row, true)
    case 64:
      return type.signed
        ? (row) => view.getInt32(8 * row + 4, true) * 4294967296 + view.getUint32(8 * row, true)
        : (row) => view.getUint32(8 * row + 4, true) * 4294967296 + view.getUint32(8 * row, true)
  }
}
