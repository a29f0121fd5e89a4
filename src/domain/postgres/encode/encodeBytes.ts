/** Writers of text and binary columns. */
import { viewOf } from "../../arrow/ColumnBatch.ts"
import { byteValues } from "./byteValues.ts"
import { checkText } from "./checkText.ts"
import { copyBytes } from "./copyBytes.ts"
import { boundOf, type MakeWriter, type Output, withNulls } from "./FieldWriter.ts"

/** Writes binary of any layout as `bytea`. Source: PostgreSQL, utils/adt/varlena.c, `bytearecv`. */
export const byteaWriter: MakeWriter = (column) => {
  const { bytesOf, lengthOf, sourceOf, startOf } = byteValues(column)
  return withNulls(column, {
    bound: (from, to) => 4 * (to - from) + bytesOf(from, to),
    write: (out, at, row) => {
      const length = lengthOf(row)
      out.view.setInt32(at, length)
      return copyBytes(out, at + 4, sourceOf(row), startOf(row), length)
    }
  })
}

/** Writes binary of one width as `bytea`. */
export const fixedByteaWriter = (width: number): MakeWriter => (column) => {
  const source = viewOf(column.buffers[0]!)
  return withNulls(column, {
    bound: boundOf(4 + width),
    write: (out, at, row) => {
      out.view.setInt32(at, width)
      return copyBytes(out, at + 4, source, row * width, width)
    }
  })
}

/** Writes UTF-8 of any layout as `text`. Source: PostgreSQL, utils/adt/varlena.c, `textrecv`. */
export const textWriter: MakeWriter = (column, { textNul }) => {
  const { bytesOf, lengthOf, sourceOf, startOf } = byteValues(column)
  const replace = textNul === "replace"
  const growth = replace ? REPLACEMENT.length : 1
  return withNulls(column, {
    bound: (from, to) => 4 * (to - from) + growth * bytesOf(from, to),
    write: (out, at, row) => {
      const source = sourceOf(row)
      const start = startOf(row)
      const length = lengthOf(row)
      const nuls = checkText(source, start, length, replace)
      out.view.setInt32(at, length + nuls * (REPLACEMENT.length - 1))
      return nuls === 0
        ? copyBytes(out, at + 4, source, start, length)
        : copyReplacingNul(out, at + 4, source, start, length)
    }
  })
}

/** U+FFFD, the replacement character, in UTF-8. */
export const REPLACEMENT: ReadonlyArray<number> = [0xef, 0xbf, 0xbd]

const copyReplacingNul = (out: Output, at: number, source: DataView, start: number, length: number): number => {
  let end = at
  for (let offset = start; offset < start + length; offset++) {
    const byte = source.getUint8(offset)
    if (byte === 0) {
      for (const part of REPLACEMENT) out.bytes[end++] = part
    } else {
      out.bytes[end++] = byte
    }
  }
  return end
}
