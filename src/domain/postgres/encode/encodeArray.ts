import { type MakeWriter, withNulls } from "./FieldWriter.ts"
import { listValues } from "./listValues.ts"

const HEADER_BYTES = 12
const DIMENSION_BYTES = 8

/**
 * Writes lists of scalars as one-dimensional arrays.
 *
 * Shape: int32 dimensions (0 when empty, else 1), int32 1 if there is a NULL, int32 element type, then int32 count and int32
 * lower bound 1, then the elements as fields. Source: PostgreSQL, utils/adt/arrayfuncs.c, `array_recv`.
 */
export const arrayWriter = (elementOid: number, makeElement: MakeWriter): MakeWriter => (column, options) => {
  const lists = listValues(column)
  const element = makeElement(column.children[0]!, options)
  const overhead = 4 + HEADER_BYTES + DIMENSION_BYTES
  return withNulls(column, {
    bound: (from, to) => (to - from) * overhead + lists.bound(from, to, element.bound),
    write: (out, at, row) => {
      const { view } = out
      const start = lists.startOf(row)
      const size = lists.sizeOf(row)
      view.setInt32(at + 4, size === 0 ? 0 : 1)
      view.setInt32(at + 12, elementOid)
      let end = at + 4 + HEADER_BYTES
      let nulls = 0
      if (size > 0) {
        view.setInt32(end, size)
        view.setInt32(end + 4, 1)
        end += DIMENSION_BYTES
        for (let item = start; item < start + size; item++) {
          const next = element.write(out, end, item)
          if (view.getInt32(end) === -1) nulls = 1
          end = next
        }
      }
      view.setInt32(at + 8, nulls)
      view.setInt32(at, end - at - 4)
      return end
    }
  })
}
