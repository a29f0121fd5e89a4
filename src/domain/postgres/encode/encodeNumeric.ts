/** Writer of integers and decimals as `numeric`. */
import { viewOf } from "../../arrow/ColumnBatch.ts"
import { boundOf, type MakeWriter, rejectValue, withNulls } from "./FieldWriter.ts"

/** An integer of `bits`, to be read as `value * 10^-scale` with at most `precision` decimal digits. */
export interface Unscaled {
  readonly bits: 32 | 64 | 128 | 256
  readonly signed: boolean
  readonly precision: number
  readonly scale: number
}

const WORD = 4294967296

/**
 * Writes little-endian integers with a decimal point as `numeric`.
 *
 * Shape: int16 ndigits, weight, sign, dscale, then ndigits base-10000 digits without leading or trailing zero digits.
 * Units: groups of four digits begin at the decimal point, so a scale that is no multiple of four shifts the value first.
 * Fails: more digits than `precision`. Source: PostgreSQL, utils/adt/numeric.c, `numeric_recv`.
 */
export const numericWriter = (unscaled: Unscaled): MakeWriter => {
  const { bits, precision, scale, signed } = unscaled
  const words = bits >> 5
  const lowestWeight = Math.floor(-scale / 4)
  const shift = -scale - 4 * lowestWeight
  const factor = 10 ** shift
  const displayScale = Math.max(scale, 0)
  const maxDigits = Math.ceil((maxDecimals[bits] + shift) / 4)
  return (column) => {
    const source = viewOf(column.buffers[0]!)
    // Reused for every row: no row reads what another one left.
    const limbs = new Float64Array(words + 1)
    const digits = new Uint16Array(maxDigits + 1)
    return withNulls(column, {
      bound: boundOf(12 + 2 * maxDigits),
      write: (out, at, row) => {
        const negative = readMagnitude(source, row * words * 4, words, signed, limbs)
        const count = toDigits(limbs, words, factor, digits)
        if (count > 0 && decimalsOf(digits, count) - shift > precision) {
          rejectValue(`it has more than the ${precision} digits its type allows`)
        }
        let lowest = 0
        while (lowest < count && digits[lowest] === 0) lowest += 1
        const { view } = out
        view.setInt32(at, 8 + 2 * (count - lowest))
        view.setInt16(at + 4, count - lowest)
        view.setInt16(at + 6, count === 0 ? 0 : count - 1 + lowestWeight)
        view.setUint16(at + 8, negative ? 0x4000 : 0)
        view.setInt16(at + 10, displayScale)
        let end = at + 12
        for (let index = count - 1; index >= lowest; index--, end += 2) view.setUint16(end, digits[index]!)
        return end
      }
    })
  }
}

/** Decimal digits of the largest magnitude of a width. */
const maxDecimals = { 32: 10, 64: 20, 128: 39, 256: 78 } as const

/** Loads the absolute value, least significant word first; returns whether it was negative. */
const readMagnitude = (
  source: DataView,
  start: number,
  words: number,
  signed: boolean,
  limbs: Float64Array
): boolean => {
  limbs[words] = 0
  if (!signed || source.getInt32(start + 4 * words - 4, true) >= 0) {
    for (let word = 0; word < words; word++) limbs[word] = source.getUint32(start + 4 * word, true)
    return false
  }
  let carry = 1
  for (let word = 0; word < words; word++) {
    const limb = WORD - 1 - source.getUint32(start + 4 * word, true) + carry
    carry = limb === WORD ? 1 : 0
    limbs[word] = carry === 1 ? 0 : limb
  }
  return true
}

/**
 * Turns `limbs` times `factor` into base-10000 digits, least significant first; returns their number without leading zeros.
 *
 * Every intermediate value stays below 2^53, where doubles are exact: 10^4 * 2^32 < 2^46.
 */
const toDigits = (limbs: Float64Array, words: number, factor: number, digits: Uint16Array): number => {
  let top = words - 1
  if (factor !== 1) {
    let carry = 0
    for (let word = 0; word < words; word++) {
      const product = limbs[word]! * factor + carry
      carry = Math.floor(product / WORD)
      limbs[word] = product - carry * WORD
    }
    limbs[words] = carry
    top = words
  }
  let count = 0
  for (;;) {
    while (top >= 0 && limbs[top] === 0) top -= 1
    if (top < 1 || (top === 1 && limbs[1]! < 0x200000)) break
    let remainder = 0
    for (let word = top; word >= 0; word--) {
      const dividend = remainder * WORD + limbs[word]!
      const quotient = Math.floor(dividend / 10000)
      remainder = dividend - quotient * 10000
      limbs[word] = quotient
    }
    digits[count++] = remainder
  }
  let rest = top < 0 ? 0 : top === 0 ? limbs[0]! : limbs[1]! * WORD + limbs[0]!
  while (rest > 0) {
    const quotient = Math.floor(rest / 10000)
    digits[count++] = rest - quotient * 10000
    rest = quotient
  }
  return count
}

const decimalsOf = (digits: Uint16Array, count: number): number => {
  const top = digits[count - 1]!
  return 4 * (count - 1) + (top >= 1000 ? 4 : top >= 100 ? 3 : top >= 10 ? 2 : 1)
}
