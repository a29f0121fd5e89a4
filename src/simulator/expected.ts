/**
 * The expected content of PostgreSQL when a row was stored without loss: the text of `column::text`, under UTC.
 *
 * Derived from the mapping of types and PostgreSQL's output functions, not from the encoder: the two are compared.
 * One exception: JSONB is rendered as canonical JSON (keys sorted, no spaces); bring PostgreSQL's text into the same form with
 * `canonicalJson` before comparing.
 */
import type { ArrowField, ArrowType } from "../domain/arrow/ArrowSchema.ts"
import type { Chain, PlainRow } from "./Chain.ts"
import type { PlainValue } from "./columns.ts"
import { fieldsOf, type TableName, TABLES } from "./tables.ts"

/** Column name -> text, null as null. */
export type ExpectedRow = Readonly<Record<string, string | null>>

const hex = (bytes: Uint8Array): string => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("hex")

const pad = (value: number | bigint, digits: number): string => value.toString().padStart(digits, "0")

/** `2025-01-02 03:04:05.123456+00`: nanoseconds floored to microseconds, trailing zeros of the fraction left out. */
export const renderTimestamp = (nanoseconds: bigint, withTimezone = true): string => {
  const nanosOfSecond = ((nanoseconds % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n
  const date = new Date(Number((nanoseconds - nanosOfSecond) / 1_000_000n))
  const day = `${pad(date.getUTCFullYear(), 4)}-${pad(date.getUTCMonth() + 1, 2)}-${pad(date.getUTCDate(), 2)}`
  const time = `${pad(date.getUTCHours(), 2)}:${pad(date.getUTCMinutes(), 2)}:${pad(date.getUTCSeconds(), 2)}`
  const fraction = pad(nanosOfSecond / 1000n, 6).replace(/0+$/, "")
  return `${day} ${time}${fraction === "" ? "" : `.${fraction}`}${withTimezone ? "+00" : ""}`
}

/** A list of these becomes an array; a list of anything else becomes JSONB. */
const isScalar = (type: ArrowType): boolean => type.kind !== "list" && type.kind !== "struct" && type.kind !== "map"

/** An array element as `array_out` writes it: quoted where it contains characters of the array syntax. */
const arrayElement = (text: string | null): string => {
  if (text === null) return "NULL"
  if (text !== "" && !/[{},"\\\s]/.test(text) && text.toUpperCase() !== "NULL") return text
  return `"${text.replaceAll(/["\\]/g, (special) => `\\${special}`)}"`
}

const unexpected = (type: ArrowType): never => {
  throw new Error(`a value does not belong to a column of type ${type.kind}`)
}

/** `value` as `value::text` prints it. */
export const renderValue = (type: ArrowType, value: PlainValue): string | null => {
  if (value === null) return null
  if (type.kind === "timestamp") {
    return typeof value === "bigint" ? renderTimestamp(value, type.timezone !== undefined) : unexpected(type)
  }
  if (value instanceof Uint8Array) return `\\x${hex(value)}`
  if (typeof value !== "object") return value.toString()
  if (type.kind === "list" && isScalar(type.item.type)) {
    const { item } = type
    return Array.isArray(value)
      ? `{${value.map((element: PlainValue) => arrayElement(renderValue(item.type, element))).join(",")}}`
      : unexpected(type)
  }
  return renderJson(type, value)
}

/** Nested values as canonical JSON: binary as "0x..", integers as bare digits whatever their size. */
const renderJson = (type: ArrowType, value: PlainValue): string => {
  if (value === null) return "null"
  if (value instanceof Uint8Array) return `"0x${hex(value)}"`
  if (typeof value === "string") return JSON.stringify(value)
  if (typeof value !== "object") return value.toString()
  if (type.kind === "list" && Array.isArray(value)) {
    return `[${value.map((element: PlainValue) => renderJson(type.item.type, element)).join(",")}]`
  }
  if (type.kind === "struct") {
    const struct = value as { readonly [field: string]: PlainValue }
    const members = type.fields.map((field) =>
      [field.name, renderJson(field.type, struct[field.name] ?? null)] as const
    )
    return `{${members.toSorted(([a], [b]) => a < b ? -1 : 1).map(([k, v]) => `${JSON.stringify(k)}:${v}`).join(",")}}`
  }
  return unexpected(type)
}

/** One canonical row as PostgreSQL stores it. */
const renderRow = (fields: ReadonlyArray<ArrowField>, row: PlainRow): ExpectedRow =>
  Object.fromEntries(fields.map(({ name, type }) => [name, renderValue(type, row[name] ?? null)]))

/** The canonical rows of blocks `from` to `to`, both inclusive, as PostgreSQL stores them. */
export function* expectedRows(chain: Chain, table: TableName, from = 0n, to = chain.tip): Generator<ExpectedRow> {
  const fields = fieldsOf(TABLES[chain.dialect][table])
  for (const row of chain.rows(table, from, to)) yield renderRow(fields, row)
}
