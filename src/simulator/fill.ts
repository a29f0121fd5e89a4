import type { BlockSource } from "./BlockSource.ts"
import type { ColumnData, Present } from "./columns.ts"
import type { Random } from "./random.ts"

/** Draws the values of one column for all `rows` that `block` has in a table. */
export type Fill = (block: BlockSource, rows: number, random: Random) => ColumnData

type Draw<A> = (random: Random, row: number, block: BlockSource) => A

const fixed = (width: number, bytes: Uint8Array, present: Present = undefined): ColumnData => ({
  kind: "fixed",
  width,
  bytes,
  present
})

const bytesOf = (array: ArrayBufferView): Uint8Array => new Uint8Array(array.buffer, array.byteOffset, array.byteLength)

/** The same 8-byte value in every row. */
export const same64 = (of: (block: BlockSource) => bigint): Fill => (block, rows) =>
  fixed(8, bytesOf(new BigInt64Array(rows).fill(BigInt.asIntN(64, of(block)))))

/** The same bytes in every row. */
export const sameBytes = (of: (block: BlockSource) => Uint8Array): Fill => (block, rows) => {
  const value = of(block)
  const bytes = new Uint8Array(rows * value.length)
  for (let row = 0; row < rows; row += 1) bytes.set(value, row * value.length)
  return fixed(value.length, bytes)
}

/** Bytes of width `width` that were computed elsewhere, one value per row. */
export const givenBytes = (width: number, of: (block: BlockSource) => Uint8Array): Fill => (block) =>
  fixed(width, of(block))

export const randomBytes = (width: number): Fill => (_, rows, random) => fixed(width, random.bytes(rows * width))

export const uint64 = (draw: Draw<bigint>): Fill => (block, rows, random) => {
  const values = new BigUint64Array(rows)
  for (let row = 0; row < rows; row += 1) values[row] = draw(random, row, block)
  return fixed(8, bytesOf(values))
}

/** 32-bit integers, signed or not. */
export const int32 = (draw: Draw<number>): Fill => (block, rows, random) => {
  const values = new Int32Array(rows)
  for (let row = 0; row < rows; row += 1) values[row] = draw(random, row, block)
  return fixed(4, bytesOf(values))
}

/** Decimal128 from its unscaled value: 16 bytes, little endian, two's complement. */
export const decimal128 = (draw: Draw<bigint>): Fill => (block, rows, random) => {
  const words = new BigInt64Array(rows * 2)
  for (let row = 0; row < rows; row += 1) {
    const value = draw(random, row, block)
    words[row * 2] = BigInt.asIntN(64, value)
    words[row * 2 + 1] = value >> 64n
  }
  return fixed(16, bytesOf(words))
}

export const bool = (percentTrue: number): Fill => (_, rows, random) => ({
  kind: "bool",
  values: Uint8Array.from({ length: rows }, () => random.chance(percentTrue) ? 1 : 0),
  present: undefined
})

const offsetsOf = (rows: number, sizeOf: (row: number) => number): Int32Array => {
  const offsets = new Int32Array(rows + 1)
  for (let row = 0; row < rows; row += 1) offsets[row + 1] = offsets[row]! + sizeOf(row)
  return offsets
}

/** Random bytes of a drawn length. */
export const binary = (lengthBytes: Draw<number>): Fill => (block, rows, random) => {
  const offsets = offsetsOf(rows, (row) => lengthBytes(random, row, block))
  return { kind: "varying", offsets, bytes: random.bytes(offsets[rows]!), present: undefined }
}

export const utf8 = (draw: Draw<string>): Fill => (block, rows, random) => {
  const texts = Array.from({ length: rows }, (_, row) => new TextEncoder().encode(draw(random, row, block)))
  const offsets = offsetsOf(rows, (row) => texts[row]!.length)
  const bytes = new Uint8Array(offsets[rows]!)
  texts.forEach((text, row) => bytes.set(text, offsets[row]))
  return { kind: "varying", offsets, bytes, present: undefined }
}

export const list = (length: Draw<number>, item: Fill): Fill => (block, rows, random) => {
  const offsets = offsetsOf(rows, (row) => length(random, row, block))
  return { kind: "list", offsets, item: item(block, offsets[rows]!, random), present: undefined }
}

export const struct = (...fields: ReadonlyArray<Fill>): Fill => (block, rows, random) => ({
  kind: "struct",
  fields: fields.map((fill) => fill(block, rows, random)),
  present: undefined
})

/** Null where `isPresent` says no. The bytes below a null are left as drawn: Arrow gives them no meaning. */
export const maybe = (isPresent: Draw<boolean>, fill: Fill): Fill => (block, rows, random) => ({
  ...fill(block, rows, random),
  present: Uint8Array.from({ length: rows }, (_, row) => isPresent(random, row, block) ? 1 : 0)
})
