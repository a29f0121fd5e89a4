import { Data } from "effect"
import * as Result from "effect/Result"
import type { ArrowField, ArrowSchema, ArrowType } from "../../arrow/ArrowSchema.ts"
import { formatArrowType } from "../../arrow/formatArrowType.ts"
import { arrayWriter } from "../encode/encodeArray.ts"
import { byteaWriter, fixedByteaWriter, textWriter } from "../encode/encodeBytes.ts"
import { bigintWriter, integerWriter, smallintWriter } from "../encode/encodeInteger.ts"
import { jsonbWriter } from "../encode/encodeJson.ts"
import { numericWriter } from "../encode/encodeNumeric.ts"
import { booleanWriter, doubleWriter, floatWriter, halfFloatWriter, nullWriter } from "../encode/encodePlain.ts"
import {
  dateWriter,
  durationWriter,
  intervalWriter,
  milliDateWriter,
  timestampWriter,
  timeWriter
} from "../encode/encodeTime.ts"
import type { MakeWriter } from "../encode/FieldWriter.ts"
import { dictionaryWriter, runEndEncodedWriter } from "../encode/indirectValues.ts"
import { checkColumnName } from "../table/identifiers.ts"
import { RANGE_END, ROW_INDEX } from "../table/tableDdl.ts"
import { type ColumnOverride, formatOverrideType, type OverrideType, overrideWriter } from "./columnOverride.ts"

/** A PostgreSQL column type and the way into it. */
interface PgType {
  /** As `format_type` prints it, such as `numeric(20,0)` or `timestamp with time zone`. */
  readonly name: string
  /** What an array of it says its elements are; absent where arrays of it are stored as JSONB instead. */
  readonly elementOid: number | undefined
  readonly writer: MakeWriter
}

/** A type with a faithful home in PostgreSQL, or the reason why it has none. */
type Home = Result.Result<PgType, string>

type Table = { readonly [K in ArrowType["kind"]]: (type: Extract<ArrowType, { kind: K }>) => Home }

/** Arrow type -> PostgreSQL column type -> encoder. */
const table: Table = {
  null: () => scalar("text", 25, nullWriter),
  bool: () => scalar("boolean", 16, booleanWriter),
  int: (type) => {
    if (type.bits < 16 || (type.bits === 16 && type.signed)) return scalar("smallint", 21, smallintWriter(type))
    if (type.bits < 32 || (type.bits === 32 && type.signed)) return scalar("integer", 23, integerWriter(type))
    if (type.bits < 64 || type.signed) return bigint(type)
    return scalar("numeric(20,0)", 1700, numericWriter({ bits: 64, signed: false, precision: 20, scale: 0 }))
  },
  float: (type) => {
    if (type.bits === 64) return scalar("double precision", 701, doubleWriter)
    return scalar("real", 700, type.bits === 32 ? floatWriter : halfFloatWriter)
  },
  decimal: (type) => decimal(type),
  utf8: () => scalar("text", 25, textWriter),
  binary: () => scalar("bytea", 17, byteaWriter),
  fixedSizeBinary: (type) => scalar("bytea", 17, fixedByteaWriter(type.width)),
  date: (type) => scalar("date", 1082, type.unit === "day" ? dateWriter : milliDateWriter),
  time: (type) => scalar("time without time zone", 1083, timeWriter(type.bits, type.unit)),
  timestamp: (type) =>
    type.timezone === undefined
      ? scalar("timestamp without time zone", 1114, timestampWriter(type.unit))
      : scalar("timestamp with time zone", 1184, timestampWriter(type.unit)),
  duration: (type) => scalar("interval", 1186, durationWriter(type.unit)),
  interval: (type) => scalar("interval", 1186, intervalWriter(type.unit)),
  list: (type) => listOf(type, type.item.type),
  fixedSizeList: (type) => listOf(type, type.item.type),
  struct: (type) => jsonb(type),
  map: (type) => jsonb(type),
  union: (type) => jsonb(type),
  dictionary: (type) =>
    Result.map(pgType(type.value), (value) => ({ ...value, writer: dictionaryWriter(value.writer) })),
  runEndEncoded: (type) =>
    Result.map(pgType(type.values.type), (value) => ({ ...value, writer: runEndEncodedWriter(value.writer) }))
}

/** The home of a type. Fails with the reason why there is none. */
const pgType = (type: ArrowType): Home => (table[type.kind] as (type: ArrowType) => Home)(type)

/** The home of block numbers, whatever integer they come as: checked, never wrapped. */
const bigint = (type: Extract<ArrowType, { kind: "int" }>): Home => scalar("bigint", 20, bigintWriter(type))

const scalar = (name: string, elementOid: number, writer: MakeWriter): Home =>
  Result.succeed({ name, elementOid, writer })

const jsonb = (type: ArrowType): Home =>
  Result.map(jsonbWriter(type), (writer) => ({ name: "jsonb", elementOid: undefined, writer }))

/** Lists of what is a scalar in PostgreSQL become arrays, lists of anything deeper JSONB. */
const listOf = (type: ArrowType, item: ArrowType): Home =>
  Result.flatMap(pgType(item), (element): Home =>
    element.elementOid === undefined
      ? jsonb(type)
      : Result.succeed({
        name: `${element.name}[]`,
        elementOid: undefined,
        writer: arrayWriter(element.elementOid, element.writer)
      }))

/** What PostgreSQL's `numeric` can declare. Source: PostgreSQL, utils/numeric.h, `NUMERIC_MAX_PRECISION`. */
const MAX_PRECISION = 1000

type Decimal = Extract<ArrowType, { kind: "decimal" }>

/**
 * The digits that a `numeric` declares to hold every value of a decimal.
 *
 * Exact for every scale: zeros that a negative scale leaves out are digits in PostgreSQL, and a scale above the precision
 * needs a precision as large, because versions before 15 know neither.
 */
export const decimalDigits = (type: Decimal): { readonly precision: number; readonly scale: number } => {
  const scale = Math.max(type.scale, 0)
  return { precision: Math.max(type.precision - Math.min(type.scale, 0), scale), scale }
}

const decimal = (type: Decimal): Home => {
  const { precision, scale } = decimalDigits(type)
  if (precision > MAX_PRECISION) {
    return Result.fail(`${formatArrowType(type)} has more than the ${MAX_PRECISION} digits PostgreSQL allows`)
  }
  return scalar(
    `numeric(${precision},${scale})`,
    1700,
    numericWriter({ bits: type.bits, signed: true, precision: type.precision, scale: type.scale })
  )
}

/** A column of the query and its home in PostgreSQL. */
export interface PgColumn {
  readonly name: string
  /** As `format_type` prints it, such as `numeric(20,0)` or `timestamp with time zone`. */
  readonly type: string
  readonly nullable: boolean
  readonly arrow: ArrowField
  readonly writer: MakeWriter
}

export interface UnsupportedColumn {
  readonly column: string
  readonly arrowType: string
  readonly reason: string
}

/** A column whose type the config asks for, and why it cannot be had. */
export interface RefusedOverride {
  readonly column: string
  /** Absent where the query does not yield the column. */
  readonly arrowType: string | undefined
  readonly wanted: string
  readonly reason: string
}

/** Columns of a query that have no faithful home, or not the one the config asks for, all of them at once. */
export class UnsupportedColumns extends Data.TaggedError("UnsupportedColumns")<{
  readonly columns: ReadonlyArray<UnsupportedColumn>
  readonly overrides: ReadonlyArray<RefusedOverride>
}> {
  override get message() {
    const columns = this.columns.map(({ arrowType, column, reason }) =>
      `column ${JSON.stringify(column)} (${arrowType}): ${reason}`
    )
    const overrides = this.overrides.map(({ arrowType, column, reason, wanted }) =>
      `column ${JSON.stringify(column)}${arrowType === undefined ? "" : ` (${arrowType})`} as ${wanted}: ${reason}`
    )
    return [
      ...(columns.length === 0
        ? []
        : [`the query has columns that PostgreSQL cannot hold as they are: ${columns.join("; ")}`]),
      ...(overrides.length === 0 ? [] : [`the config asks for types that cannot be had: ${overrides.join("; ")}`])
    ].join(". Also ")
  }
}

/**
 * Gives every column of a query its home, or the one that `overrides` asks for. Fails with every column that has none, by
 * type or by name, and every override that cannot be followed.
 */
export const planColumns = (
  schema: ArrowSchema,
  overrides: ReadonlyArray<ColumnOverride> = []
): Result.Result<ReadonlyArray<PgColumn>, UnsupportedColumns> => {
  const planned: Array<PgColumn> = []
  const refused: Array<UnsupportedColumn> = []
  const refusedOverrides: Array<RefusedOverride> = []
  const names = new Set<string>()
  const wanted = new Map(overrides.map(({ column, type }) => [column, type]))
  for (const field of schema.fields) {
    const override = wanted.get(field.name)
    const home = Result.flatMap(
      checkName(field.name, names),
      () => override === undefined ? homeOf(field) : overriddenHome(field, override)
    )
    names.add(field.name)
    if (Result.isFailure(home)) {
      const problem = { column: field.name, arrowType: formatArrowType(field.type), reason: home.failure }
      if (override === undefined) refused.push(problem)
      else refusedOverrides.push({ ...problem, wanted: formatOverrideType(override) })
    } else {
      const { name: type, writer } = home.success
      planned.push({ name: field.name, type, nullable: isNullable(field), arrow: field, writer })
    }
  }
  if (schema.fields.length > MAX_COLUMNS) {
    const reason = `the query has ${schema.fields.length} columns, and ${MAX_COLUMNS} fit beside ours`
    const last = schema.fields[MAX_COLUMNS]!
    refused.push({ column: last.name, arrowType: formatArrowType(last.type), reason })
  }
  for (const { column, type } of overrides) {
    if (names.has(column)) continue
    const reason = "the query does not yield this column"
    refusedOverrides.push({ column, arrowType: undefined, wanted: formatOverrideType(type), reason })
  }
  return refused.length === 0 && refusedOverrides.length === 0
    ? Result.succeed(planned)
    : Result.fail(new UnsupportedColumns({ columns: refused, overrides: refusedOverrides }))
}

/** PostgreSQL allows 1600 columns in a table; two are ours. Source: PostgreSQL, access/htup_details.h, `MaxHeapAttributeNumber`. */
const MAX_COLUMNS = 1598

/** Columns that say where in the chain a row stands, best first. */
export const positionNames: ReadonlyArray<string> = ["_block_num", "block_num"]

const homeOf = (field: ArrowField): Home =>
  positionNames.includes(field.name) && field.type.kind === "int" ? bigint(field.type) : pgType(field.type)

/** A column that is of the wanted type anyway keeps its own encoder. */
const overriddenHome = (field: ArrowField, wanted: OverrideType): Home => {
  if (positionNames.includes(field.name)) return Result.fail("block numbers are always bigint")
  const [home, name] = [pgType(field.type), formatOverrideType(wanted)]
  return Result.isSuccess(home) && home.success.name === name
    ? home
    : Result.map(overrideWriter(field.type, wanted), (writer) => ({ name, elementOid: undefined, writer }))
}

const checkName = (name: string, taken: ReadonlySet<string>): Result.Result<string, string> => {
  if (name === ROW_INDEX || name === RANGE_END) return Result.fail("this name belongs to Ampsync; choose another alias")
  if (taken.has(name)) return Result.fail("two columns have this name; give one of them an alias")
  return Result.mapError(checkColumnName(name), (error) => error.reason)
}

const isNullable = (field: ArrowField): boolean => {
  if (field.nullable || field.type.kind === "null") return true
  return field.type.kind === "runEndEncoded" && isNullable(field.type.values)
}
