import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import type { ArrowType } from "../../../src/domain/arrow/ArrowSchema.ts"
import { batchOf, columnOf, field, type Value } from "../arrow/columns.ts"
import { encodedField, encodedRows } from "./encodedField.ts"

const utf8 = { kind: "utf8", offsets: 32 } as const
const int64 = { kind: "int", bits: 64, signed: true } as const
const struct = (type: ArrowType): ArrowType => ({ kind: "struct", fields: [field("v", type)] })
const map = (key: ArrowType, value: ArrowType = int64): ArrowType => ({
  kind: "map",
  key: field("key", key),
  value: field("value", value),
  keysSorted: false
})

/** The JSON text of one value; its frame is int32 length and the version byte 1. */
const textOf = (type: ArrowType, value: Value, textNul: "refuse" | "replace" = "refuse"): string => {
  const bytes = Buffer.from(encodedField(batchOf([columnOf(field("c", type), [value])]), 0, textNul), "hex")
  assert.strictEqual(bytes.readInt32BE(0), bytes.length - 4)
  assert.strictEqual(bytes[4], 1)
  return bytes.subarray(5).toString("utf8")
}

/** The JSON text of a value inside a struct. */
const inside = (type: ArrowType, value: Value): string => textOf(struct(type), [value]).slice("{\"v\":".length, -1)

const problemOf = (type: ArrowType, value: Value, textNul: "refuse" | "replace" = "refuse"): string =>
  Result.getOrThrow(Result.flip(encodedRows(batchOf([columnOf(field("c", type), [value])]), 0, 1, textNul))).reason

describe("values inside JSONB", () => {
  it("writes integers as bare digits, exact beyond 2^53", () => {
    assert.strictEqual(inside({ kind: "int", bits: 64, signed: false }, 2n ** 64n - 1n), "18446744073709551615")
    assert.strictEqual(inside(int64, -(2n ** 63n)), "-9223372036854775808")
    assert.strictEqual(inside({ kind: "int", bits: 8, signed: true }, -128n), "-128")
  })

  it("writes decimals as strings with every digit of their scale", () => {
    const decimal = (scale: number, value: bigint) =>
      inside({ kind: "decimal", bits: 128, precision: 38, scale }, value)
    assert.deepStrictEqual([decimal(2, 110n), decimal(2, -5n), decimal(0, 7n), decimal(-2, 7n), decimal(3, 0n)], [
      "\"1.10\"",
      "\"-0.05\"",
      "\"7\"",
      "\"700\"",
      "\"0.000\""
    ])
    const most = 10n ** 76n - 1n
    assert.strictEqual(
      inside({ kind: "decimal", bits: 256, precision: 76, scale: 76 }, -most),
      `"-0.${"9".repeat(76)}"`
    )
  })

  it("writes floats with the fewest digits, and those that are no JSON number as strings", () => {
    const double = (value: number) => inside({ kind: "float", bits: 64 }, value)
    const single = (value: number) => inside({ kind: "float", bits: 32 }, value)
    assert.deepStrictEqual([0.1, 1e300, -0, NaN, Infinity, -Infinity].map(double), [
      "0.1",
      "1e+300",
      "-0",
      "\"NaN\"",
      "\"Infinity\"",
      "\"-Infinity\""
    ])
    assert.deepStrictEqual([0.1, 16777216, 1e-45, 3.4028234663852886e38].map(single), [
      "0.1",
      "16777216",
      "1e-45",
      "3.4028235e+38"
    ])
    assert.strictEqual(inside({ kind: "float", bits: 16 }, 0x3555), "0.333251953125")
  })

  it("writes binary as lower-case hex and text escaped", () => {
    assert.strictEqual(inside({ kind: "fixedSizeBinary", width: 3 }, Uint8Array.of(0, 0xab, 0xff)), "\"0x00abff\"")
    const text = "\"\\/\b\f\n\r\t\u0001\u007fé😀"
    assert.strictEqual(JSON.parse(inside(utf8, text)), text)
  })

  it("writes dates and times with all digits of their unit, also in far years", () => {
    const timestamp = (value: bigint, unit: "second" | "nanosecond", timezone?: string) =>
      inside({ kind: "timestamp", unit, timezone }, value)
    assert.strictEqual(timestamp(1_709_164_799_123_456_789n, "nanosecond", "UTC"), "\"2024-02-28T23:59:59.123456789Z\"")
    assert.strictEqual(timestamp(-1n, "nanosecond"), "\"1969-12-31T23:59:59.999999999\"")
    assert.strictEqual(timestamp(951_782_400n, "second"), "\"2000-02-29T00:00:00\"")
    assert.strictEqual(timestamp(-62_167_219_200n, "second"), "\"0000-01-01T00:00:00\"")
    assert.strictEqual(timestamp(-62_167_219_201n, "second"), "\"-000001-12-31T23:59:59\"")
    assert.strictEqual(timestamp(253_402_300_800n, "second"), "\"+010000-01-01T00:00:00\"")
    assert.strictEqual(timestamp(2n ** 63n - 1n, "second"), "\"+292277026596-12-04T15:30:07\"")
    assert.strictEqual(inside({ kind: "date", unit: "day" }, -(2n ** 31n)), "\"-5877641-06-23\"")
    assert.strictEqual(inside({ kind: "time", bits: 32, unit: "millisecond" }, 1n), "\"00:00:00.001\"")
    assert.strictEqual(inside({ kind: "duration", unit: "nanosecond" }, -1n), "\"PT-0.000000001S\"")
    assert.strictEqual(inside({ kind: "interval", unit: "yearMonth" }, [-14n]), "\"P-14M\"")
    assert.strictEqual(inside({ kind: "interval", unit: "dayTime" }, [3n, -1500n]), "\"P0M3DT-1.500S\"")
    assert.strictEqual(inside({ kind: "interval", unit: "monthDayNano" }, [1n, -2n, 5n]), "\"P1M-2DT0.000000005S\"")
  })

  it("agrees with JavaScript's calendar on every day of eight centuries", () => {
    const days = Array.from({ length: 292_194 }, (_, index) => index - 146_097)
    const column = columnOf(
      field("c", { kind: "list", offsets: 32, item: field("item", struct({ kind: "date", unit: "day" })) }),
      [
        days.filter((day) => day % 7 === 0).map((day) => [BigInt(day)])
      ]
    )
    const bytes = Result.getOrThrow(encodedRows(batchOf([column]), 0, 1))
    const text = Buffer.from(bytes.subarray(7, bytes.length - 20)).toString("utf8")
    const expected = days.filter((day) => day % 7 === 0).map((day) => ({
      v: new Date(day * 86_400_000).toISOString().slice(0, 10)
    }))
    assert.strictEqual(text, JSON.stringify(expected))
  })

  it("distinguishes a NULL column from a null inside", () => {
    assert.strictEqual(encodedField(batchOf([columnOf(field("c", struct(utf8)), [null])]), 0), "ffffffff")
    assert.strictEqual(textOf(struct(utf8), [null]), "{\"v\":null}")
  })

  it("turns keys of maps into strings", () => {
    assert.strictEqual(textOf(map(utf8), [["a\"", 1n], ["", null]]), "{\"a\\\"\":1,\"\":null}")
    assert.strictEqual(textOf(map(int64), [[-1n, 1n], [2n, 2n]]), "{\"-1\":1,\"2\":2}")
    assert.strictEqual(textOf(map({ kind: "bool" }), [[true, 1n]]), "{\"true\":1}")
    assert.strictEqual(textOf(map({ kind: "float", bits: 64 }), [[NaN, 1n], [1.5, 2n]]), "{\"NaN\":1,\"1.5\":2}")
  })

  it("rejects a map in which a key comes twice or is null, of which JSONB would lose a value", () => {
    assert.strictEqual(
      problemOf(map(utf8), [["a", 1n], ["b", 2n], ["a", 3n]]),
      "it is a map in which a key comes twice"
    )
    assert.strictEqual(problemOf(map(utf8), [[null, 1n]]), "it is a map with a key that is null")
    assert.strictEqual(textOf(map(utf8), [["null", 1n]]), "{\"null\":1}")
  })

  it("rejects a map in which two keys are one once NUL is replaced", () => {
    const keys = ["a\u0000", "a\ufffd"].map((key) => [key, 1n])
    for (const entries of [keys, keys.toReversed()]) {
      assert.strictEqual(problemOf(map(utf8), entries, "replace"), "it is a map in which a key comes twice")
    }
    assert.deepStrictEqual(JSON.parse(textOf(map(utf8), [["a\u0000", 1n], ["a", 2n]], "replace")), {
      "a\ufffd": 1,
      a: 2
    })
  })

  it("rejects NUL and broken UTF-8 inside, or replaces NUL when configured", () => {
    assert.include(problemOf(struct(utf8), ["a\u0000"]), "NUL")
    assert.include(problemOf(struct(utf8), [Uint8Array.of(0xff)]), "UTF-8")
    assert.strictEqual(JSON.parse(textOf(struct(utf8), ["a\u0000"], "replace")).v, "a\ufffd")
  })

  it("rejects times that are none and dates with a time of day", () => {
    assert.include(problemOf(struct({ kind: "time", bits: 32, unit: "second" }), [-1n]), "no time of day")
    assert.include(problemOf(struct({ kind: "time", bits: 32, unit: "second" }), [86_401n]), "no time of day")
    assert.include(problemOf(struct({ kind: "date", unit: "millisecond" }), [1n]), "time of day")
  })
})
