/** Writes the parts of JSON text: null, strings, hexadecimal digits. */
import { type Column, isNull } from "../../arrow/ColumnBatch.ts"
import { REPLACEMENT } from "./encodeBytes.ts"
import type { FieldWriter, Output } from "./FieldWriter.ts"

/** Writes text of ASCII characters alone. */
export const writeAscii = (out: Output, at: number, text: string): number => {
  for (let index = 0; index < text.length; index++) out.bytes[at + index] = text.charCodeAt(index)
  return at + text.length
}

export const writeJsonNull = (out: Output, at: number): number => writeAscii(out, at, "null")

/** Writes `null` where the column's bitmap has it; `writer` is called for present rows only. */
export const withJsonNulls = (column: Column, writer: FieldWriter): FieldWriter => {
  const { validity } = column
  if (validity === undefined) return writer
  return {
    bound: (from, to) => 4 * (to - from) + writer.bound(from, to),
    write: (out, at, row) => isNull(validity, row) ? writeJsonNull(out, at) : writer.write(out, at, row)
  }
}

const HEX = new TextEncoder().encode("0123456789abcdef")
const QUOTE = 0x22
const BACKSLASH = 0x5c

/** The most bytes that one character takes in a JSON string: `\u001f`. */
export const ESCAPED_BYTES = 6

/** Writes `"0x..."`, lower case. */
export const writeHex = (out: Output, at: number, source: DataView, start: number, length: number): number => {
  const { bytes } = out
  let end = writeAscii(out, at, "\"0x")
  for (let offset = start; offset < start + length; offset++) {
    const byte = source.getUint8(offset)
    bytes[end++] = HEX[byte >> 4]!
    bytes[end++] = HEX[byte & 15]!
  }
  bytes[end++] = QUOTE
  return end
}

/**
 * Writes checked UTF-8 as a JSON string; NUL, where it is allowed, as U+FFFD.
 *
 * Equal strings become equal bytes: keys of a map are compared by them.
 */
export const writeString = (out: Output, at: number, source: DataView, start: number, length: number): number => {
  const { bytes } = out
  let end = at
  bytes[end++] = QUOTE
  for (let offset = start; offset < start + length; offset++) {
    const byte = source.getUint8(offset)
    if (byte >= 0x20 && byte !== QUOTE && byte !== BACKSLASH) {
      bytes[end++] = byte
    } else if (byte === QUOTE || byte === BACKSLASH) {
      bytes[end++] = BACKSLASH
      bytes[end++] = byte
    } else if (byte === 0) {
      for (const part of REPLACEMENT) bytes[end++] = part
    } else {
      end = writeAscii(out, end, `\\u00${byte.toString(16).padStart(2, "0")}`)
    }
  }
  bytes[end++] = QUOTE
  return end
}
