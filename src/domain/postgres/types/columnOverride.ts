/**
 * The types that a config may give a column instead of the one of `PgType.ts`.
 *
 * The one table of what is allowed: Arrow kind -> PostgreSQL type -> encoder. Each encoder is exact, and rejects the values
 * that the type cannot hold.
 */
import * as Result from "effect/Result"
import type { ArrowSchema, ArrowType } from "../../arrow/ArrowSchema.ts"
import { decimalTextWriter, integerTextWriter } from "../encode/encodeDecimalText.ts"
import { hexWriter } from "../encode/encodeHex.ts"
import { bigintWriter } from "../encode/encodeInteger.ts"
import { numericWriter } from "../encode/encodeNumeric.ts"
import { wholeDecimalWriter } from "../encode/encodeWholeDecimal.ts"
import type { MakeWriter } from "../encode/FieldWriter.ts"
import { dictionaryWriter, runEndEncodedWriter } from "../encode/indirectValues.ts"

/** A type that a column may be given; without `digits`, `numeric` takes any number of them. */
export type OverrideType =
  | { readonly kind: "bigint" }
  | { readonly kind: "text" }
  | { readonly kind: "numeric"; readonly digits: NumericDigits | undefined }

/** Decimal digits in all, and how many of them are after the decimal point. */
export interface NumericDigits {
  readonly precision: number
  readonly scale: number
}

/** The column is to be stored as `type`. */
export interface ColumnOverride {
  readonly column: string
  readonly type: OverrideType
}

/** What `parseOverrideType` accepts, for messages. */
export const overrideSyntax = "bigint, text, numeric or numeric(precision, scale) with at most 1000 digits"

/** Parses a type such as `numeric(78,0)`, whatever its case and spacing; undefined where a column may not be given that type. */
export const parseOverrideType = (text: string): OverrideType | undefined => {
  const words = text.trim().toLowerCase()
  if (words === "bigint" || words === "text") return { kind: words }
  const [all, precisionText, scaleText = "0"] =
    /^numeric(?:\s*\(\s*(\d{1,4})\s*(?:,\s*(\d{1,4})\s*)?\))?$/.exec(words) ?? []
  if (all === undefined) return undefined
  if (precisionText === undefined) return { kind: "numeric", digits: undefined }
  const [precision, scale] = [Number(precisionText), Number(scaleText)]
  return precision < 1 || precision > 1000 || scale > precision
    ? undefined
    : { kind: "numeric", digits: { precision, scale } }
}

/** As `format_type` prints it. */
export const formatOverrideType = (type: OverrideType): string =>
  type.kind === "numeric" && type.digits !== undefined
    ? `numeric(${type.digits.precision},${type.digits.scale})`
    : type.kind

/** The writer of an overridden column, or the reason why there is none. */
type Conversion = Result.Result<MakeWriter, string>

type Numeric = Extract<OverrideType, { kind: "numeric" }>

interface Conversions<T extends ArrowType> {
  readonly bigint?: (type: T) => Conversion
  readonly text?: (type: T) => Conversion
  readonly numeric?: (type: T, target: Numeric) => Conversion
}

const conversions: { readonly [K in ArrowType["kind"]]?: Conversions<Extract<ArrowType, { kind: K }>> } = {
  utf8: {
    bigint: () => Result.succeed(integerTextWriter),
    numeric: (_, { digits }) => Result.succeed(decimalTextWriter(digits))
  },
  binary: { text: () => Result.succeed(hexWriter) },
  fixedSizeBinary: { text: () => Result.succeed(hexWriter) },
  int: {
    bigint: (type) => Result.succeed(bigintWriter(type)),
    numeric: ({ bits, signed }, { digits }) =>
      bits < 32
        ? Result.fail("integers of less than 32 bits cannot become numeric")
        : rescaled({ bits: bits === 32 ? 32 : 64, signed, precision: bits === 32 ? 10 : 20, scale: 0 }, digits)
  },
  decimal: {
    bigint: (type) => Result.succeed(wholeDecimalWriter(type)),
    numeric: ({ bits, precision, scale }, { digits }) => rescaled({ bits, signed: true, precision, scale }, digits)
  }
}

/** Fewer digits after the decimal point would round, so they are rejected; fewer before it are checked on every value. */
const rescaled = (unscaled: Parameters<typeof numericWriter>[0], digits: NumericDigits | undefined): Conversion => {
  if (digits === undefined) return Result.succeed(numericWriter(unscaled))
  if (digits.scale < unscaled.scale) {
    return Result.fail(`its values have ${unscaled.scale} digits after the decimal point, and values are never rounded`)
  }
  const precision = Math.min(unscaled.precision, Math.max(digits.precision - digits.scale + unscaled.scale, 0))
  return Result.succeed(numericWriter({ ...unscaled, precision }))
}

/** The writer of values of `type` into a column of type `target`; dictionaries and runs are resolved to their values. */
export const overrideWriter = (type: ArrowType, target: OverrideType): Conversion => {
  if (type.kind === "dictionary") {
    return Result.map(overrideWriter(type.value, target), (writer) => dictionaryWriter(writer))
  }
  if (type.kind === "runEndEncoded") return Result.map(overrideWriter(type.values.type, target), runEndEncodedWriter)
  const allowed = conversions[type.kind] as Conversions<ArrowType> | undefined
  const convert = allowed?.[target.kind] as ((type: ArrowType, target: OverrideType) => Conversion) | undefined
  return convert === undefined ? Result.fail(`allowed for it: ${allowedFor(type)}`) : convert(type, target)
}

const allowedFor = (type: ArrowType): string => {
  const kinds = overrideKinds(type)
  return kinds.length === 0 ? "no other type" : kinds.join(", ")
}

/** The kinds of type that a column of this Arrow type may be given instead of its own. */
export const overrideKinds = (type: ArrowType): ReadonlyArray<OverrideType["kind"]> => {
  if (type.kind === "dictionary") return overrideKinds(type.value)
  if (type.kind === "runEndEncoded") return overrideKinds(type.values.type)
  return Object.keys(conversions[type.kind] ?? {}) as ReadonlyArray<OverrideType["kind"]>
}

/** Source: 2^256 has 78 digits. */
const WIDE_INTEGER: OverrideType = { kind: "numeric", digits: { precision: 78, scale: 0 } }

/** Overrides for the columns of `names` that come as text or as decimals without a fraction, unless `given` has their type. */
export const wideIntegerOverrides = (
  { fields }: ArrowSchema,
  names: ReadonlyArray<string>,
  given: ReadonlyArray<ColumnOverride>
): ReadonlyArray<ColumnOverride> =>
  fields
    .filter(({ name, type }) => names.includes(name) && !given.some(({ column }) => column === name) && isWide(type))
    .map(({ name }) => ({ column: name, type: WIDE_INTEGER }))

const isWide = (type: ArrowType): boolean => type.kind === "utf8" || (type.kind === "decimal" && type.scale === 0)
