import type { ArrowType } from "../domain/arrow/ArrowSchema.ts"
import type { Column, PlainValue } from "./columns.ts"

const notOf = (type: ArrowType): never => {
  throw new Error(`a value does not belong to a column of type ${type.kind}`)
}

const TEXT = new TextEncoder()

/** Appends one value to a column of `type`: the opposite of `valueAt`. A null is stored as zeros, or as nothing. */
export const appendValue = (type: ArrowType, column: Column, value: PlainValue): void => {
  if (column.present !== undefined) {
    const at = column.present.reserve(1)
    column.present.bytes[at] = value === null ? 0 : 1
  } else if (value === null) return notOf(type)
  if (column.kind === "fixed") appendFixed(type, column, value)
  else if (column.kind === "bool") {
    const at = column.values.reserve(1)
    column.values.bytes[at] = value === true ? 1 : 0
  } else if (column.kind === "varying") {
    const bytes = typeof value === "string" ? TEXT.encode(value) : value ?? new Uint8Array(0)
    if (!(bytes instanceof Uint8Array)) return notOf(type)
    const at = column.values.reserve(bytes.length)
    column.values.bytes.set(bytes, at)
    column.offsets.push(bytes.length)
  } else if (column.kind === "list") {
    const items: ReadonlyArray<PlainValue> = Array.isArray(value) ? value : []
    for (const item of items) appendValue(type.kind === "list" ? type.item.type : notOf(type), column.item, item)
    column.offsets.push(items.length)
  } else {
    const struct = value as { readonly [field: string]: PlainValue } | null
    const fields = type.kind === "struct" ? type.fields : notOf(type)
    fields.forEach(({ name, type }, i) => appendValue(type, column.fields[i]!, struct?.[name] ?? null))
  }
}

const appendFixed = (type: ArrowType, column: Extract<Column, { kind: "fixed" }>, value: PlainValue): void => {
  const { values, width } = column
  const at = values.reserve(width)
  if (value === null) values.bytes.fill(0, at, at + width)
  else if (value instanceof Uint8Array) values.bytes.set(value, at)
  else if (typeof value === "bigint" || typeof value === "number") {
    // Two's complement, little endian, of any width.
    let rest = BigInt(value)
    for (let byte = at; byte < at + width; byte += 1, rest >>= 8n) values.bytes[byte] = Number(rest & 0xffn)
  } else notOf(type)
}
