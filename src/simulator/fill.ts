/** Fills the columns of the simulated tables with drawn values. */
import type { BlockSource } from "./BlockSource.ts"
import type { Column, GrowingBytes } from "./columns.ts"
import type { Random } from "./random.ts"

/** Appends to `column` the values of all `rows` that `block` has in a table. */
export type Fill = (column: Column, block: BlockSource, rows: number, random: Random) => void

type Draw<A> = (random: Random, row: number, block: BlockSource) => A

const wrongKind = (column: Column): never => {
  throw new Error(`a ${column.kind} column cannot take these values`)
}

/** Makes room for `rows` values; returns the bytes and the offset of the first. */
const grow = (column: Column, rows: number, width: number): { readonly values: GrowingBytes; readonly at: number } => {
  if (column.kind !== "fixed" || column.width !== width) return wrongKind(column)
  return { values: column.values, at: column.values.reserve(rows * width) }
}

/** The same 8-byte value in every row. */
export const same64 = (of: (block: BlockSource) => bigint): Fill => (column, block, rows) => {
  const { at, values: { view } } = grow(column, rows, 8)
  const value = BigInt.asIntN(64, of(block))
  for (let row = 0; row < rows; row += 1) view.setBigInt64(at + row * 8, value, true)
}

/** The same bytes in every row. */
export const sameBytes = (of: (block: BlockSource) => Uint8Array): Fill => (column, block, rows) => {
  const value = of(block)
  const { at, values: { bytes } } = grow(column, rows, value.length)
  for (let row = 0; row < rows; row += 1) bytes.set(value, at + row * value.length)
}

/** Bytes of width `width` that were computed elsewhere, the rows one after the other. */
export const givenBytes = (width: number, of: (block: BlockSource) => Uint8Array): Fill => (column, block, rows) => {
  const { at, values: { bytes } } = grow(column, rows, width)
  bytes.set(of(block), at)
}

export const randomBytes = (width: number): Fill => (column, _, rows, random) => {
  const { at, values: { bytes } } = grow(column, rows, width)
  random.write(bytes, at, at + rows * width)
}

/** Random bytes where `given` has none. */
export const randomBytesOr = (
  width: number,
  given: (row: number, block: BlockSource) => Uint8Array | undefined
): Fill =>
(column, block, rows, random) => {
  const { at, values: { bytes } } = grow(column, rows, width)
  random.write(bytes, at, at + rows * width)
  for (let row = 0; row < rows; row += 1) bytes.set(given(row, block) ?? [], at + row * width)
}

export const uint64 = (draw: Draw<bigint>): Fill => (column, block, rows, random) => {
  const { at, values: { view } } = grow(column, rows, 8)
  for (let row = 0; row < rows; row += 1) view.setBigUint64(at + row * 8, draw(random, row, block), true)
}

/** 32-bit integers, signed or not. */
export const int32 = (draw: Draw<number>): Fill => (column, block, rows, random) => {
  const { at, values: { view } } = grow(column, rows, 4)
  for (let row = 0; row < rows; row += 1) view.setInt32(at + row * 4, draw(random, row, block), true)
}

/** Decimal128 from its unscaled value: 16 bytes, little endian, two's complement. */
export const decimal128 = (draw: Draw<bigint>): Fill => (column, block, rows, random) => {
  const { at, values: { view } } = grow(column, rows, 16)
  for (let row = 0; row < rows; row += 1) {
    const value = draw(random, row, block)
    view.setBigInt64(at + row * 16, BigInt.asIntN(64, value), true)
    view.setBigInt64(at + row * 16 + 8, value >> 64n, true)
  }
}

export const bool = (percentTrue: number): Fill => (column, _, rows, random) => {
  if (column.kind !== "bool") return wrongKind(column)
  const at = column.values.reserve(rows)
  for (let row = 0; row < rows; row += 1) column.values.bytes[at + row] = random.chance(percentTrue) ? 1 : 0
}

/** Random bytes of a drawn length, where `given` has none. */
export const binary = (
  lengthBytes: Draw<number>,
  given?: (row: number, block: BlockSource) => Uint8Array | undefined
): Fill =>
(column, block, rows, random) => {
  if (column.kind !== "varying") return wrongKind(column)
  for (let row = 0; row < rows; row += 1) {
    const known = given?.(row, block)
    const length = known?.length ?? lengthBytes(random, row, block)
    const at = column.values.reserve(length)
    if (known === undefined) random.write(column.values.bytes, at, at + length)
    else column.values.bytes.set(known, at)
    column.offsets.push(length)
  }
}

const ENCODER = new TextEncoder()

export const utf8 = (draw: Draw<string>): Fill => (column, block, rows, random) => {
  if (column.kind !== "varying") return wrongKind(column)
  for (let row = 0; row < rows; row += 1) {
    const text = ENCODER.encode(draw(random, row, block))
    const at = column.values.reserve(text.length)
    column.values.bytes.set(text, at)
    column.offsets.push(text.length)
  }
}

export const list = (length: Draw<number>, item: Fill): Fill => (column, block, rows, random) => {
  if (column.kind !== "list") return wrongKind(column)
  let items = 0
  for (let row = 0; row < rows; row += 1) {
    const count = length(random, row, block)
    column.offsets.push(count)
    items += count
  }
  item(column.item, block, items, random)
}

export const struct = (...fields: ReadonlyArray<Fill>): Fill => (column, block, rows, random) => {
  if (column.kind !== "struct") return wrongKind(column)
  fields.forEach((fill, i) => fill(column.fields[i]!, block, rows, random))
}

/** Null where `isPresent` is false. The bytes below a null stay as drawn: Arrow gives them no meaning. */
export const maybe = (isPresent: Draw<boolean>, fill: Fill): Fill => (column, block, rows, random) => {
  const { present } = column
  if (present === undefined) return wrongKind(column)
  fill(column, block, rows, random)
  const at = present.reserve(rows)
  for (let row = 0; row < rows; row += 1) present.bytes[at + row] = isPresent(random, row, block) ? 1 : 0
}
