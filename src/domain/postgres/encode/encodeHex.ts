import { byteValues } from "./byteValues.ts"
import { type MakeWriter, withNulls } from "./FieldWriter.ts"

/** The two hexadecimal digits of each byte, as one big-endian word. */
const pairs = Uint16Array.from({ length: 256 }, (_, byte) => {
  const digits = byte.toString(16).padStart(2, "0")
  return (digits.charCodeAt(0) << 8) | digits.charCodeAt(1)
})

/** `0x` */
const PREFIX = 0x3078

/** Writes binary of any layout as `text`: `0x` and two lower-case hexadecimal digits per byte, as in JSONB. */
export const hexWriter: MakeWriter = (column) => {
  const { bytesOf, lengthOf, sourceOf, startOf } = byteValues(column)
  return withNulls(column, {
    bound: (from, to) => 6 * (to - from) + 2 * bytesOf(from, to),
    write: (out, at, row) => {
      const [source, start, length] = [sourceOf(row), startOf(row), lengthOf(row)]
      out.view.setInt32(at, 2 + 2 * length)
      out.view.setUint16(at + 4, PREFIX)
      for (let byte = 0; byte < length; byte++) {
        out.view.setUint16(at + 6 + 2 * byte, pairs[source.getUint8(start + byte)]!)
      }
      return at + 6 + 2 * length
    }
  })
}
