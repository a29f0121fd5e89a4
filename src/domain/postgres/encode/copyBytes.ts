import type { Output } from "./FieldWriter.ts"

// Below this many bytes a loop of 32-bit words beats the call of a built-in copy (8-16 against 93 ns for 32 bytes).
const WORD_LOOP_MAX_BYTES = 192

/** Copies `length` bytes of `source` from `start` into `out` at `at`; neither side needs to be aligned. */
export const copyBytes = (out: Output, at: number, source: DataView, start: number, length: number): number => {
  if (length > WORD_LOOP_MAX_BYTES) {
    out.bytes.set(new Uint8Array(source.buffer, source.byteOffset + start, length), at)
    return at + length
  }
  const { view } = out
  const words = length & ~15
  let offset = 0
  for (; offset < words; offset += 16) {
    view.setInt32(at + offset, source.getInt32(start + offset, true), true)
    view.setInt32(at + offset + 4, source.getInt32(start + offset + 4, true), true)
    view.setInt32(at + offset + 8, source.getInt32(start + offset + 8, true), true)
    view.setInt32(at + offset + 12, source.getInt32(start + offset + 12, true), true)
  }
  for (; offset + 4 <= length; offset += 4) view.setInt32(at + offset, source.getInt32(start + offset, true), true)
  for (; offset < length; offset++) view.setUint8(at + offset, source.getUint8(start + offset))
  return at + length
}
