import type { ArrowField, ArrowSchema, ArrowType, TimeUnit } from "./ArrowSchema.ts"
import type { FlatTable } from "./flatbuffer.ts"
import { reject } from "./MalformedArrow.ts"

/** Reads the table of a schema message. Source: Apache Arrow, format/Schema.fbs. */
export const readSchema = (table: FlatTable): ArrowSchema => {
  if (table.int16(0, 0) !== 0) reject("it is big-endian, and only little-endian is read")
  // Tables may share their children, so a small hostile message could describe more fields than memory holds.
  const budget = { fields: table.view.byteLength >> 2 }
  return { fields: table.tables(1).map((field) => readField(field, 1, budget)) }
}

const MAX_DEPTH = 64

const readField = (field: FlatTable, depth: number, budget: { fields: number }): ArrowField => {
  if (depth > MAX_DEPTH) reject(`a field is nested more than ${MAX_DEPTH} levels deep`)
  budget.fields -= 1
  if (budget.fields < 0) reject("the schema describes more fields than it has bytes for")
  const name = field.string(0) ?? ""
  const children = field.tables(5).map((child) => readField(child, depth + 1, budget))
  const value = readType(field, children, name)
  const encoding = field.table(4)
  const type = encoding === undefined ? value : dictionaryOf(encoding, value, name)
  return { name, type, nullable: field.bool(1) }
}

const dictionaryOf = (encoding: FlatTable, value: ArrowType, name: string): ArrowType => {
  if (encoding.int16(3, 0) !== 0) reject(`the dictionary of field ${quoted(name)} is of an unknown kind`)
  const indexType = encoding.table(1)
  const index = indexType === undefined ? ({ kind: "int", bits: 32, signed: true } as const) : intOf(indexType, name)
  return { kind: "dictionary", id: encoding.bigint64(0), index, value }
}

/** The logical type of a field: the union `Type` of Schema.fbs, whose members are counted from 1. */
const readType = (field: FlatTable, children: ReadonlyArray<ArrowField>, name: string): ArrowType => {
  const id = field.uint8(2, 0)
  const table = field.table(3) ?? reject(`field ${quoted(name)} has no type`)
  const read = readers[id] ?? reject(`field ${quoted(name)} has the unknown type ${id}`)
  return read(table, children, name)
}

type ReadType = (table: FlatTable, children: ReadonlyArray<ArrowField>, name: string) => ArrowType

const timeUnits: ReadonlyArray<TimeUnit> = ["second", "millisecond", "microsecond", "nanosecond"]

const quoted = (name: string) => JSON.stringify(name)

const pick = <A>(values: ReadonlyArray<A>, index: number, name: string): A =>
  values[index] ?? reject(`field ${quoted(name)} has a type with an unknown parameter (${index})`)

const only = <A extends number>(values: ReadonlyArray<A>, value: number, name: string): A =>
  values.find((allowed) => allowed === value)
    ?? reject(`field ${quoted(name)} has a type with an unknown parameter (${value})`)

const childrenOf = (count: number, children: ReadonlyArray<ArrowField>, name: string): ReadonlyArray<ArrowField> =>
  children.length === count ? children : reject(`field ${quoted(name)} has ${children.length} children, not ${count}`)

const onlyChild = (children: ReadonlyArray<ArrowField>, name: string): ArrowField => {
  const [child] = childrenOf(1, children, name)
  return child!
}

const intOf = (table: FlatTable, name: string) =>
  ({ kind: "int", bits: only([8, 16, 32, 64] as const, table.int32(0, 0), name), signed: table.bool(1) }) as const

const decimalOf: ReadType = (table, _, name) => {
  const bits = only([32, 64, 128, 256] as const, table.int32(2, 128), name)
  const precision = table.int32(0, 0)
  const scale = table.int32(1, 0)
  const fits = precision >= 1 && precision <= maxPrecision[bits] && Math.abs(scale) <= MAX_SCALE
  return fits
    ? { kind: "decimal", bits, precision, scale }
    : reject(`field ${quoted(name)} is a decimal of precision ${precision} and scale ${scale}`)
}

const maxPrecision = { 32: 9, 64: 18, 128: 38, 256: 76 } as const

// The C++ and Rust libraries keep the scale in 32 and 8 bits; what PostgreSQL can hold is a matter of the column type.
const MAX_SCALE = 100_000

const timeOf: ReadType = (table, _, name) => {
  const unit = pick(timeUnits, table.int16(0, 1), name)
  const bits = only([32, 64] as const, table.int32(1, 32), name)
  const fits = (bits === 32) === (unit === "second" || unit === "millisecond")
  return fits ? { kind: "time", bits, unit } : reject(`field ${quoted(name)} is a Time${bits} in ${unit}s`)
}

const unionOf: ReadType = (table, fields, name) => {
  const { start, count } = table.vector(1, 4)
  const typeIds = table.has(1)
    ? Array.from({ length: count }, (_, index) => table.view.getInt32(start + 4 * index, true))
    : fields.map((_, index) => index)
  const distinct = new Set(typeIds).size === typeIds.length && typeIds.every((id) => id >= 0 && id <= 127)
  if (!distinct || typeIds.length !== fields.length) {
    reject(`the members of the union ${quoted(name)} do not fit their ids`)
  }
  return { kind: "union", mode: pick(["sparse", "dense"] as const, table.int16(0, 0), name), typeIds, fields }
}

const mapOf: ReadType = (table, children, name) => {
  const entries = onlyChild(children, name)
  const [key, value] = entries.type.kind === "struct" ? childrenOf(2, entries.type.fields, name) : []
  return key === undefined || value === undefined
    ? reject(`the entries of the map ${quoted(name)} are no struct`)
    : { kind: "map", key, value, keysSorted: table.bool(0) }
}

const runEndEncodedOf: ReadType = (_, children, name) => {
  const [runEnds, values] = childrenOf(2, children, name)
  const fits = runEnds!.type.kind === "int" && runEnds!.type.signed && runEnds!.type.bits > 8
  return fits
    ? { kind: "runEndEncoded", runEnds: runEnds!, values: values! }
    : reject(`the run ends of field ${quoted(name)} are no signed integers of 16 bits or more`)
}

const sizeOf = (table: FlatTable, name: string): number => {
  const size = table.int32(0, 0)
  return size >= 0 ? size : reject(`field ${quoted(name)} has a negative size`)
}

const readers: Readonly<Record<number, ReadType>> = {
  1: () => ({ kind: "null" }),
  2: (table, _, name) => intOf(table, name),
  3: (table, _, name) => ({ kind: "float", bits: pick([16, 32, 64] as const, table.int16(0, 0), name) }),
  4: () => ({ kind: "binary", offsets: 32 }),
  5: () => ({ kind: "utf8", offsets: 32 }),
  6: () => ({ kind: "bool" }),
  7: decimalOf,
  8: (table, _, name) => ({ kind: "date", unit: pick(["day", "millisecond"] as const, table.int16(0, 1), name) }),
  9: timeOf,
  10: (table, _, name) => ({
    kind: "timestamp",
    unit: pick(timeUnits, table.int16(0, 0), name),
    // arrow-rs and C++ both take an empty zone for none.
    timezone: table.string(1) || undefined
  }),
  11: (table, _, name) => ({
    kind: "interval",
    unit: pick(["yearMonth", "dayTime", "monthDayNano"] as const, table.int16(0, 0), name)
  }),
  12: (_, children, name) => ({ kind: "list", offsets: 32, item: onlyChild(children, name) }),
  13: (_, fields) => ({ kind: "struct", fields }),
  14: unionOf,
  15: (table, _, name) => ({ kind: "fixedSizeBinary", width: sizeOf(table, name) }),
  16: (table, children, name) => ({
    kind: "fixedSizeList",
    size: sizeOf(table, name),
    item: onlyChild(children, name)
  }),
  17: mapOf,
  18: (table, _, name) => ({ kind: "duration", unit: pick(timeUnits, table.int16(0, 1), name) }),
  19: () => ({ kind: "binary", offsets: 64 }),
  20: () => ({ kind: "utf8", offsets: 64 }),
  21: (_, children, name) => ({ kind: "list", offsets: 64, item: onlyChild(children, name) }),
  22: runEndEncodedOf,
  23: () => ({ kind: "binary", offsets: "view" }),
  24: () => ({ kind: "utf8", offsets: "view" }),
  25: (_, children, name) => ({ kind: "list", offsets: "view32", item: onlyChild(children, name) }),
  26: (_, children, name) => ({ kind: "list", offsets: "view64", item: onlyChild(children, name) })
}
