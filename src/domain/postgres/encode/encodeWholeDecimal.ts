import type { ArrowType } from "../../arrow/ArrowSchema.ts"
import { viewOf } from "../../arrow/ColumnBatch.ts"
import { boundOf, type MakeWriter, rejectValue, withNulls } from "./FieldWriter.ts"

const NOT_BIGINT = "it is not a whole number from -2^63 to 2^63-1"

/** Writes a decimal as `int8`. Fails: a fraction, more than 64 bits. Source: PostgreSQL, utils/adt/int8.c, `int8recv`. */
export const wholeDecimalWriter = (type: Extract<ArrowType, { kind: "decimal" }>): MakeWriter => {
  const factor = 10n ** BigInt(Math.abs(type.scale))
  const bytes = type.bits / 8
  return (column) => {
    const source = viewOf(column.buffers[0]!)
    return withNulls(column, {
      bound: boundOf(12),
      write: (out, at, row) => {
        const unscaled = readInteger(source, row * bytes, bytes)
        if (type.scale > 0 && unscaled % factor !== 0n) rejectValue(NOT_BIGINT)
        const value = type.scale > 0 ? unscaled / factor : unscaled * factor
        if (BigInt.asIntN(64, value) !== value) rejectValue(NOT_BIGINT)
        out.view.setInt32(at, 8)
        out.view.setBigInt64(at + 4, value)
        return at + 12
      }
    })
  }
}

/** A little-endian two's complement integer of 4 bytes or a multiple of 8. */
const readInteger = (source: DataView, start: number, bytes: number): bigint => {
  if (bytes === 4) return BigInt(source.getInt32(start, true))
  let value = source.getBigInt64(start + bytes - 8, true)
  for (let word = bytes - 16; word >= 0; word -= 8) value = (value << 64n) | source.getBigUint64(start + word, true)
  return value
}
