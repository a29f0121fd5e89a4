/** The one table of Arrow type -> PostgreSQL type -> encoder, and the plan of a query's columns. */
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

/** A PostgreSQL column type and the writer of its values. */
interface PgType {
  /** As `format_type` prints it, such as `numeric(20,0)` or `timestamp with time zone`. */
  readonly name: string
  /** The OID that an array of it declares for its elements; absent where arrays of it are stored as JSONB instead. */
  readonly elementOid: number | undefined
  readonly writer: MakeWriter
}

/** The lossless PostgreSQL type of an Arrow type, or the reason why there is none. */
type PgMapping = Result.Result<PgType, string>

type Table = { readonly [K in ArrowType["kind"]]: (type: Extract<ArrowType, { kind: K }>) => PgMapping }

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
    Result.map(mapType(type.value), (value) => ({ ...value, writer: dictionaryWriter(value.writer) })),
  runEndEncoded: (type) =>
    Result.map(mapType(type.values.type), (value) => ({ ...value, writer: runEndEncodedWriter(value.writer) }))
}

/** Maps an Arrow type to its lossless PostgreSQL type. Fails with the reason why there is none. */
const mapType = (type: ArrowType): PgMapping => (table[type.kind] as (type: ArrowType) => PgMapping)(type)

/** The type of block numbers, whatever integer they come as: checked, never wrapped. */
const bigint = (type: Extract<ArrowType, { kind: "int" }>): PgMapping => scalar("bigint", 20, bigintWriter(type))

const scalar = (name: string, elementOid: number, writer: MakeWriter): PgMapping =>
  Result.succeed({ name, elementOid, writer })

const jsonb = (type: ArrowType): PgMapping =>
  Result.map(jsonbWriter(type), (writer) => ({ name: "jsonb", elementOid: undefined, writer }))

/** Lists whose items are scalars in PostgreSQL become arrays, all others JSONB. */
const listOf = (type: ArrowType, item: ArrowType): PgMapping =>
  Result.flatMap(mapType(item), (element): PgMapping =>
    element.elementOid === undefined
      ? jsonb(type)
      : Result.succeed({
        name: `${element.name}[]`,
        elementOid: undefined,
        writer: arrayWriter(element.elementOid, element.writer)
      }))

/** The largest precision that PostgreSQL's `numeric` can declare. Source: PostgreSQL, utils/numeric.h, `NUMERIC_MAX_PRECISION`. */
const MAX_PRECISION = 1000

type Decimal = Extract<ArrowType, { kind: "decimal" }>

/**
 * The digits that a `numeric` declares to hold every value of a decimal.
 *
 * Exact for every scale: zeros that a negative scale leaves out are digits in PostgreSQL, and a scale above the precision
 * needs a precision as large, because versions before 15 support neither.
 */
export const decimalDigits = (type: Decimal): { readonly precision: number; readonly scale: number } => {
  const scale = Math.max(type.scale, 0)
  return { precision: Math.max(type.precision - Math.min(type.scale, 0), scale), scale }
}

const decimal = (type: Decimal): PgMapping => {
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

/** A column of the query and its PostgreSQL type. */
export interface PgColumn {
  readonly name: string
  /** As `format_type` prints it, such as `numeric(20,0)` or `timestamp with time zone`. */
  readonly type: string
  readonly nullable: boolean
  readonly arrow: ArrowField
  readonly writer: MakeWriter
}

/** A column without a lossless PostgreSQL type, with the reason. */
export interface UnsupportedColumn {
  readonly column: string
  readonly arrowType: string
  readonly reason: string
}

/** A column whose type in the config is not possible, with the reason. */
export interface RejectedOverride {
  readonly column: string
  /** Absent where the query does not yield the column. */
  readonly arrowType: string | undefined
  readonly wanted: string
  readonly reason: string
}

/** Columns of a query without a lossless PostgreSQL type, or whose type in the config is not possible, all of them at once. */
export class UnsupportedColumns extends Data.TaggedError("UnsupportedColumns")<{
  readonly columns: ReadonlyArray<UnsupportedColumn>
  readonly overrides: ReadonlyArray<RejectedOverride>
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
        : [`the query has columns that PostgreSQL cannot store without loss: ${columns.join("; ")}`]),
      ...(overrides.length === 0 ? [] : [`the config requests types that are not possible: ${overrides.join("; ")}`])
    ].join(". Also ")
  }
}

/**
 * Gives every column of a query its PostgreSQL type, or the one of `overrides`. Fails with every column that has none, because
 * of its type or its name, and with every override that is not possible.
 */
export const planColumns = (
  schema: ArrowSchema,
  overrides: ReadonlyArray<ColumnOverride> = []
): Result.Result<ReadonlyArray<PgColumn>, UnsupportedColumns> => {
  const planned: Array<PgColumn> = []
  const rejected: Array<UnsupportedColumn> = []
  const rejectedOverrides: Array<RejectedOverride> = []
  const names = new Set<string>()
  const wanted = new Map(overrides.map(({ column, type }) => [column, type]))
  for (const field of schema.fields) {
    const override = wanted.get(field.name)
    const mapping = Result.flatMap(
      checkName(field.name, names),
      () => override === undefined ? mapField(field) : mapOverridden(field, override)
    )
    names.add(field.name)
    if (Result.isFailure(mapping)) {
      const problem = { column: field.name, arrowType: formatArrowType(field.type), reason: mapping.failure }
      if (override === undefined) rejected.push(problem)
      else rejectedOverrides.push({ ...problem, wanted: formatOverrideType(override) })
    } else {
      const { name: type, writer } = mapping.success
      planned.push({ name: field.name, type, nullable: isNullable(field), arrow: field, writer })
    }
  }
  if (schema.fields.length > MAX_COLUMNS) {
    const reason =
      `the query has ${schema.fields.length} columns, and a table has room for ${MAX_COLUMNS} besides those of Ampsync`
    const last = schema.fields[MAX_COLUMNS]!
    rejected.push({ column: last.name, arrowType: formatArrowType(last.type), reason })
  }
  for (const { column, type } of overrides) {
    if (names.has(column)) continue
    const reason = "the query does not yield this column"
    rejectedOverrides.push({ column, arrowType: undefined, wanted: formatOverrideType(type), reason })
  }
  return rejected.length === 0 && rejectedOverrides.length === 0
    ? Result.succeed(planned)
    : Result.fail(new UnsupportedColumns({ columns: rejected, overrides: rejectedOverrides }))
}

/** PostgreSQL allows 1600 columns in a table, and Ampsync adds two. Source: PostgreSQL, access/htup_details.h, `MaxHeapAttributeNumber`. */
const MAX_COLUMNS = 1598

/** Names of columns that give the position of a row in the chain, in order of preference. */
export const positionNames: ReadonlyArray<string> = ["_block_num", "block_num"]

const mapField = (field: ArrowField): PgMapping =>
  positionNames.includes(field.name) && field.type.kind === "int" ? bigint(field.type) : mapType(field.type)

/** A column that has the wanted type anyway keeps its own encoder. */
const mapOverridden = (field: ArrowField, wanted: OverrideType): PgMapping => {
  if (positionNames.includes(field.name)) return Result.fail("block numbers are always bigint")
  const [mapping, name] = [mapType(field.type), formatOverrideType(wanted)]
  return Result.isSuccess(mapping) && mapping.success.name === name
    ? mapping
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
