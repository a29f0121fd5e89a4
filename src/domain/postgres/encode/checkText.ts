import { rejectValue } from "./FieldWriter.ts"

/**
 * Rejects bytes that are not valid UTF-8 for PostgreSQL, and NUL unless `allowNul`.
 *
 * Returns how many NUL characters there are. Source: PostgreSQL, common/wchar.c, `pg_utf8_islegal` (RFC 3629).
 */
export const checkText = (source: DataView, start: number, length: number, allowNul: boolean): number => {
  const end = start + length
  let nuls = 0
  let at = start
  while (at < end) {
    const byte = source.getUint8(at)
    if (byte !== 0 && byte < 0x80) {
      at += 1
    } else if (byte === 0) {
      if (!allowNul) rejectValue("it contains a NUL character, which PostgreSQL cannot store in a text")
      nuls += 1
      at += 1
    } else {
      at += sequenceLength(source, at, end)
    }
  }
  return nuls
}

/** Length of the multi-byte character at `at`. */
const sequenceLength = (source: DataView, at: number, end: number): number => {
  const lead = source.getUint8(at)
  const length = lead >= 0xc2 && lead <= 0xdf
    ? 2
    : lead >= 0xe0 && lead <= 0xef
    ? 3
    : lead >= 0xf0 && lead <= 0xf4
    ? 4
    : 0
  if (length === 0 || at + length > end) return rejectValue("it is not valid UTF-8")
  const second = source.getUint8(at + 1)
  // The second byte distinguishes overlong forms, surrogates and characters above U+10FFFF from valid ones.
  const low = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80
  const high = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf
  if (second < low || second > high) rejectValue("it is not valid UTF-8")
  for (let rest = at + 2; rest < at + length; rest++) {
    if ((source.getUint8(rest) & 0xc0) !== 0x80) rejectValue("it is not valid UTF-8")
  }
  return length
}
