/** Builds protobuf messages as a list of parts that are copied once, into memory of exactly the right size. */
import { LENGTH_DELIMITED, VARINT } from "./wire.ts"

export type Part = Uint8Array

const NOTHING: ReadonlyArray<Part> = []
const ENCODER = new TextEncoder()

/** A number below 2^53 as a varint. */
const varint = (value: number): Uint8Array => {
  const bytes: Array<number> = []
  let rest = value
  while (rest >= 0x80) {
    bytes.push((rest % 0x80) | 0x80)
    rest = Math.floor(rest / 0x80)
  }
  bytes.push(rest)
  return Uint8Array.from(bytes)
}

/** A signed 64-bit integer as a varint: a negative one takes ten bytes, as protobuf's `int64` requires. */
const int64 = (value: bigint): Uint8Array => {
  const bytes: Array<number> = []
  let rest = BigInt.asUintN(64, value)
  while (rest >= 0x80n) {
    bytes.push(Number(rest & 0x7fn) | 0x80)
    rest >>= 7n
  }
  bytes.push(Number(rest))
  return Uint8Array.from(bytes)
}

const tag = (number: number, wireType: number): Uint8Array => varint(number * 8 + wireType)

const sizeOf = (parts: ReadonlyArray<Part>): number => parts.reduce((bytes, part) => bytes + part.length, 0)

/** Length-delimited field; an empty one is written too, because an empty embedded message is not an absent one. */
export const embeddedField = (number: number, parts: ReadonlyArray<Part>): ReadonlyArray<Part> => [
  tag(number, LENGTH_DELIMITED),
  varint(sizeOf(parts)),
  ...parts
]

/** Bytes field; empty bytes are the default and are left out. */
export const bytesField = (number: number, bytes: Uint8Array): ReadonlyArray<Part> =>
  bytes.length === 0 ? NOTHING : [tag(number, LENGTH_DELIMITED), varint(bytes.length), bytes]

export const stringField = (number: number, text: string): ReadonlyArray<Part> =>
  bytesField(number, ENCODER.encode(text))

/** int64, enum or bool field; zero is the default and is left out. */
export const int64Field = (number: number, value: bigint): ReadonlyArray<Part> =>
  value === 0n ? NOTHING : [tag(number, VARINT), int64(value)]

/** The parts one after the other, copied once. */
export const assemble = (parts: ReadonlyArray<Part>): Uint8Array => {
  const message = new Uint8Array(sizeOf(parts))
  let offset = 0
  for (const part of parts) {
    message.set(part, offset)
    offset += part.length
  }
  return message
}
