/** Reads Arrow schemas from the JSON of the Admin API. */
import { Data } from "effect"
import * as Result from "effect/Result"
import type { ArrowField, ArrowSchema, ArrowType, TimeUnit } from "./ArrowSchema.ts"

/** A field of the Admin API with an unknown type. `field` is the path to it, such as `access_list.item`. */
export class UnknownArrowType extends Data.TaggedError("UnknownArrowType")<{
  readonly field: string
  readonly reason: string
}> {
  override get message() {
    return `the Admin API describes the column ${
      JSON.stringify(this.field)
    } in a way that is not understood: ${this.reason}`
  }
}

/**
 * Reads the `fields` of a table's Arrow schema from the Admin API.
 *
 * Shape: a list of `{ name, type, nullable }`, nested fields with `data_type` instead of `type`; a type is either a
 * name or an object of one key. Fails: `UnknownArrowType` with the path to the first field that does not fit.
 * Source: serde of arrow-rs, arrow-schema/src/datatype.rs, `DataType` (versions 55 and 57).
 */
export const fieldsFromAdminJson = (fields: unknown): Result.Result<ArrowSchema, UnknownArrowType> =>
  Result.gen(function*() {
    if (!Array.isArray(fields)) return yield* unknown("", "the list of fields is missing")
    const read: Array<ArrowField> = []
    for (const [index, field] of fields.entries()) read.push(yield* readField(field, "", `field ${index + 1}`))
    return { fields: read }
  })

type Read<A> = Result.Result<A, UnknownArrowType>

const unknown = (field: string, reason: string): Result.Result<never, UnknownArrowType> =>
  Result.fail(new UnknownArrowType({ field, reason }))

const readField = (json: unknown, parent: string, fallbackName: string): Read<ArrowField> =>
  Result.gen(function*() {
    const unnamed = join(parent, fallbackName)
    if (!isObject(json)) return yield* unknown(unnamed, `expected an object, found ${excerpt(json)}`)
    const name = json["name"]
    if (typeof name !== "string") return yield* unknown(unnamed, "it has no name")
    const path = join(parent, name)
    const nullable = json["nullable"]
    if (typeof nullable !== "boolean") return yield* unknown(path, "\"nullable\" is missing")
    const type = yield* readType("type" in json ? json["type"] : json["data_type"], path)
    return { name, type, nullable }
  })

/** Deeper than any real schema, and far from a stack overflow. */
const MAX_DEPTH = 64

const join = (parent: string, name: string): string => (parent === "" ? name : `${parent}.${name}`)

const readType = (json: unknown, path: string): Read<ArrowType> => {
  if (path.split(".").length > MAX_DEPTH) return unknown(path, `it is nested more than ${MAX_DEPTH} levels deep`)
  if (typeof json === "string") {
    const type = plainTypes.get(json)
    return type === undefined ? unknown(path, `there is no Arrow type ${excerpt(json)}`) : Result.succeed(type)
  }
  const [entry, ...more] = isObject(json) ? Object.entries(json) : []
  if (entry === undefined || more.length > 0) return unknown(path, `expected a type, found ${excerpt(json)}`)
  const [name, argument] = entry
  const read = parameterTypes.get(name)
  if (read === undefined) return unknown(path, `there is no Arrow type ${excerpt(name)}`)
  const type = read(argument, path)
  return type ?? unknown(path, `${excerpt(argument)} is no argument of ${name}`)
}

const int = (bits: 8 | 16 | 32 | 64, signed: boolean) => ({ kind: "int", bits, signed }) as const

const plainTypes: ReadonlyMap<string, ArrowType> = new Map<string, ArrowType>([
  ["Null", { kind: "null" }],
  ["Boolean", { kind: "bool" }],
  ["Int8", int(8, true)],
  ["Int16", int(16, true)],
  ["Int32", int(32, true)],
  ["Int64", int(64, true)],
  ["UInt8", int(8, false)],
  ["UInt16", int(16, false)],
  ["UInt32", int(32, false)],
  ["UInt64", int(64, false)],
  ["Float16", { kind: "float", bits: 16 }],
  ["Float32", { kind: "float", bits: 32 }],
  ["Float64", { kind: "float", bits: 64 }],
  ["Date32", { kind: "date", unit: "day" }],
  ["Date64", { kind: "date", unit: "millisecond" }],
  ["Binary", { kind: "binary", offsets: 32 }],
  ["LargeBinary", { kind: "binary", offsets: 64 }],
  ["BinaryView", { kind: "binary", offsets: "view" }],
  ["Utf8", { kind: "utf8", offsets: 32 }],
  ["LargeUtf8", { kind: "utf8", offsets: 64 }],
  ["Utf8View", { kind: "utf8", offsets: "view" }]
])

/** Reads the argument of a type; undefined when it does not fit. */
type ReadArgument = (argument: unknown, path: string) => Read<ArrowType> | undefined

const unitOf = (json: unknown): TimeUnit | undefined => typeof json === "string" ? timeUnits.get(json) : undefined

const timeUnits: ReadonlyMap<string, TimeUnit> = new Map([
  ["Second", "second"],
  ["Millisecond", "millisecond"],
  ["Microsecond", "microsecond"],
  ["Nanosecond", "nanosecond"]
])

const intervalUnits: ReadonlyMap<unknown, "yearMonth" | "dayTime" | "monthDayNano"> = new Map([
  ["YearMonth", "yearMonth"],
  ["DayTime", "dayTime"],
  ["MonthDayNano", "monthDayNano"]
])

const time = (bits: 32 | 64): ReadArgument => (argument) => {
  const unit = unitOf(argument)
  const fits = unit !== undefined && (bits === 32) === (unit === "second" || unit === "millisecond")
  return fits ? Result.succeed({ kind: "time", bits, unit }) : undefined
}

const timestamp: ReadArgument = (argument) => {
  const [unitName, zone, ...more] = listOf(argument)
  const unit = unitOf(unitName)
  if (unit === undefined || more.length > 0) return undefined
  if (zone !== null && zone !== undefined && typeof zone !== "string") return undefined
  return Result.succeed({ kind: "timestamp", unit, timezone: zone ?? undefined })
}

const duration: ReadArgument = (argument) => {
  const unit = unitOf(argument)
  return unit === undefined ? undefined : Result.succeed({ kind: "duration", unit })
}

const interval: ReadArgument = (argument) => {
  const unit = intervalUnits.get(argument)
  return unit === undefined ? undefined : Result.succeed({ kind: "interval", unit })
}

const decimal = (bits: 32 | 64 | 128 | 256, maxPrecision: number): ReadArgument => (argument) => {
  const [precision, scale, ...more] = listOf(argument)
  if (!isInteger(precision) || !isInteger(scale) || more.length > 0) return undefined
  if (precision < 1 || precision > maxPrecision) return undefined
  return Result.succeed({ kind: "decimal", bits, precision, scale })
}

const fixedSizeBinary: ReadArgument = (width) =>
  isInteger(width) && width >= 0 ? Result.succeed({ kind: "fixedSizeBinary", width }) : undefined

const list = (offsets: 32 | 64 | "view32" | "view64"): ReadArgument => (argument, path) =>
  Result.map(readField(argument, path, "item"), (item): ArrowType => ({ kind: "list", offsets, item }))

const fixedSizeList: ReadArgument = (argument, path) => {
  const [field, size, ...more] = listOf(argument)
  if (!isInteger(size) || size < 0 || more.length > 0) return undefined
  return Result.map(readField(field, path, "item"), (item): ArrowType => ({ kind: "fixedSizeList", size, item }))
}

const struct: ReadArgument = (argument, path) =>
  Array.isArray(argument)
    ? Result.map(readFields(argument, path), (fields): ArrowType => ({ kind: "struct", fields }))
    : undefined

const map: ReadArgument = (argument, path) => {
  const [entriesField, keysSorted, ...more] = listOf(argument)
  if (typeof keysSorted !== "boolean" || more.length > 0) return undefined
  return Result.flatMap(readField(entriesField, path, "entries"), (entries): Read<ArrowType> => {
    const [key, value, ...others] = entries.type.kind === "struct" ? entries.type.fields : []
    return key === undefined || value === undefined || others.length > 0
      ? unknown(path, "the entries of a Map must be a Struct of key and value")
      : Result.succeed({ kind: "map", key, value, keysSorted })
  })
}

const dictionary: ReadArgument = (argument, path) => {
  const [indexJson, valueJson, ...more] = listOf(argument)
  if (more.length > 0) return undefined
  return Result.flatMap(readType(indexJson, join(path, "indices")), (index) =>
    index.kind === "int"
      ? Result.map(
        readType(valueJson, join(path, "values")),
        (value): ArrowType => ({ kind: "dictionary", id: 0n, index, value })
      )
      : unknown(path, "the index of a Dictionary must be an integer"))
}

const union: ReadArgument = (argument, path) => {
  const [members, mode, ...more] = listOf(argument)
  if (!Array.isArray(members) || (mode !== "Sparse" && mode !== "Dense") || more.length > 0) return undefined
  const typeIds = members.map((member) => listOf(member)[0])
  if (!typeIds.every(isInteger)) return undefined
  return Result.map(
    readFields(members.map((member) => listOf(member)[1]), path),
    (fields): ArrowType => ({ kind: "union", mode: mode === "Sparse" ? "sparse" : "dense", typeIds, fields })
  )
}

const runEndEncoded: ReadArgument = (argument, path) => {
  if (listOf(argument).length !== 2) return undefined
  return Result.flatMap(
    readFields(listOf(argument), path),
    ([runEnds, values]): Read<ArrowType> =>
      runEnds?.type.kind === "int" && values !== undefined
        ? Result.succeed({ kind: "runEndEncoded", runEnds, values })
        : unknown(path, "the run ends of a RunEndEncoded must be integers")
  )
}

const parameterTypes: ReadonlyMap<string, ReadArgument> = new Map([
  ["Time32", time(32)],
  ["Time64", time(64)],
  ["Timestamp", timestamp],
  ["Duration", duration],
  ["Interval", interval],
  ["FixedSizeBinary", fixedSizeBinary],
  ["Decimal32", decimal(32, 9)],
  ["Decimal64", decimal(64, 18)],
  ["Decimal128", decimal(128, 38)],
  ["Decimal256", decimal(256, 76)],
  ["List", list(32)],
  ["LargeList", list(64)],
  ["ListView", list("view32")],
  ["LargeListView", list("view64")],
  ["FixedSizeList", fixedSizeList],
  ["Struct", struct],
  ["Map", map],
  ["Dictionary", dictionary],
  ["Union", union],
  ["RunEndEncoded", runEndEncoded]
])

const readFields = (fields: ReadonlyArray<unknown>, path: string): Read<ReadonlyArray<ArrowField>> =>
  Result.all(fields.map((field, index) => readField(field, path, `field ${index + 1}`)))

const isObject = (json: unknown): json is Record<string, unknown> =>
  typeof json === "object" && json !== null && !Array.isArray(json)

const isInteger = (json: unknown): json is number => Number.isSafeInteger(json)

const listOf = (json: unknown): ReadonlyArray<unknown> => Array.isArray(json) ? json : []

/** The JSON of a value, cut to 80 characters. */
const excerpt = (json: unknown): string => {
  const text = json === undefined ? "nothing" : JSON.stringify(json)
  return text.length > 80 ? `${text.slice(0, 77)}...` : text
}
