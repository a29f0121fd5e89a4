/**
 * Writers of text columns that contain decimal numbers, as numbers.
 *
 * Accepted: a sign, digits and one point, such as `-12.50`; no exponent, no spaces, no NaN. The number written is exactly that
 * of the text.
 */
import { byteValues } from "./byteValues.ts"
import { boundOf, boundOfEach, type MakeWriter, rejectValue, withNulls } from "./FieldWriter.ts"

/** The offsets of the digits of one decimal text, without leading and trailing zeros. */
interface Scanned {
  negative: boolean
  /** Position of the first digit that counts, and of the point or where it would be. */
  first: number
  point: number
  /** After the last digit that counts; never before `point`. */
  end: number
  /** Digits after the point as written, zeros included. */
  written: number
}

const NOT_DECIMAL = "it is not a decimal number such as -12.50"
const [PLUS, MINUS, POINT, ZERO] = [0x2b, 0x2d, 0x2e, 0x30]

const isDigit = (byte: number): boolean => byte >= ZERO && byte <= ZERO + 9

/** Scans one text into `into`, which is reused so that rows allocate nothing. */
const scan = (source: DataView, start: number, length: number, into: Scanned): void => {
  const stop = start + length
  let at = start
  const sign = length > 0 ? source.getUint8(start) : 0
  into.negative = sign === MINUS
  if (sign === MINUS || sign === PLUS) at += 1
  const digits = at
  while (at < stop && isDigit(source.getUint8(at))) at += 1
  into.point = at
  if (at < stop && source.getUint8(at) === POINT) at += 1
  const fraction = at
  while (at < stop && isDigit(source.getUint8(at))) at += 1
  into.written = at - fraction
  if (at !== stop || into.point - digits + into.written === 0) rejectValue(NOT_DECIMAL)
  into.first = digits
  while (into.first < into.point && source.getUint8(into.first) === ZERO) into.first += 1
  into.end = at
  while (into.end > fraction && source.getUint8(into.end - 1) === ZERO) into.end -= 1
  if (into.end <= fraction) into.end = into.point
}

const newScanned = (): Scanned => ({ negative: false, first: 0, point: 0, end: 0, written: 0 })

/** Digits that an unconstrained `numeric` holds. Source: PostgreSQL, doc "Numeric Types", and `NUMERIC_DSCALE_MASK`. */
const MAX_WHOLE = 131_072
const MAX_FRACTION = 16_383

/**
 * Writes decimal text as `numeric`, with at most `digits` where they are given.
 *
 * Shape: int16 ndigits, weight, sign, dscale, then base-10000 digits aligned at the point, the outer ones not zero.
 * Fails: no decimal number, more digits than fit before or after the decimal point. Nothing is rounded.
 * Source: PostgreSQL, utils/adt/numeric.c, `numeric_recv`.
 */
export const decimalTextWriter =
  (digits: { readonly precision: number; readonly scale: number } | undefined): MakeWriter => (column) => {
    const { lengthOf, sourceOf, startOf } = byteValues(column)
    const wholeLimit = digits === undefined ? MAX_WHOLE : digits.precision - digits.scale
    const fractionLimit = digits === undefined ? MAX_FRACTION : digits.scale
    const scanned = newScanned()
    return withNulls(column, {
      // Two digits a byte, and at either end a group that is not full.
      bound: boundOfEach(column, (row) => 8 + 2 * (Math.ceil(lengthOf(row) / 4) + 2)),
      write: (out, at, row) => {
        const source = sourceOf(row)
        scan(source, startOf(row), lengthOf(row), scanned)
        const { end, first, negative, point, written } = scanned
        const [whole, fraction] = [point - first, end > point ? end - point - 1 : 0]
        if (whole > wholeLimit) {
          rejectValue(`it has more than the ${wholeLimit} digits before the decimal point that its type allows`)
        }
        if (fraction > fractionLimit) {
          rejectValue(`it has more than the ${fractionLimit} digits after the decimal point that its type allows`)
        }
        let next = at + 12
        let weight = 0
        let started = false
        const put = (group: number, position: number) => {
          if (!started && group === 0) return
          if (!started) weight = position
          started = true
          out.view.setUint16(next, group)
          next += 2
        }
        for (let group = Math.ceil(whole / 4) - 1; group >= 0; group--) {
          put(groupOf(source, point - 4 * (group + 1), first, point), group)
        }
        for (let group = 0; 4 * group < fraction; group++) {
          put(groupOf(source, point + 1 + 4 * group, point + 1, end), -1 - group)
        }
        while (next > at + 12 && out.view.getUint16(next - 2) === 0) next -= 2
        out.view.setInt32(at, next - at - 4)
        out.view.setInt16(at + 4, (next - at - 12) / 2)
        out.view.setInt16(at + 6, weight)
        out.view.setUint16(at + 8, negative && started ? 0x4000 : 0)
        out.view.setInt16(at + 10, Math.min(written, fractionLimit))
        return next
      }
    })
  }

/** Four digits from `start` on; those outside of `from` to `to` count as zeros. */
const groupOf = (source: DataView, start: number, from: number, to: number): number => {
  let group = 0
  for (let at = start; at < start + 4; at++) {
    group = group * 10 + (at < from || at >= to ? 0 : source.getUint8(at) - ZERO)
  }
  return group
}

const NOT_BIGINT = "it is not a whole number from -2^63 to 2^63-1"

/** Writes decimal text as `int8`. Fails: no decimal number, a fraction, more than 64 bits. */
export const integerTextWriter: MakeWriter = (column) => {
  const { lengthOf, sourceOf, startOf } = byteValues(column)
  const scanned = newScanned()
  return withNulls(column, {
    bound: boundOf(12),
    write: (out, at, row) => {
      const source = sourceOf(row)
      scan(source, startOf(row), lengthOf(row), scanned)
      const { end, first, negative, point } = scanned
      if (end > point || point - first > 19) rejectValue(NOT_BIGINT)
      let magnitude = 0n
      for (let digit = first; digit < point; digit++) {
        magnitude = magnitude * 10n + BigInt(source.getUint8(digit) - ZERO)
      }
      const value = negative ? -magnitude : magnitude
      if (BigInt.asIntN(64, value) !== value) rejectValue(NOT_BIGINT)
      out.view.setInt32(at, 8)
      out.view.setBigInt64(at + 4, value)
      return at + 12
    }
  })
}
