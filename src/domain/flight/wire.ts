/**
 * Reads the protobuf wire format, as far as Flight needs it: varints, length-delimited fields, unknown fields skipped.
 *
 * Source: protobuf.dev/programming-guides/encoding.
 */
import { Data, Result } from "effect"

/** Bytes that are not the protobuf `message` they were taken for. `offset` counts from the start of the given bytes. */
export class MalformedFlightMessage extends Data.TaggedError("MalformedFlightMessage")<{
  readonly messageName: string
  readonly offset: number
  readonly reason: string
}> {
  override get message() {
    return `malformed ${this.messageName} at byte ${this.offset}: ${this.reason}`
  }
}

export const VARINT = 0
export const LENGTH_DELIMITED = 2
const FIXED64 = 1
const START_GROUP = 3
const END_GROUP = 4
const FIXED32 = 5
/** Groups are obsolete and never sent by Flight; the bound keeps a hostile message from nesting without end. */
const MAX_GROUP_DEPTH = 32
const EMPTY = new Uint8Array(0)

/** One field on the wire; the same object is reused for every field of a message. */
export interface WireField {
  number: number
  wireType: number
  /** Value of a varint as two words: reading it as a bigint is left to the one field that needs it. */
  low: number
  high: number
  /** Content of a length-delimited field: a view, nothing copied. */
  bytes: Uint8Array
}

/** Walks the fields of one message; every read is checked against the end before it happens. */
class Cursor {
  readonly bytes: Uint8Array
  offset = 0
  low = 0
  high = 0
  reason = ""

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
  }

  /** Reads a varint of at most 64 bits into `low` and `high`; false and a reason where there is none. */
  varint(): boolean {
    this.low = 0
    this.high = 0
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = this.bytes[this.offset]
      if (byte === undefined) return this.failed("the varint is cut off")
      this.offset += 1
      const bits = byte & 0x7f
      if (shift < 28) this.low |= bits << shift
      else if (shift === 28) {
        this.low |= bits << 28
        this.high = bits >>> 4
      } else if (shift < 63) this.high |= bits << (shift - 32)
      else if (byte > 1) return this.failed("the varint is longer than 64 bits")
      else this.high |= bits << 31
      if (byte < 0x80) {
        this.low >>>= 0
        this.high >>>= 0
        return true
      }
    }
    return this.failed("the varint is longer than 64 bits")
  }

  skip(count: number): boolean {
    if (count > this.bytes.length - this.offset) {
      return this.failed(`${count} bytes announced, ${this.bytes.length - this.offset} left`)
    }
    this.offset += count
    return true
  }

  failed(reason: string): false {
    this.reason = reason
    return false
  }
}

/** Reads one tag and its value into `field`; views for length-delimited ones. */
const readField = (cursor: Cursor, field: WireField): boolean => {
  if (!cursor.varint()) return false
  // A tag is a varint of 32 bits: 29 bits of field number and 3 of wire type.
  if (cursor.high !== 0) return cursor.failed("the tag is longer than 32 bits")
  field.number = cursor.low >>> 3
  field.wireType = cursor.low & 7
  field.bytes = EMPTY
  if (field.number === 0) return cursor.failed("field number 0 does not exist")
  if (field.wireType === VARINT) {
    if (!cursor.varint()) return false
    field.low = cursor.low
    field.high = cursor.high
    return true
  }
  if (field.wireType === LENGTH_DELIMITED) {
    if (!cursor.varint()) return false
    const start = cursor.offset
    if (!cursor.skip(cursor.high * 0x1_0000_0000 + cursor.low)) return false
    field.bytes = cursor.bytes.subarray(start, cursor.offset)
    return true
  }
  if (field.wireType === FIXED64) return cursor.skip(8)
  if (field.wireType === FIXED32) return cursor.skip(4)
  if (field.wireType === START_GROUP) return skipGroup(cursor, field.number)
  return cursor.failed(`wire type ${field.wireType} where a field begins`)
}

const skipGroup = (cursor: Cursor, number: number): boolean => {
  const open = [number]
  const inner: WireField = { number: 0, wireType: 0, low: 0, high: 0, bytes: EMPTY }
  while (open.length > 0) {
    const tagAt = cursor.offset
    if (!cursor.varint()) return false
    const wireType = cursor.low & 7
    const inside = cursor.low >>> 3
    if (wireType === END_GROUP) {
      if (open.pop() !== inside) return cursor.failed("a group ends that is not open")
    } else if (wireType === START_GROUP) {
      if (open.length === MAX_GROUP_DEPTH) return cursor.failed("groups are nested too deeply")
      open.push(inside)
    } else {
      cursor.offset = tagAt
      if (!readField(cursor, inner)) return false
    }
  }
  return true
}

/**
 * Calls `visit` with every field of `bytes`, in wire order, unknown ones included.
 *
 * `visit` returns undefined, or the reason why the field is invalid. Fails: `MalformedFlightMessage`,
 * also for truncated or overlong input.
 */
export const readFields = (
  messageName: string,
  bytes: Uint8Array,
  visit: (field: WireField) => string | undefined
): Result.Result<void, MalformedFlightMessage> => {
  const cursor = new Cursor(bytes)
  const field: WireField = { number: 0, wireType: 0, low: 0, high: 0, bytes: EMPTY }
  while (cursor.offset < bytes.length) {
    const offset = cursor.offset
    const reason = readField(cursor, field) ? visit(field) : cursor.reason
    if (reason !== undefined) return Result.fail(new MalformedFlightMessage({ messageName, offset, reason }))
  }
  return Result.succeed(undefined)
}

/** Why `field` is not of the wire type of its definition; undefined when it is. */
export const expectWireType = (field: WireField, wireType: number): string | undefined =>
  field.wireType === wireType
    ? undefined
    : `field ${field.number} has wire type ${field.wireType} instead of ${wireType}`

/** The value of a varint field as a signed 64-bit integer. */
export const int64Of = (field: WireField): bigint => BigInt.asIntN(64, (BigInt(field.high) << 32n) | BigInt(field.low))

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

/** The text of a string field; fails where the bytes are not UTF-8, as protobuf requires. */
export const textOf = (bytes: Uint8Array): Result.Result<string, string> =>
  Result.try({ try: () => UTF8.decode(bytes), catch: () => "the string is not UTF-8" })
