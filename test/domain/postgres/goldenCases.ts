/**
 * Values of every type twice: as the Arrow value to encode, and as the SQL with which PostgreSQL writes the same value.
 *
 * `scripts/capture-goldens.ts` gets the bytes of the SQL from a server; the tests compare the encoders with them.
 */
import type { ArrowField, ArrowType, TimeUnit } from "../../../src/domain/arrow/ArrowSchema.ts"
import { field, type Value } from "../arrow/columns.ts"

export interface GoldenCase {
  readonly arrow: ArrowField
  readonly value: Value
  readonly sql: string
}

const of = (type: ArrowType, ...cases: ReadonlyArray<readonly [Value, string]>): ReadonlyArray<GoldenCase> =>
  cases.map(([value, sql]) => ({ arrow: field("value", type), value, sql }))

const int = (bits: 8 | 16 | 32 | 64, signed: boolean) => ({ kind: "int", bits, signed }) as const
const decimal = (bits: 32 | 64 | 128 | 256, precision: number, scale: number): ArrowType => ({
  kind: "decimal",
  bits,
  precision,
  scale
})
const timestamp = (unit: TimeUnit, timezone?: string): ArrowType => ({ kind: "timestamp", unit, timezone })
const utf8 = { kind: "utf8", offsets: 32 } as const
const list = (item: ArrowType): ArrowType => ({ kind: "list", offsets: 32, item: field("item", item) })
const hex = (digits: string) => Uint8Array.from(Buffer.from(digits, "hex"))

const bytes32 = "00112233445566778899aabbccddeeff".repeat(2)

const integers = [
  ...of(int(8, true), [-128n, "'-128'::smallint"], [127n, "'127'::smallint"]),
  ...of(int(8, false), [255n, "'255'::smallint"]),
  ...of(int(16, true), [-32768n, "'-32768'::smallint"], [32767n, "'32767'::smallint"]),
  ...of(int(16, false), [65535n, "'65535'::integer"], [0n, "'0'::integer"]),
  ...of(int(32, true), [-2147483648n, "'-2147483648'::integer"], [2147483647n, "'2147483647'::integer"]),
  ...of(int(32, false), [4294967295n, "'4294967295'::bigint"], [2147483648n, "'2147483648'::bigint"]),
  ...of(
    int(64, true),
    [-9223372036854775808n, "'-9223372036854775808'::bigint"],
    [9223372036854775807n, "'9223372036854775807'::bigint"],
    [-1n, "'-1'::bigint"],
    [9007199254740993n, "'9007199254740993'::bigint"]
  ),
  ...of(
    int(64, false),
    ...["0", "1", "9999", "10000", "100000000", "9007199254740991", "9007199254740992", "9007199254740993"]
      .map((digits) => [BigInt(digits), `'${digits}'::numeric(20,0)`] as const),
    ...["9223372036854775807", "9223372036854775808", "10000000000000000000", "18446744073709551615"]
      .map((digits) => [BigInt(digits), `'${digits}'::numeric(20,0)`] as const)
  )
]

/** The decimal `unscaled * 10^-scale` in digits, with `scale` of them after the decimal point. */
const digits = (unscaled: bigint, scale: number): string => {
  if (scale <= 0) return `${unscaled}${unscaled === 0n ? "" : "0".repeat(-scale)}`
  const all = (unscaled < 0n ? -unscaled : unscaled).toString().padStart(scale + 1, "0")
  return `${unscaled < 0n ? "-" : ""}${all.slice(0, -scale)}.${all.slice(-scale)}`
}

const decimals = (bits: 32 | 64 | 128 | 256, precision: number, scales: ReadonlyArray<number>) => {
  const largest = 10n ** BigInt(precision) - 1n
  const values = [0n, 1n, -1n, 5n, 10n, 100n, 9999n, 10000n, -10000n, 12345n, 99999999n, 100000000n]
    .filter((value) => value <= largest && value >= -largest)
    .concat(largest, -largest, 10n ** BigInt(precision - 1), (1n << BigInt(Math.floor(precision * 3.2))) + 1n)
  return scales.flatMap((scale) => {
    const declared = `numeric(${Math.max(precision - Math.min(scale, 0), scale)},${Math.max(scale, 0)})`
    return of(
      decimal(bits, precision, scale),
      ...[...new Set(values)].map((value) => [value, `'${digits(value, scale)}'::${declared}`] as const)
    )
  })
}

const numbers = [
  ...decimals(32, 9, [0, 2, 9, -3]),
  ...decimals(64, 18, [0, 1, 18, -1]),
  ...decimals(128, 38, [0, 1, 2, 3, 4, 5, 18, 37, 38, 40, -1, -2, -4, -10]),
  ...decimals(256, 76, [0, 7, 18, 76, -5]),
  ...of(
    { kind: "float", bits: 16 },
    [0x3c00, "'1'::real"],
    [0xc000, "'-2'::real"],
    [0x7bff, "'65504'::real"],
    [0x0001, "'5.9604645e-08'::real"],
    [0x8000, "'-0'::real"],
    [0x7c00, "'Infinity'::real"],
    [0x7e00, "'NaN'::real"]
  ),
  ...of(
    { kind: "float", bits: 32 },
    [1.5, "'1.5'::real"],
    [Math.fround(3.4028234663852886e38), "'3.4028235e+38'::real"],
    [-0, "'-0'::real"],
    [-Infinity, "'-Infinity'::real"],
    [NaN, "'NaN'::real"]
  ),
  ...of(
    { kind: "float", bits: 64 },
    [0.1, "'0.1'::double precision"],
    [5e-324, "'5e-324'::double precision"],
    [1.7976931348623157e308, "'1.7976931348623157e308'::double precision"],
    [-0, "'-0'::double precision"],
    [Infinity, "'Infinity'::double precision"],
    [NaN, "'NaN'::double precision"]
  )
]

const texts = ["", "a", "0x", "héllo", "日本語", "😀 and \"quotes\" \\ and ' too", "tab\tnew\nline", "x".repeat(300)]

const textsAndBytes = [
  ...of({ kind: "bool" }, [true, "true"], [false, "false"]),
  ...of({ kind: "null" }, [null, "NULL::text"]),
  ...(["view", 32, 64] as const).flatMap((offsets) => [
    ...of({ kind: "utf8", offsets }, ...texts.map((text) => [text, `'${text.replaceAll("'", "''")}'::text`] as const)),
    ...of({ kind: "utf8", offsets }, [null, "NULL::text"]),
    ...of(
      { kind: "binary", offsets },
      ...["", "00", "ff00", "0102030405060708090a0b0c", "0102030405060708090a0b0c0d", bytes32, "ab".repeat(500)]
        .map((digits) => [hex(digits), `'\\x${digits}'::bytea`] as const)
    )
  ]),
  ...of({ kind: "fixedSizeBinary", width: 32 }, [hex(bytes32), `'\\x${bytes32}'::bytea`], [null, "NULL::bytea"]),
  ...of({ kind: "fixedSizeBinary", width: 20 }, [hex("de".repeat(20)), `'\\x${"de".repeat(20)}'::bytea`]),
  ...of({ kind: "fixedSizeBinary", width: 0 }, [hex(""), "'\\x'::bytea"])
]

const day = 86_400_000_000_000n

const times = [
  ...of(
    { kind: "date", unit: "day" },
    [0n, "'1970-01-01'::date"],
    [10957n, "'2000-01-01'::date"],
    [-1n, "'1969-12-31'::date"],
    [-2440588n, "'4714-11-24 BC'::date"],
    [2145042905n, "'5874897-12-31'::date"]
  ),
  ...of(
    { kind: "date", unit: "millisecond" },
    [0n, "'1970-01-01'::date"],
    [-86_400_000n, "'1969-12-31'::date"],
    [1_709_164_800_000n, "'2024-02-29'::date"],
    [-2440588n * 86_400_000n, "'4714-11-24 BC'::date"],
    [104_249_991n * 86_400_000n, "'287396-10-12'::date"],
    [104_249_992n * 86_400_000n, "'287396-10-13'::date"],
    [2145042905n * 86_400_000n, "'5874897-12-31'::date"]
  ),
  ...of({ kind: "time", bits: 32, unit: "second" }, [86399n, "'23:59:59'::time"], [86400n, "'24:00:00'::time"]),
  ...of({ kind: "time", bits: 32, unit: "millisecond" }, [1n, "'00:00:00.001'::time"]),
  ...of({ kind: "time", bits: 64, unit: "microsecond" }, [86_399_999_999n, "'23:59:59.999999'::time"]),
  ...of(
    { kind: "time", bits: 64, unit: "nanosecond" },
    [day - 1n, "'23:59:59.999999'::time"],
    [1999n, "'00:00:00.000001'::time"],
    [0n, "'00:00:00'::time"]
  ),
  ...(["+00:00", undefined] as const).flatMap((zone) => {
    const sql = zone === undefined ? "timestamp" : "timestamptz"
    const utc = zone === undefined ? "" : "+00"
    return [
      ...of(
        timestamp("nanosecond", zone),
        [0n, `'1970-01-01 00:00:00${utc}'::${sql}`],
        [1_700_000_000_123_456_789n, `'2023-11-14 22:13:20.123456${utc}'::${sql}`],
        [-1n, `'1969-12-31 23:59:59.999999${utc}'::${sql}`],
        [-1000n, `'1969-12-31 23:59:59.999999${utc}'::${sql}`],
        [-1001n, `'1969-12-31 23:59:59.999998${utc}'::${sql}`],
        [946_684_800_000_000_000n, `'2000-01-01 00:00:00${utc}'::${sql}`],
        [946_684_799_999_999_999n, `'1999-12-31 23:59:59.999999${utc}'::${sql}`],
        [9223372036854775807n, `'2262-04-11 23:47:16.854775${utc}'::${sql}`],
        [-9223372036854775808n, `'1677-09-21 00:12:43.145224${utc}'::${sql}`]
      ),
      ...of(
        timestamp("microsecond", zone),
        [-210_866_803_200_000_000n, `'4714-11-24 00:00:00${utc} BC'::${sql}`],
        [9223372036854775807n, `'294247-01-10 04:00:54.775807${utc}'::${sql}`]
      ),
      ...of(timestamp("millisecond", zone), [-1n, `'1969-12-31 23:59:59.999${utc}'::${sql}`]),
      ...of(
        timestamp("second", zone),
        [253_402_300_799n, `'9999-12-31 23:59:59${utc}'::${sql}`],
        [-210_866_803_200n, `'4714-11-24 00:00:00${utc} BC'::${sql}`],
        [9_224_318_015_999n, `'294276-12-31 23:59:59${utc}'::${sql}`]
      )
    ]
  }),
  ...of({ kind: "duration", unit: "second" }, [90061n, "'25:01:01'::interval"], [-1n, "'-00:00:01'::interval"]),
  ...of({ kind: "duration", unit: "millisecond" }, [-1500n, "'-00:00:01.5'::interval"]),
  ...of({ kind: "duration", unit: "microsecond" }, [1n, "'00:00:00.000001'::interval"]),
  ...of({ kind: "duration", unit: "nanosecond" }, [-1n, "'-00:00:00.000001'::interval"], [
    1999n,
    "'1 microsecond'::interval"
  ]),
  ...of({ kind: "interval", unit: "yearMonth" }, [[14n], "'1 year 2 months'::interval"], [
    [-1n],
    "'-1 month'::interval"
  ]),
  ...of({ kind: "interval", unit: "dayTime" }, [[3n, -1500n], "'3 days -1.5 seconds'::interval"]),
  ...of(
    { kind: "interval", unit: "monthDayNano" },
    [[1n, -2n, 3_000_000_001n], "'1 month -2 days 3 seconds'::interval"],
    [[-14n, 0n, -1n], "'-14 months -00:00:00.000001'::interval"]
  )
]

const item = (type: ArrowType) => field("item", type)

const lists = [
  ...of(list(int(64, true)), [[1n, -2n, null], "'{1,-2,NULL}'::bigint[]"], [[], "'{}'::bigint[]"], [
    null,
    "NULL::bigint[]"
  ]),
  ...of(list(int(64, false)), [[18446744073709551615n, 0n], "'{18446744073709551615,0}'::numeric(20,0)[]"]),
  ...of(list(int(8, false)), [[0n, 255n], "'{0,255}'::smallint[]"]),
  ...of(list(utf8), [["a", "", null, "x,\"y\""], "ARRAY['a', '', NULL, 'x,\"y\"']::text[]"]),
  ...of(list({ kind: "fixedSizeBinary", width: 2 }), [
    [hex("00ff"), hex("abcd")],
    "ARRAY['\\x00ff', '\\xabcd']::bytea[]"
  ]),
  ...of(list({ kind: "bool" }), [[true, null, false], "'{t,NULL,f}'::boolean[]"]),
  ...of(list(decimal(128, 38, 2)), [[110n, null], "'{1.10,NULL}'::numeric(38,2)[]"]),
  ...of(list(timestamp("nanosecond", "+00:00")), [[-1n], "'{1969-12-31 23:59:59.999999+00}'::timestamptz[]"]),
  ...of(list(timestamp("second")), [[0n], "'{1970-01-01 00:00:00}'::timestamp[]"]),
  ...of(list({ kind: "date", unit: "day" }), [[0n], "'{1970-01-01}'::date[]"]),
  ...of(list({ kind: "time", bits: 32, unit: "second" }), [[1n], "'{00:00:01}'::time[]"]),
  ...of(list({ kind: "duration", unit: "second" }), [[1n], "'{00:00:01}'::interval[]"]),
  ...of(list({ kind: "float", bits: 32 }), [[1.5], "'{1.5}'::real[]"]),
  ...of(list({ kind: "float", bits: 64 }), [[0.1, NaN], "'{0.1,NaN}'::double precision[]"]),
  ...of(list(int(32, true)), [[7n], "'{7}'::integer[]"]),
  ...of(list({ kind: "null" }), [[null, null], "'{NULL,NULL}'::text[]"]),
  ...([64, "view32", "view64"] as const).flatMap((offsets) =>
    of({ kind: "list", offsets, item: item(int(32, true)) }, [[1n, null, 3n], "'{1,NULL,3}'::integer[]"])
  ),
  ...of({ kind: "fixedSizeList", size: 3, item: item(int(32, true)) }, [[1n, null, 3n], "'{1,NULL,3}'::integer[]"]),
  ...of({ kind: "fixedSizeList", size: 0, item: item(int(32, true)) }, [[], "'{}'::integer[]"])
]

const index8 = int(8, true)

const indirect = [
  ...of({ kind: "dictionary", id: 0n, index: index8, value: utf8 }, ["word", "'word'::text"], [null, "NULL::text"]),
  ...of({ kind: "dictionary", id: 0n, index: int(64, false), value: decimal(128, 38, 0) }, [7n, "'7'::numeric(38,0)"]),
  ...of(
    { kind: "dictionary", id: 0n, index: int(16, false), value: list(int(32, true)) },
    [[1n], "'{1}'::integer[]"]
  ),
  ...of(list({ kind: "dictionary", id: 0n, index: index8, value: utf8 }), [
    ["a", null, "b", "a"],
    "'{a,NULL,b,a}'::text[]"
  ]),
  ...([16, 32, 64] as const).flatMap((bits) =>
    of(
      { kind: "runEndEncoded", runEnds: field("run_ends", int(bits, true), false), values: field("values", utf8) },
      ["word", "'word'::text"],
      [null, "NULL::text"]
    )
  )
]

export const goldenCases: ReadonlyArray<GoldenCase> = [
  ...integers,
  ...numbers,
  ...textsAndBytes,
  ...times,
  ...lists,
  ...indirect
]
