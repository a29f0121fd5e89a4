/**
 * Decides which tables the WebAssembly module encodes, and writes the part of its descriptors that all rows share.
 *
 * Source: `tuples.wat`, which defines their layout.
 */
import type { TimeUnit } from "../../arrow/ArrowSchema.ts"
import { viewOf } from "../../arrow/ColumnBatch.ts"
import { decimalDigits, type PgColumn } from "../types/PgType.ts"
import type { CopyPlan } from "./encodeCopy.ts"

/** Where the descriptors of a tuple's fields begin in the memory, and where they must end. */
export const DESCRIPTORS = 1024
export const STAGING = 106_496
const DESCRIPTOR_BYTES = 64
export const DESCRIPTOR_WORDS = DESCRIPTOR_BYTES / 4

/** The words of a descriptor that are the same for all rows of a query. */
const [KIND, STRIDE, WIDTH, WEIGHT, SCALE, DECIMALS] = [0, 4, 6, 7, 8, 9]

/** The kinds of a field, in the order of the module's `br_table`. */
const kinds = [
  "fixed",
  "fixed32",
  "fixed20",
  "binary",
  "text",
  "bool",
  "int8",
  "uint8",
  "int16",
  "uint16",
  "int32",
  "uint32",
  "int64",
  "uint64",
  "nanoseconds",
  "timestamp",
  "decimal",
  "uint64Numeric"
] as const

type Kind = typeof kinds[number]

/** The words of a descriptor other than addresses; words not given are 0. */
export interface FieldShape {
  readonly kind: Kind
  readonly stride: number
  /** Bytes of the value, or the factor of a numeric. */
  readonly width: number
  readonly numeric?: { readonly weight: number; readonly scale: number; readonly decimals: number }
  readonly timestamp?: { readonly least: bigint; readonly most: bigint; readonly micros: bigint }
}

/** The timestamps PostgreSQL holds, in microseconds since 1970; the last one excluded. Source: datatype/timestamp.h. */
const FIRST_MICROS = -210_866_803_200_000_000n
const END_MICROS = 9_224_318_016_000_000_000n
const MAX_INT64 = 2n ** 63n - 1n

const microsPer = { second: 1_000_000n, millisecond: 1_000n, microsecond: 1n } as const

const timestampShape = (unit: TimeUnit): FieldShape => {
  // All 64 bits of nanoseconds lie within PostgreSQL's range.
  if (unit === "nanosecond") return { kind: "nanoseconds", stride: 8, width: 8 }
  const micros = microsPer[unit]
  // END_MICROS is a multiple of every unit but does not fit 64 bits itself.
  const most = END_MICROS / micros - 1n
  const timestamp = { least: FIRST_MICROS / micros, most: most < MAX_INT64 ? most : MAX_INT64, micros }
  return { kind: "timestamp", stride: 8, width: 8, timestamp }
}

const outputBytes: Readonly<Record<string, number>> = { bigint: 8, integer: 4, smallint: 2 }

/** The shape of a column, by its Arrow type and its PostgreSQL type; undefined where only a writer can encode it. */
const shapeOf = ({ arrow, type: name }: PgColumn): FieldShape | undefined => {
  const { type } = arrow
  switch (type.kind) {
    case "fixedSizeBinary": {
      const kind = type.width === 32 ? "fixed32" : type.width === 20 ? "fixed20" : "fixed"
      return name === "bytea" ? { kind, stride: type.width, width: type.width } : undefined
    }
    case "binary":
      return name === "bytea" && type.offsets === 32 ? { kind: "binary", stride: 4, width: 0 } : undefined
    case "utf8":
      return name === "text" && type.offsets === 32 ? { kind: "text", stride: 4, width: 0 } : undefined
    case "bool":
      return name === "boolean" ? { kind: "bool", stride: 0, width: 1 } : undefined
    case "int": {
      const wide = type.bits === 64 && !type.signed
      if (wide && name === "numeric(20,0)") {
        return { kind: "uint64Numeric", stride: 8, width: 1, numeric: { weight: 0, scale: 0, decimals: 20 } }
      }
      const width = outputBytes[name]
      return width === undefined
        ? undefined
        : { kind: `${type.signed ? "" : "u"}int${type.bits}`, stride: type.bits / 8, width }
    }
    case "float":
      // Bit by bit, like integers of their size.
      if (type.bits === 64 && name === "double precision") return { kind: "int64", stride: 8, width: 8 }
      return type.bits === 32 && name === "real" ? { kind: "int32", stride: 4, width: 4 } : undefined
    case "timestamp":
      return name.startsWith("timestamp") ? timestampShape(type.unit) : undefined
    case "decimal": {
      // An override with fewer digits has another limit, which only its writer checks.
      const { precision, scale } = decimalDigits(type)
      if (type.bits !== 128 || name !== `numeric(${precision},${scale})`) return undefined
      const weight = Math.floor(-type.scale / 4)
      const shift = -type.scale - 4 * weight
      return {
        kind: "decimal",
        stride: 16,
        width: 10 ** shift,
        numeric: { weight, scale, decimals: type.precision + shift }
      }
    }
    default:
      return undefined
  }
}

/** The descriptors of one query's tuples without addresses, or undefined where a column has no shape. */
export interface TuplePlan {
  readonly shapes: ReadonlyArray<FieldShape>
  readonly descriptors: Int32Array
}

const OWN_SHAPES: ReadonlyArray<FieldShape> = [
  { kind: "int32", stride: 4, width: 4 },
  // `_range_end` is the same in all rows.
  { kind: "int64", stride: 0, width: 8 }
]

/** Plans the fast path of a query; undefined where a column is of a kind that only the writers encode. */
export const planTuples = (plan: CopyPlan): TuplePlan | undefined => {
  const shapes: Array<FieldShape> = []
  for (const column of plan.columns) {
    const shape = shapeOf(column)
    if (shape === undefined) return undefined
    shapes.push(shape)
  }
  shapes.push(...OWN_SHAPES.slice(0, plan.position.kind === "rangeEnd" ? 2 : 1))
  if (DESCRIPTORS + shapes.length * DESCRIPTOR_BYTES > STAGING) return undefined
  const descriptors = new Int32Array(shapes.length * DESCRIPTOR_WORDS)
  shapes.forEach((shape, index) => describe(descriptors, index * DESCRIPTOR_WORDS, shape))
  return { shapes, descriptors }
}

const describe = (words: Int32Array, at: number, { kind, numeric, stride, timestamp, width }: FieldShape): void => {
  words[at + KIND] = kinds.indexOf(kind)
  words[at + STRIDE] = stride
  words[at + WIDTH] = width
  if (numeric !== undefined) {
    words[at + WEIGHT] = numeric.weight
    words[at + SCALE] = numeric.scale
    words[at + DECIMALS] = numeric.decimals
  }
  if (timestamp !== undefined) {
    const view = viewOf(new Uint8Array(words.buffer, 4 * at, DESCRIPTOR_BYTES))
    view.setBigInt64(32, timestamp.least, true)
    view.setBigInt64(40, timestamp.most, true)
    view.setBigInt64(48, timestamp.micros, true)
  }
}
