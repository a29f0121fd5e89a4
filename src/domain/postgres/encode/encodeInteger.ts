/** Writers of integer columns. */
import type { ArrowType } from "../../arrow/ArrowSchema.ts"
import { viewOf } from "../../arrow/ColumnBatch.ts"
import { readIndex } from "../../arrow/readIndex.ts"
import { boundOf, type MakeWriter, rejectValue, withNulls } from "./FieldWriter.ts"

type IntType = Extract<ArrowType, { kind: "int" }>

/** Writes an integer of up to 16 bits as `int2`. Source: PostgreSQL, utils/adt/int.c, `int2recv`. */
export const smallintWriter = (type: IntType): MakeWriter => (column) => {
  const valueOf = readIndex(type, column.buffers[0]!)
  return withNulls(column, {
    bound: boundOf(6),
    write: (out, at, row) => {
      out.view.setInt32(at, 2)
      out.view.setInt16(at + 4, valueOf(row))
      return at + 6
    }
  })
}

/** Writes an integer of up to 32 bits as `int4`. Source: PostgreSQL, utils/adt/int.c, `int4recv`. */
export const integerWriter = (type: IntType): MakeWriter => (column) => {
  const valueOf = readIndex(type, column.buffers[0]!)
  return withNulls(column, {
    bound: boundOf(8),
    write: (out, at, row) => {
      out.view.setInt32(at, 4)
      out.view.setInt32(at + 4, valueOf(row))
      return at + 8
    }
  })
}

/** Writes any integer as `int8`; rejects values above 2^63-1. Source: PostgreSQL, utils/adt/int8.c, `int8recv`. */
export const bigintWriter = (type: IntType): MakeWriter => {
  if (type.bits === 64) return wideWriter(type.signed)
  return type.bits === 32 && !type.signed ? unsignedWriter : widenedWriter(type)
}

/** Two columns of every log row are of this kind, hence a writer of their own. */
const unsignedWriter: MakeWriter = (column) => {
  const source = viewOf(column.buffers[0]!)
  return withNulls(column, {
    bound: boundOf(12),
    write: (out, at, row) => {
      out.view.setInt32(at, 8)
      out.view.setInt32(at + 4, 0)
      out.view.setInt32(at + 8, source.getInt32(4 * row, true))
      return at + 12
    }
  })
}

const wideWriter = (signed: boolean): MakeWriter => (column) => {
  const source = viewOf(column.buffers[0]!)
  return withNulls(column, {
    bound: boundOf(12),
    write: (out, at, row) => {
      const high = source.getInt32(8 * row + 4, true)
      if (high < 0 && !signed) rejectValue("it is larger than 2^63-1, the largest BIGINT")
      out.view.setInt32(at, 8)
      out.view.setInt32(at + 4, high)
      out.view.setInt32(at + 8, source.getInt32(8 * row, true))
      return at + 12
    }
  })
}

const widenedWriter = (type: IntType): MakeWriter => (column) => {
  const valueOf = readIndex(type, column.buffers[0]!)
  return withNulls(column, {
    bound: boundOf(12),
    write: (out, at, row) => {
      const value = valueOf(row)
      out.view.setInt32(at, 8)
      out.view.setInt32(at + 4, value < 0 ? -1 : 0)
      out.view.setInt32(at + 8, value)
      return at + 12
    }
  })
}
