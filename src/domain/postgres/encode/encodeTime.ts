/** Writers of dates, times, timestamps, durations and intervals. */
import type { TimeUnit } from "../../arrow/ArrowSchema.ts"
import { viewOf } from "../../arrow/ColumnBatch.ts"
import { boundOf, type MakeWriter, rejectValue, withNulls } from "./FieldWriter.ts"

const WORD = 4294967296

/** Days from 1970-01-01 to PostgreSQL's epoch, 2000-01-01. */
const EPOCH_DAYS = 10957

/** The dates PostgreSQL holds, as days since 2000: 4713-01-01 BC and 5874898-01-01, the latter excluded. Source: datatype/timestamp.h. */
const FIRST_DAY = -2451545
const END_DAY = 2145031949

/** Writes days since 1970 as `date`. Source: PostgreSQL, utils/adt/date.c, `date_recv`. */
export const dateWriter: MakeWriter = (column) => {
  const source = viewOf(column.buffers[0]!)
  return withNulls(column, {
    bound: boundOf(8),
    write: (out, at, row) => {
      out.view.setInt32(at, 4)
      out.view.setInt32(at + 4, checkedDay(source.getInt32(4 * row, true) - EPOCH_DAYS))
      return at + 8
    }
  })
}

/** Writes milliseconds since 1970 that fall on a midnight as `date`; Arrow defines no other Date64. */
export const milliDateWriter: MakeWriter = (column) => {
  const source = viewOf(column.buffers[0]!)
  return withNulls(column, {
    bound: boundOf(8),
    write: (out, at, row) => {
      out.view.setInt32(at, 4)
      out.view.setInt32(at + 4, milliDay(source, 8 * row))
      return at + 8
    }
  })
}

const DAY_MILLIS = 86_400_000

/** The int64 milliseconds at `at` as days since 2000. */
const milliDay = (source: DataView, at: number): number => {
  const high = source.getInt32(at + 4, true)
  // Beyond 2^53 a double is not exact, and the dates go on.
  if (high < -0x200000 || high >= 0x200000) {
    const millis = source.getBigInt64(at, true)
    const day = checkedDay(Number(millis / BigInt(DAY_MILLIS)) - EPOCH_DAYS)
    return millis % BigInt(DAY_MILLIS) === 0n ? day : rejectValue(TIME_OF_DAY)
  }
  const day = (high * WORD + source.getUint32(at, true)) / DAY_MILLIS
  return Number.isInteger(day) ? checkedDay(day - EPOCH_DAYS) : rejectValue(TIME_OF_DAY)
}

const TIME_OF_DAY = "it is a Date64 with a time of day, which Arrow does not allow"

const OUT_OF_DATE_RANGE = "it lies outside the dates PostgreSQL can hold (4713 BC to 5874897 AD)"

const checkedDay = (day: number): number => day >= FIRST_DAY && day < END_DAY ? day : rejectValue(OUT_OF_DATE_RANGE)

const DAY_MICROS = 86_400_000_000

/** Writes a time of day as `time`: microseconds since midnight. Source: PostgreSQL, utils/adt/date.c, `time_recv`. */
export const timeWriter = (bits: 32 | 64, unit: TimeUnit): MakeWriter => (column) => {
  const source = viewOf(column.buffers[0]!)
  const micros = microsPer[unit]
  return withNulls(column, {
    bound: boundOf(12),
    write: (out, at, row) => {
      const value = bits === 32
        ? source.getInt32(4 * row, true)
        : source.getInt32(8 * row + 4, true) * WORD + source.getUint32(8 * row, true)
      // A day has fewer nanoseconds than 2^53, so values that a double would round are rejected as well.
      const time = unit === "nanosecond" ? Math.floor(value / 1000) : value * micros
      if (value < 0 || time > DAY_MICROS) rejectValue("it is no time of day")
      out.view.setInt32(at, 8)
      out.view.setInt32(at + 4, Math.floor(time / WORD))
      out.view.setInt32(at + 8, time % WORD)
      return at + 12
    }
  })
}

/** Microseconds in one unit; nanoseconds are divided by 1,000 instead. */
const microsPer = { second: 1_000_000, millisecond: 1000, microsecond: 1, nanosecond: 1 } as const

/**
 * A signed 64-bit count of `unit`s in microseconds, as two words that may exceed 32 bits at the top.
 *
 * Floors nanoseconds. Every intermediate value stays below 2^53: 10^3 * 2^32 and 10^6 * 2^32 are below 2^52.
 */
const microsWords = (unit: TimeUnit) => {
  if (unit === "nanosecond") {
    return (high: number, low: number, words: Float64Array): void => {
      const quotient = Math.floor(high / 1000)
      words[0] = quotient
      words[1] = Math.floor(((high - quotient * 1000) * WORD + low) / 1000)
    }
  }
  const factor = microsPer[unit]
  return (high: number, low: number, words: Float64Array): void => {
    const product = low * factor
    const carry = Math.floor(product / WORD)
    words[0] = high * factor + carry
    words[1] = product - carry * WORD
  }
}

/** PostgreSQL's epoch in microseconds since 1970, as two words. */
const EPOCH_HIGH = Math.floor(946_684_800_000_000 / WORD)
const EPOCH_LOW = 946_684_800_000_000 % WORD

/** The timestamps PostgreSQL holds, in microseconds since 2000; the last one excluded. Source: datatype/timestamp.h. */
const FIRST_MICROS = -211_813_488_000_000_000n
const END_MICROS = 9_223_371_331_200_000_000n

const highOf = (value: bigint) => Number(value >> 32n)
const lowOf = (value: bigint) => Number(value & 0xffff_ffffn)
const FIRST_HIGH = highOf(FIRST_MICROS)
const FIRST_LOW = lowOf(FIRST_MICROS)
const END_HIGH = highOf(END_MICROS)
const END_LOW = lowOf(END_MICROS)

/**
 * Writes a count since 1970 as `timestamptz` or `timestamp`: microseconds since 2000.
 *
 * Fails: outside 4714-11-24 BC to 294276-12-31. Source: PostgreSQL, utils/adt/timestamp.c, `timestamp_recv`.
 */
export const timestampWriter = (unit: TimeUnit): MakeWriter => {
  const toMicros = microsWords(unit)
  return (column) => {
    const source = viewOf(column.buffers[0]!)
    const words = new Float64Array(2)
    return withNulls(column, {
      bound: boundOf(12),
      write: (out, at, row) => {
        toMicros(source.getInt32(8 * row + 4, true), source.getUint32(8 * row, true), words)
        let high = words[0]! - EPOCH_HIGH
        let low = words[1]! - EPOCH_LOW
        if (low < 0) {
          low += WORD
          high -= 1
        }
        const early = high < FIRST_HIGH || (high === FIRST_HIGH && low < FIRST_LOW)
        const late = high > END_HIGH || (high === END_HIGH && low >= END_LOW)
        if (early || late) rejectValue("it lies outside the times PostgreSQL can hold (4713 BC to 294276 AD)")
        out.view.setInt32(at, 8)
        out.view.setInt32(at + 4, high)
        out.view.setInt32(at + 8, low)
        return at + 12
      }
    })
  }
}

/**
 * Writes a length of time as `interval` of microseconds alone.
 *
 * Shape: int64 microseconds, int32 days, int32 months. Source: PostgreSQL, utils/adt/timestamp.c, `interval_recv`.
 */
export const durationWriter = (unit: TimeUnit): MakeWriter => {
  const toMicros = microsWords(unit)
  return (column) => {
    const source = viewOf(column.buffers[0]!)
    const words = new Float64Array(2)
    return withNulls(column, {
      bound: boundOf(20),
      write: (out, at, row) => {
        toMicros(source.getInt32(8 * row + 4, true), source.getUint32(8 * row, true), words)
        const high = words[0]!
        if (high < -0x80000000 || high > 0x7fffffff) rejectValue("it is longer than an INTERVAL can be")
        return writeInterval(out.view, at, high, words[1]!, 0, 0)
      }
    })
  }
}

const writeInterval = (
  view: DataView,
  at: number,
  microsHigh: number,
  microsLow: number,
  days: number,
  months: number
): number => {
  view.setInt32(at, 16)
  view.setInt32(at + 4, microsHigh)
  view.setInt32(at + 8, microsLow)
  view.setInt32(at + 12, days)
  view.setInt32(at + 16, months)
  return at + 20
}

/** Writes Arrow's calendar intervals, whose parts PostgreSQL keeps apart in the same way. Source: Schema.fbs, `Interval`. */
export const intervalWriter = (unit: "yearMonth" | "dayTime" | "monthDayNano"): MakeWriter => (column) => {
  const source = viewOf(column.buffers[0]!)
  const toMicros = microsWords("nanosecond")
  const words = new Float64Array(2)
  return withNulls(column, {
    bound: boundOf(20),
    write: (out, at, row) => {
      if (unit === "yearMonth") return writeInterval(out.view, at, 0, 0, 0, source.getInt32(4 * row, true))
      if (unit === "dayTime") {
        const micros = source.getInt32(8 * row + 4, true) * 1000
        const high = Math.floor(micros / WORD)
        return writeInterval(out.view, at, high, micros - high * WORD, source.getInt32(8 * row, true), 0)
      }
      toMicros(source.getInt32(16 * row + 12, true), source.getUint32(16 * row + 8, true), words)
      const months = source.getInt32(16 * row, true)
      return writeInterval(out.view, at, words[0]!, words[1]!, source.getInt32(16 * row + 4, true), months)
    }
  })
}
