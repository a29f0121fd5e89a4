/** Random values of every type, with the text PostgreSQL reads for the same value, made independently of the encoders. */
import * as Apache from "apache-arrow"
import type { ArrowType, TimeUnit } from "../../../src/domain/arrow/ArrowSchema.ts"
import { field, type Value } from "../arrow/columns.ts"

export type Random = () => number

/** The same numbers for the same seed: a failure names its seed. */
export const randomFrom = (seed: number): Random => {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}

export interface Kind {
  readonly type: ArrowType
  readonly value: (random: Random) => Value
  /** The text of the value in `'...'::<column type>`. */
  readonly text: (value: Value) => string
  /** The same value inside JSON. */
  readonly json: (value: Value) => string
  /** The column as apache-arrow builds it; absent for types it cannot write. */
  readonly apache?: (values: ReadonlyArray<Value>) => Apache.Vector
}

const pick = <A>(random: Random, values: ReadonlyArray<A>): A => values[Math.floor(random() * values.length)]!

const below = (random: Random, limit: bigint): bigint => {
  let value = 0n
  for (let bits = limit.toString(2).length; bits > 0; bits -= 24) {
    value = (value << 24n) | BigInt(Math.floor(random() * 2 ** 24))
  }
  return value % limit
}

/** Often a limit, else any number of digits. */
const integer = (random: Random, least: bigint, most: bigint): bigint => {
  const edges = [least, most, 0n, 1n, -1n, 9999n, 10000n, 2n ** 53n, 2n ** 53n + 1n, 2n ** 63n, 2n ** 64n - 1n]
  const fitting = edges.filter((edge) => edge >= least && edge <= most)
  if (random() < 0.3) return pick(random, fitting)
  const size = below(random, 10n ** BigInt(1 + Math.floor(random() * most.toString().length)))
  const value = random() < 0.5 && least < 0n ? -size : size
  return value < least ? least : value > most ? most : value
}

const bare = (value: Value) => String(value)
const quoted = (value: Value) => JSON.stringify(value)

const intKind = (bits: 8 | 16 | 32 | 64, signed: boolean): Kind => {
  const [least, most] = signed
    ? [-(2n ** BigInt(bits - 1)), 2n ** BigInt(bits - 1) - 1n]
    : [0n, 2n ** BigInt(bits) - 1n]
  const type = new Apache.Int(signed, bits)
  return {
    type: { kind: "int", bits, signed },
    value: (random) => integer(random, least, most),
    text: bare,
    json: bare,
    apache: (values) =>
      Apache.vectorFromArray(values.map((value) => value === null || bits === 64 ? value : Number(value)), type)
  }
}

const pointed = (unscaled: bigint, scale: number): string => {
  if (scale <= 0) return (unscaled * 10n ** BigInt(-scale)).toString()
  const digits = (unscaled < 0n ? -unscaled : unscaled).toString().padStart(scale + 1, "0")
  return `${unscaled < 0n ? "-" : ""}${digits.slice(0, -scale)}.${digits.slice(-scale)}`
}

const decimalKind = (bits: 32 | 64 | 128 | 256, precision: number, scale: number): Kind => {
  const most = 10n ** BigInt(precision) - 1n
  const limbs = (value: Value) =>
    value === null
      ? null
      : Uint32Array.from({ length: bits / 32 }, (_, word) =>
        Number(((value as bigint) >> BigInt(32 * word)) & 0xffffffffn))
  return {
    type: { kind: "decimal", bits, precision, scale },
    value: (random) => integer(random, -most, most),
    text: (value) => pointed(value as bigint, scale),
    json: (value) => JSON.stringify(pointed(value as bigint, scale)),
    ...(bits >= 128
      ? {
        apache: (values: ReadonlyArray<Value>) =>
          Apache.vectorFromArray(values.map(limbs), new Apache.Decimal(scale, precision, bits))
      }
      : {})
  }
}

/** The fewest digits that `round` takes back to the same value. */
const shortest = (value: number, round: (value: number) => number): string => {
  const rounded = Array.from({ length: 17 }, (_, digits) => Number(value.toPrecision(digits + 1)))
  return String(rounded.find((candidate) => round(candidate) === value))
}

const floatKind = (bits: 32 | 64): Kind => {
  const values = [0, -0, 1.5, -1e-5, 1e21, 123456.7, NaN, Infinity, -Infinity, bits === 64 ? 5e-324 : 1e-45, 0.1]
  const round = bits === 32 ? Math.fround : (value: number) => value
  return {
    type: { kind: "float", bits },
    value: (random) =>
      round(random() < 0.5 ? pick(random, values) : (random() - 0.5) * 10 ** Math.floor(random() * 40 - 20)),
    text: (value) => Object.is(value, -0) ? "-0" : String(value),
    json: (value) => Number.isFinite(value) ? shortest(Number(value), round) : `"${value}"`,
    apache: (values) => Apache.vectorFromArray(values, bits === 32 ? new Apache.Float32() : new Apache.Float64())
  }
}

const texts = [
  "",
  "a",
  "to",
  "\"quoted\"",
  "back\\slash",
  "tab\tline\n",
  "\u0001\u001f\u007f",
  "é日本😀",
  "twelve bytes",
  "x".repeat(400)
]

const textKind = (offsets: 32 | 64 | "view"): Kind => ({
  type: { kind: "utf8", offsets },
  value: (random) => Array.from({ length: Math.floor(random() * 3) }, () => pick(random, texts)).join(""),
  text: String,
  json: quoted,
  ...(offsets === 32
    ? { apache: (values: ReadonlyArray<Value>) => Apache.vectorFromArray(values, new Apache.Utf8()) }
    : {}),
  ...(offsets === 64
    ? { apache: (values: ReadonlyArray<Value>) => Apache.vectorFromArray(values, new Apache.LargeUtf8()) }
    : {})
})

const randomBytes = (random: Random, length: number) => Uint8Array.from({ length }, () => random() * 256)
const hexOf = (value: Value) => Buffer.from(value as Uint8Array).toString("hex")

const binaryKind = (offsets: 32 | 64 | "view"): Kind => ({
  type: { kind: "binary", offsets },
  value: (random) => randomBytes(random, Math.floor(random() ** 4 * 600)),
  text: (value) => `\\x${hexOf(value)}`,
  json: (value) => `"0x${hexOf(value)}"`,
  ...(offsets === 32
    ? { apache: (values: ReadonlyArray<Value>) => Apache.vectorFromArray(values, new Apache.Binary()) }
    : {})
})

const fixedKind = (width: number): Kind => ({
  type: { kind: "fixedSizeBinary", width },
  value: (random) => randomBytes(random, width),
  text: (value) => `\\x${hexOf(value)}`,
  json: (value) => `"0x${hexOf(value)}"`,
  apache: (values) => Apache.vectorFromArray(values, new Apache.FixedSizeBinary(width))
})

/** apache-arrow's builders take milliseconds, so 64-bit times are laid out as they are. */
const words64 = (type: Apache.DataType) => (values: ReadonlyArray<Value>): Apache.Vector => {
  const nullBitmap = new Uint8Array(Math.ceil(values.length / 8))
  values.forEach((value, row) => {
    if (value !== null) nullBitmap[row >> 3]! |= 1 << (row & 7)
  })
  const data = BigInt64Array.from(values, (value) => (value ?? 77n) as bigint)
  const nullCount = values.filter((value) => value === null).length
  return new Apache.Vector([Apache.makeData({ type, length: values.length, nullCount, nullBitmap, data } as never)])
}

const perSecond = { second: 1n, millisecond: 1_000n, microsecond: 1_000_000n, nanosecond: 1_000_000_000n } as const
const fractionDigits = { second: 0, millisecond: 3, microsecond: 6, nanosecond: 9 } as const

const floorDivide = (value: bigint, by: bigint) => (value - (((value % by) + by) % by)) / by

/** `digits` fraction digits, more precise ones cut off downwards. */
const iso = (ticks: bigint, unit: TimeUnit, digits: number): string => {
  const seconds = floorDivide(ticks, perSecond[unit])
  const fraction = (ticks - seconds * perSecond[unit]).toString().padStart(fractionDigits[unit], "0").slice(0, digits)
  const date = new Date(Number(seconds) * 1000).toISOString().slice(0, 19)
  return fractionDigits[unit] === 0 || digits === 0 ? date : `${date}.${fraction}`
}

const instants = [
  "0001-01-01",
  "1677-10-01",
  "1969-12-31",
  "1970-01-01",
  "1999-12-31",
  "2000-01-01",
  "2262-04-01",
  "9999-12-31"
]

const timestampKind = (unit: TimeUnit, zone: string | undefined): Kind => ({
  type: { kind: "timestamp", unit, timezone: zone },
  value: (random) => {
    const days = unit === "nanosecond" ? instants.slice(1, -1) : instants
    const second = BigInt(Date.parse(pick(random, days)) / 1000) + below(random, 86_400n)
    return second * perSecond[unit] + below(random, perSecond[unit])
  },
  text: (value) => `${iso(value as bigint, unit, 6)}${zone === undefined ? "" : "Z"}`,
  json: (value) => `"${iso(value as bigint, unit, 9)}${zone === undefined ? "" : "Z"}"`,
  apache: words64(
    {
      second: new Apache.TimestampSecond(zone),
      millisecond: new Apache.TimestampMillisecond(zone),
      microsecond: new Apache.TimestampMicrosecond(zone),
      nanosecond: new Apache.TimestampNanosecond(zone)
    }[unit]
  )
})

const timeKind = (unit: "microsecond" | "nanosecond"): Kind => ({
  type: { kind: "time", bits: 64, unit },
  value: (random) => below(random, 86_400n * perSecond[unit]),
  text: (value) => iso(value as bigint, unit, 6).slice(11),
  json: (value) => `"${iso(value as bigint, unit, 9).slice(11)}"`,
  apache: words64(unit === "microsecond" ? new Apache.TimeMicrosecond() : new Apache.TimeNanosecond())
})

const dateKind: Kind = {
  type: { kind: "date", unit: "day" },
  value: (random) =>
    BigInt(Date.parse(pick(random, instants)) / 86_400_000) - below(random, 1000n) * (random() < 0.5 ? 0n : 1n),
  text: (value) => {
    const date = new Date(Number(value) * 86_400_000)
    const year = date.getUTCFullYear()
    const day = date.toISOString().slice(-20, -14)
    return year > 0 ? `${String(year).padStart(4, "0")}${day}` : `${String(1 - year).padStart(4, "0")}${day} BC`
  },
  json: (value) => {
    const text = new Date(Number(value) * 86_400_000).toISOString()
    return `"${text.slice(0, text.indexOf("T"))}"`
  },
  apache: (values) => {
    const epoch = values.map((value) => value === null ? null : new Date(Number(value) * 86_400_000))
    return Apache.vectorFromArray(epoch, new Apache.DateDay())
  }
}

const durationKind = (unit: TimeUnit): Kind => {
  const seconds = (ticks: bigint, digits: number) => {
    const size = ticks < 0n ? -ticks : ticks
    const fraction = (size % perSecond[unit]).toString().padStart(fractionDigits[unit], "0").slice(0, digits)
    return `${ticks < 0n ? "-" : ""}${size / perSecond[unit]}${fractionDigits[unit] === 0 ? "" : `.${fraction}`}`
  }
  return {
    type: { kind: "duration", unit },
    value: (random) => (random() < 0.5 ? -1n : 1n) * below(random, 10n ** 12n),
    text: (value) => {
      // Up to PostgreSQL 14 the text of an interval must not have a number above 2147483647.
      const hour = 3600n * perSecond[unit]
      const hours = (value as bigint) / hour
      if (unit !== "nanosecond") return `${hours} hours ${seconds((value as bigint) % hour, 6)} seconds`
      return `${floorDivide(value as bigint, 1000n)} microseconds`
    },
    json: (value) => `"PT${seconds(value as bigint, 9)}S"`,
    apache: words64(new Apache.Duration(["second", "millisecond", "microsecond", "nanosecond"].indexOf(unit)))
  }
}

const boolKind: Kind = {
  type: { kind: "bool" },
  value: (random) => random() < 0.5,
  text: bare,
  json: bare,
  apache: (values) => Apache.vectorFromArray(values, new Apache.Bool())
}

export const scalarKinds: ReadonlyArray<Kind> = [
  boolKind,
  ...([8, 16, 32, 64] as const).flatMap((bits) => [intKind(bits, true), intKind(bits, false)]),
  floatKind(32),
  floatKind(64),
  ...[0, 1, 2, 3, 4, 18, 37, 38, -1, -5].map((scale) => decimalKind(128, 38, scale)),
  ...[0, 6, 75, 76, -7].map((scale) => decimalKind(256, 76, scale)),
  decimalKind(32, 9, 4),
  decimalKind(64, 18, 18),
  ...([32, 64, "view"] as const).flatMap((offsets) => [textKind(offsets), binaryKind(offsets)]),
  fixedKind(20),
  fixedKind(32),
  ...(["second", "millisecond", "microsecond", "nanosecond"] as const).flatMap((unit) => [
    timestampKind(unit, "+00:00"),
    timestampKind(unit, undefined),
    durationKind(unit)
  ]),
  timeKind("microsecond"),
  timeKind("nanosecond"),
  dateKind
]

const maybe = (random: Random, kind: Kind): Value =>
  random() < 0.2 && kind.type.kind !== "union" ? null : kind.value(random)
const jsonOf = (kind: Kind, value: Value) => value === null ? "null" : kind.json(value)
const some = (random: Random, kind: Kind) => Array.from({ length: Math.floor(random() * 4) }, () => maybe(random, kind))

const arrayText = (kind: Kind) => (value: Value): string =>
  `{${
    (value as ReadonlyArray<Value>)
      .map((item) => item === null ? "NULL" : `"${kind.text(item).replaceAll("\\", "\\\\").replaceAll("\"", "\\\"")}"`)
      .join(",")
  }}`

const arrayJson = (kind: Kind) => (value: Value) =>
  `[${(value as ReadonlyArray<Value>).map((item) => jsonOf(kind, item)).join(",")}]`

export const arrayOf = (offsets: 32 | 64 | "view32" | "view64", kind: Kind): Kind => ({
  type: { kind: "list", offsets, item: field("item", kind.type) },
  value: (random) => some(random, kind),
  text: arrayText(kind),
  json: arrayJson(kind)
})

export const fixedArrayOf = (size: number, kind: Kind): Kind => ({
  type: { kind: "fixedSizeList", size, item: field("item", kind.type) },
  value: (random) => Array.from({ length: size }, () => maybe(random, kind)),
  text: arrayText(kind),
  json: arrayJson(kind)
})

/** Stored as JSONB, where the JSON is the text. */
const asJson = (kind: Omit<Kind, "text">): Kind => ({ ...kind, text: kind.json })

export const jsonListOf = (kind: Kind): Kind => asJson(arrayOf(32, kind))

export const structOf = (kinds: ReadonlyArray<Kind>): Kind => {
  const names = kinds.map((_, index) => index === 0 ? "to \"é\"" : `f${index}`)
  return asJson({
    type: { kind: "struct", fields: kinds.map((kind, index) => field(names[index]!, kind.type)) },
    value: (random) => kinds.map((kind) => maybe(random, kind)),
    json: (value) =>
      `{${
        kinds.map((kind, index) =>
          `${JSON.stringify(names[index])}:${jsonOf(kind, (value as ReadonlyArray<Value>)[index]!)}`
        ).join(",")
      }}`
  })
}

export const mapOf = (kind: Kind): Kind =>
  asJson({
    type: {
      kind: "map",
      key: field("key", { kind: "utf8", offsets: 32 }, false),
      value: field("value", kind.type),
      keysSorted: false
    },
    value: (random) => some(random, kind).map((value, index) => [`${pick(random, texts)}${index}`, value]),
    json: (value) =>
      `{${
        (value as ReadonlyArray<readonly [string, Value]>).map(([key, of]) =>
          `${JSON.stringify(key)}:${jsonOf(kind, of)}`
        ).join(",")
      }}`
  })

export const unionOf = (mode: "sparse" | "dense", kinds: ReadonlyArray<Kind>): Kind =>
  asJson({
    type: {
      kind: "union",
      mode,
      typeIds: kinds.map((_, index) => index + 3),
      fields: kinds.map((kind, index) => field(`m${index}`, kind.type))
    },
    value: (random) => {
      const member = Math.floor(random() * kinds.length)
      return [BigInt(member), maybe(random, kinds[member]!)]
    },
    json: (value) => {
      const [member, of] = value as readonly [bigint, Value]
      return `{"m${member}":${jsonOf(kinds[Number(member)]!, of)}}`
    }
  })

export const dictionaryOf = (bits: 8 | 16 | 32 | 64, kind: Kind): Kind => ({
  ...kind,
  type: { kind: "dictionary", id: 0n, index: { kind: "int", bits, signed: bits > 8 }, value: kind.type },
  apache: undefined as never
})

export const runsOf = (bits: 16 | 32 | 64, kind: Kind): Kind => ({
  ...kind,
  type: {
    kind: "runEndEncoded",
    runEnds: field("run_ends", { kind: "int", bits, signed: true }, false),
    values: field("values", kind.type)
  },
  apache: undefined as never
})
