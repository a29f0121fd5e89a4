/** Writers of columns without a conversion: null, boolean and floating point. */
import { viewOf } from "../../arrow/ColumnBatch.ts"
import { boundOf, type MakeWriter, withNulls, writeNull } from "./FieldWriter.ts"
import { halfToNumber } from "./halfToNumber.ts"

/** Writes a column that has no values at all. */
export const nullWriter: MakeWriter = () => ({ bound: boundOf(4), write: writeNull })

/** Writes one bit as `bool`: one byte, 0 or 1. Source: PostgreSQL, utils/adt/bool.c, `boolrecv`. */
export const booleanWriter: MakeWriter = (column) => {
  const bits = column.buffers[0]!
  return withNulls(column, {
    bound: boundOf(5),
    write: (out, at, row) => {
      out.view.setInt32(at, 1)
      out.view.setUint8(at + 4, (bits[row >> 3]! >> (row & 7)) & 1)
      return at + 5
    }
  })
}

/** Writes a 16-bit float as `float4`, which holds every one of them. */
export const halfFloatWriter: MakeWriter = (column) => {
  const source = viewOf(column.buffers[0]!)
  return withNulls(column, {
    bound: boundOf(8),
    write: (out, at, row) => {
      out.view.setInt32(at, 4)
      out.view.setFloat32(at + 4, halfToNumber(source.getUint16(2 * row, true)))
      return at + 8
    }
  })
}

/** Writes a 32-bit float as `float4`, bit by bit. Source: PostgreSQL, utils/adt/float.c, `float4recv`. */
export const floatWriter: MakeWriter = (column) => {
  const source = viewOf(column.buffers[0]!)
  return withNulls(column, {
    bound: boundOf(8),
    write: (out, at, row) => {
      out.view.setInt32(at, 4)
      out.view.setInt32(at + 4, source.getInt32(4 * row, true))
      return at + 8
    }
  })
}

/** Writes a 64-bit float as `float8`, bit by bit. Source: PostgreSQL, utils/adt/float.c, `float8recv`. */
export const doubleWriter: MakeWriter = (column) => {
  const source = viewOf(column.buffers[0]!)
  return withNulls(column, {
    bound: boundOf(12),
    write: (out, at, row) => {
      out.view.setInt32(at, 8)
      out.view.setInt32(at + 4, source.getInt32(8 * row + 4, true))
      out.view.setInt32(at + 8, source.getInt32(8 * row, true))
      return at + 12
    }
  })
}
