/** JSON writers of scalar types. */
import type { ArrowType, TimeUnit } from "../../arrow/ArrowSchema.ts"
import { type Column, viewOf } from "../../arrow/ColumnBatch.ts"
import { readIndex } from "../../arrow/readIndex.ts"
import { byteValues } from "./byteValues.ts"
import { checkText } from "./checkText.ts"
import { boundOf, type FieldWriter, type MakeWriter, rejectValue } from "./FieldWriter.ts"
import {
  DAY_SECONDS,
  formatDate,
  formatDuration,
  formatInterval,
  formatTime,
  formatTimestamp,
  ticksPerSecond
} from "./formatTemporal.ts"
import { halfToNumber } from "./halfToNumber.ts"
import { ESCAPED_BYTES, withJsonNulls, writeAscii, writeHex, writeJsonNull, writeString } from "./jsonText.ts"

/** A writer of values whose JSON is short ASCII text of at most `maxBytes`. */
const asciiWriter = (maxBytes: number, textOf: (column: Column) => (row: number) => string): MakeWriter => (column) => {
  const text = textOf(column)
  return withJsonNulls(column, {
    bound: boundOf(maxBytes),
    write: (out, at, row) => writeAscii(out, at, text(row))
  })
}

export const jsonNullWriter: MakeWriter = (): FieldWriter => ({ bound: boundOf(4), write: writeJsonNull })

export const jsonBooleanWriter: MakeWriter = asciiWriter(5, (column) => {
  const bits = column.buffers[0]!
  return (row) => ((bits[row >> 3]! >> (row & 7)) & 1) === 1 ? "true" : "false"
})

/** Integers as bare digits, exact beyond 2^53 too: PostgreSQL reads them into `numeric`. */
export const jsonIntegerWriter = (type: Extract<ArrowType, { kind: "int" }>): MakeWriter =>
  asciiWriter(20, (column) => {
    if (type.bits < 64) {
      const valueOf = readIndex(type, column.buffers[0]!)
      return (row) => String(valueOf(row))
    }
    const source = viewOf(column.buffers[0]!)
    return type.signed
      ? (row) => source.getBigInt64(8 * row, true).toString()
      : (row) => source.getBigUint64(8 * row, true).toString()
  })

/** Writes floats as the shortest digits that read back the same; values that are no JSON number as `"NaN"`, `"Infinity"`, `"-Infinity"`. */
export const jsonFloatWriter = (bits: 16 | 32 | 64): MakeWriter =>
  asciiWriter(30, (column) => {
    const source = viewOf(column.buffers[0]!)
    if (bits === 64) return (row) => formatFloat(source.getFloat64(8 * row, true), String)
    if (bits === 32) return (row) => formatFloat(source.getFloat32(4 * row, true), shortestSingle)
    return (row) => formatFloat(halfToNumber(source.getUint16(2 * row, true)), String)
  })

const formatFloat = (value: number, format: (value: number) => string): string => {
  if (!Number.isFinite(value)) return `"${value}"`
  return Object.is(value, -0) ? "-0" : format(value)
}

/** Nine digits always read back as the same 32-bit float, mostly fewer do. */
const shortestSingle = (value: number): string => {
  for (let digits = 1; digits < 9; digits++) {
    const rounded = Number(value.toPrecision(digits))
    if (Math.fround(rounded) === value) return String(rounded)
  }
  return String(Number(value.toPrecision(9)))
}

/** Decimals as strings, with every digit of their scale. */
export const jsonDecimalWriter = (type: Extract<ArrowType, { kind: "decimal" }>): MakeWriter =>
  asciiWriter(90 + Math.abs(type.scale), (column) => {
    const source = viewOf(column.buffers[0]!)
    const words = type.bits >> 5
    return (row) => `"${formatDecimal(readSigned(source, row * words * 4, words), type.scale)}"`
  })

const readSigned = (source: DataView, start: number, words: number): bigint => {
  let value = BigInt(source.getInt32(start + 4 * words - 4, true))
  for (let word = words - 2; word >= 0; word--) {
    value = (value << 32n) | BigInt(source.getUint32(start + 4 * word, true))
  }
  return value
}

const formatDecimal = (unscaled: bigint, scale: number): string => {
  if (scale <= 0) return (unscaled * 10n ** BigInt(-scale)).toString()
  const digits = (unscaled < 0n ? -unscaled : unscaled).toString().padStart(scale + 1, "0")
  return `${unscaled < 0n ? "-" : ""}${digits.slice(0, -scale)}.${digits.slice(-scale)}`
}

export const jsonTextWriter: MakeWriter = (column, { textNul }) => {
  const { bytesOf, lengthOf, sourceOf, startOf } = byteValues(column)
  return withJsonNulls(column, {
    bound: (from, to) => 2 * (to - from) + ESCAPED_BYTES * bytesOf(from, to),
    write: (out, at, row) => {
      checkText(sourceOf(row), startOf(row), lengthOf(row), textNul === "replace")
      return writeString(out, at, sourceOf(row), startOf(row), lengthOf(row))
    }
  })
}

/** Binary of any layout as `"0x..."`. */
export const jsonBinaryWriter: MakeWriter = (column) => {
  const { bytesOf, lengthOf, sourceOf, startOf } = byteValues(column)
  return withJsonNulls(column, {
    bound: (from, to) => 4 * (to - from) + 2 * bytesOf(from, to),
    write: (out, at, row) => writeHex(out, at, sourceOf(row), startOf(row), lengthOf(row))
  })
}

const int32Of = (column: Column) => {
  const source = viewOf(column.buffers[0]!)
  return (row: number) => source.getInt32(4 * row, true)
}

const int64Of = (column: Column) => {
  const source = viewOf(column.buffers[0]!)
  return (row: number) => source.getBigInt64(8 * row, true)
}

/** Dates as `"2024-02-29"`. Fails: a Date64 that is no midnight, which Arrow does not allow. */
export const jsonDateWriter = (unit: "day" | "millisecond"): MakeWriter =>
  asciiWriter(32, (column) => {
    if (unit === "day") {
      const days = int32Of(column)
      return (row) => `"${formatDate(BigInt(days(row)))}"`
    }
    const millis = int64Of(column)
    return (row) => {
      const value = millis(row)
      if (value % 86_400_000n !== 0n) rejectValue("it is a Date64 with a time of day, which Arrow does not allow")
      return `"${formatDate(value / 86_400_000n)}"`
    }
  })

/** Times of day as `"13:45:00.123"`. */
export const jsonTimeWriter = (bits: 32 | 64, unit: TimeUnit): MakeWriter =>
  asciiWriter(40, (column) => {
    const ticks = bits === 32 ? int32Of(column) : int64Of(column)
    return (row) => {
      const value = BigInt(ticks(row))
      if (value < 0n || value > DAY_SECONDS * ticksPerSecond(unit)) rejectValue("it is no time of day")
      return `"${formatTime(value, unit)}"`
    }
  })

/** Timestamps as `"2024-02-29T13:45:00.123456789"`, all digits of their unit kept, with `Z` when they have a zone. */
export const jsonTimestampWriter = (type: Extract<ArrowType, { kind: "timestamp" }>): MakeWriter =>
  asciiWriter(48, (column) => {
    const ticks = int64Of(column)
    return (row) => `"${formatTimestamp(ticks(row), type.unit, type.timezone !== undefined)}"`
  })

/** Lengths of time as `"PT1.500S"`. */
export const jsonDurationWriter = (unit: TimeUnit): MakeWriter =>
  asciiWriter(32, (column) => {
    const ticks = int64Of(column)
    return (row) => `"${formatDuration(ticks(row), unit)}"`
  })

/** Calendar intervals as `"P14M3DT0.500000000S"`. */
export const jsonIntervalWriter = (unit: "yearMonth" | "dayTime" | "monthDayNano"): MakeWriter =>
  asciiWriter(64, (column) => {
    const source = viewOf(column.buffers[0]!)
    const int32 = (at: number) => source.getInt32(at, true)
    if (unit === "yearMonth") return (row) => `"P${int32(4 * row)}M"`
    if (unit === "dayTime") {
      return (row) => `"${formatInterval(0, int32(8 * row), BigInt(int32(8 * row + 4)), "millisecond")}"`
    }
    return (row) => {
      const ticks = source.getBigInt64(16 * row + 8, true)
      return `"${formatInterval(int32(16 * row), int32(16 * row + 4), ticks, "nanosecond")}"`
    }
  })
