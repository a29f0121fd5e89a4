/** JSON writers of lists, structs, unions and maps. */
import type { ArrowField, ArrowType } from "../../arrow/ArrowSchema.ts"
import type { FieldWriter, MakeWriter, Output } from "./FieldWriter.ts"
import { rejectValue } from "./FieldWriter.ts"
import { unionValues } from "./indirectValues.ts"
import { withJsonNulls } from "./jsonText.ts"
import { listValues } from "./listValues.ts"

const [QUOTE, COMMA, COLON, N] = [0x22, 0x2c, 0x3a, 0x6e]
const [OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = [0x5b, 0x5d, 0x7b, 0x7d]

/** Writes lists of any layout as JSON arrays. */
export const jsonListWriter = (makeItem: MakeWriter): MakeWriter => (column, options) => {
  const lists = listValues(column)
  const item = makeItem(column.children[0]!, options)
  const boundOfItems = (from: number, to: number) => to - from + item.bound(from, to)
  return withJsonNulls(column, {
    bound: (from, to) => 2 * (to - from) + lists.bound(from, to, boundOfItems),
    write: (out, at, row) => {
      const start = lists.startOf(row)
      const stop = start + lists.sizeOf(row)
      let end = at
      out.bytes[end++] = OPEN_LIST
      for (let index = start; index < stop; index++) {
        if (index > start) out.bytes[end++] = COMMA
        end = item.write(out, end, index)
      }
      out.bytes[end++] = CLOSE_LIST
      return end
    }
  })
}

/** `"name":` in UTF-8. */
const keyBytes = (field: ArrowField): Uint8Array => new TextEncoder().encode(`${JSON.stringify(field.name)}:`)

const writeBytes = (out: Output, at: number, bytes: Uint8Array): number => {
  out.bytes.set(bytes, at)
  return at + bytes.length
}

/** Writes structs as JSON objects. */
export const jsonStructWriter = (
  fields: ReadonlyArray<ArrowField>,
  makeFields: ReadonlyArray<MakeWriter>
): MakeWriter => {
  const keys = fields.map(keyBytes)
  const overhead = 2 + keys.reduce((sum, key) => sum + key.length + 1, 0)
  return (column, options) => {
    const members = makeFields.map((make, index) => make(column.children[index]!, options))
    return withJsonNulls(column, {
      bound: (from, to) => members.reduce((sum, member) => sum + member.bound(from, to), overhead * (to - from)),
      write: (out, at, row) => {
        let end = at
        out.bytes[end++] = OPEN_OBJECT
        for (let index = 0; index < members.length; index++) {
          if (index > 0) out.bytes[end++] = COMMA
          end = writeBytes(out, end, keys[index]!)
          end = members[index]!.write(out, end, row)
        }
        out.bytes[end++] = CLOSE_OBJECT
        return end
      }
    })
  }
}

/** Writes unions as an object of one key, the member's name, so that the member is not lost. */
export const jsonUnionWriter = (
  fields: ReadonlyArray<ArrowField>,
  makeMembers: ReadonlyArray<MakeWriter>
): MakeWriter => {
  const keys = fields.map(keyBytes)
  return (column, options): FieldWriter => {
    const members = makeMembers.map((make, index) => make(column.children[index]!, options))
    const { memberOf, rowOf } = unionValues(column)
    return {
      bound: (from, to) => {
        let bytes = 0
        for (let row = from; row < to; row++) {
          const member = memberOf(row)
          bytes += 2 + keys[member]!.length + members[member]!.bound(rowOf(row), rowOf(row) + 1)
        }
        return bytes
      },
      write: (out, at, row) => {
        const member = memberOf(row)
        out.bytes[at] = OPEN_OBJECT
        let end = writeBytes(out, at + 1, keys[member]!)
        end = members[member]!.write(out, end, rowOf(row))
        out.bytes[end] = CLOSE_OBJECT
        return end + 1
      }
    }
  }
}

/** Writes maps as JSON objects. Fails: a null key, or a key that comes twice, of which JSONB would keep only the last. */
export const jsonMapWriter = (makeKey: MakeWriter, makeValue: MakeWriter): MakeWriter => (column, options) => {
  const entries = listValues(column)
  const key = makeKey(column.children[0]!, options)
  const value = makeValue(column.children[1]!, options)
  const boundOfEntries = (from: number, to: number) => 4 * (to - from) + key.bound(from, to) + value.bound(from, to)
  return withJsonNulls(column, {
    bound: (from, to) => 2 * (to - from) + entries.bound(from, to, boundOfEntries),
    write: (out, at, row) => {
      const start = entries.startOf(row)
      const stop = start + entries.sizeOf(row)
      const seen = new Set<string>()
      let end = at
      out.bytes[end++] = OPEN_OBJECT
      for (let entry = start; entry < stop; entry++) {
        if (entry > start) out.bytes[end++] = COMMA
        const keyEnd = writeKey(out, end, key, entry)
        seen.add(asciiOf(out.bytes, end, keyEnd))
        out.bytes[keyEnd] = COLON
        end = value.write(out, keyEnd + 1, entry)
      }
      if (seen.size < stop - start) rejectValue("it is a map in which a key comes twice")
      out.bytes[end++] = CLOSE_OBJECT
      return end
    }
  })
}

/** Numbers and booleans become the string of their JSON, because a key must be a string. */
const writeKey = (out: Output, at: number, key: FieldWriter, row: number): number => {
  const end = key.write(out, at + 1, row)
  const first = out.bytes[at + 1]
  if (first === N) rejectValue("it is a map with a key that is null")
  if (first === QUOTE) {
    out.bytes.copyWithin(at, at + 1, end)
    return end - 1
  }
  out.bytes[at] = QUOTE
  out.bytes[end] = QUOTE
  return end + 1
}

const asciiOf = (bytes: Uint8Array, from: number, to: number): string => {
  let text = ""
  for (let at = from; at < to; at++) text += String.fromCharCode(bytes[at]!)
  return text
}

/** Whether a map's key, after its dictionary is resolved, can become the key of a JSON object. */
export const isScalarKey = (type: ArrowType): boolean =>
  type.kind === "dictionary" ? isScalarKey(type.value) : !nestedKinds.has(type.kind)

const nestedKinds: ReadonlySet<ArrowType["kind"]> = new Set([
  "null",
  "list",
  "fixedSizeList",
  "struct",
  "map",
  "union",
  "runEndEncoded"
])
