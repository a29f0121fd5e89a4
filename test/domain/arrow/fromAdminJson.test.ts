import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import type { ArrowType } from "../../../src/domain/arrow/ArrowSchema.ts"
import { fieldsFromAdminJson } from "../../../src/domain/arrow/fromAdminJson.ts"

const typeOf = (type: unknown): ArrowType =>
  Result.getOrThrow(fieldsFromAdminJson([{ name: "c", type, nullable: true }])).fields[0]!.type

const problemOf = (fields: unknown): string => Result.getOrThrow(Result.flip(fieldsFromAdminJson(fields))).message

const nested = (name: string, type: unknown) => ({
  name,
  data_type: type,
  nullable: false,
  dict_id: 0,
  dict_is_ordered: false,
  metadata: {}
})

const int = (bits: 8 | 16 | 32 | 64, signed = true): ArrowType => ({ kind: "int", bits, signed })

const column = (
  type: unknown
) => [{ name: "ok", type: "Utf8", nullable: true }, { name: "bad", type, nullable: true }]

describe("Arrow types of the Admin API", () => {
  it("reads every type that is a name", () => {
    const names =
      "Null Boolean Int8 Int16 Int32 Int64 UInt8 UInt16 UInt32 UInt64 Float16 Float32 Float64 Date32 Date64 Binary "
      + "LargeBinary BinaryView Utf8 LargeUtf8 Utf8View"
    assert.deepStrictEqual(names.split(" ").map(typeOf), [
      { kind: "null" },
      { kind: "bool" },
      ...([8, 16, 32, 64] as const).map((bits) => int(bits)),
      ...([8, 16, 32, 64] as const).map((bits) => int(bits, false)),
      ...([16, 32, 64] as const).map((bits): ArrowType => ({ kind: "float", bits })),
      { kind: "date", unit: "day" },
      { kind: "date", unit: "millisecond" },
      ...([32, 64, "view"] as const).map((offsets): ArrowType => ({ kind: "binary", offsets })),
      ...([32, 64, "view"] as const).map((offsets): ArrowType => ({ kind: "utf8", offsets }))
    ])
  })

  it("reads times, intervals, decimals and fixed-size binary", () => {
    assert.deepStrictEqual(typeOf({ Timestamp: ["Nanosecond", "+00:00"] }), {
      kind: "timestamp",
      unit: "nanosecond",
      timezone: "+00:00"
    })
    assert.deepStrictEqual(typeOf({ Timestamp: ["Second", null] }), {
      kind: "timestamp",
      unit: "second",
      timezone: undefined
    })
    assert.deepStrictEqual(typeOf({ Time32: "Millisecond" }), { kind: "time", bits: 32, unit: "millisecond" })
    assert.deepStrictEqual(typeOf({ Time64: "Microsecond" }), { kind: "time", bits: 64, unit: "microsecond" })
    assert.deepStrictEqual(typeOf({ Duration: "Nanosecond" }), { kind: "duration", unit: "nanosecond" })
    assert.deepStrictEqual(
      ["YearMonth", "DayTime", "MonthDayNano"].map((unit) => typeOf({ Interval: unit })),
      (["yearMonth", "dayTime", "monthDayNano"] as const).map((unit): ArrowType => ({ kind: "interval", unit }))
    )
    assert.deepStrictEqual(
      [["Decimal32", 9, 2], ["Decimal64", 18, 2], ["Decimal128", 38, 0], ["Decimal256", 76, -3]].map((
        [name, ...sizes]
      ) => typeOf({ [name!]: sizes })),
      ([[32, 9, 2], [64, 18, 2], [128, 38, 0], [256, 76, -3]] as const).map(([bits, precision, scale]): ArrowType => ({
        kind: "decimal",
        bits,
        precision,
        scale
      }))
    )
    assert.deepStrictEqual(typeOf({ FixedSizeBinary: 32 }), { kind: "fixedSizeBinary", width: 32 })
  })

  it("reads nested types, whose fields have data_type", () => {
    const item = nested("item", "Utf8")
    const utf8 = { name: "item", type: { kind: "utf8", offsets: 32 }, nullable: false } as const
    const layouts = [["List", 32], ["LargeList", 64], ["ListView", "view32"], ["LargeListView", "view64"]] as const
    for (const [name, offsets] of layouts) {
      assert.deepStrictEqual(typeOf({ [name]: item }), { kind: "list", offsets, item: utf8 })
    }
    assert.deepStrictEqual(typeOf({ FixedSizeList: [item, 3] }), { kind: "fixedSizeList", size: 3, item: utf8 })
    assert.deepStrictEqual(typeOf({ Struct: [item] }), { kind: "struct", fields: [utf8] })
    assert.deepStrictEqual(typeOf({ Map: [nested("entries", { Struct: [item, item] }), false] }), {
      kind: "map",
      key: utf8,
      value: utf8,
      keysSorted: false
    })
    assert.deepStrictEqual(typeOf({ Dictionary: ["Int32", "Utf8"] }), {
      kind: "dictionary",
      id: 0n,
      index: { kind: "int", bits: 32, signed: true },
      value: utf8.type
    })
    assert.deepStrictEqual(typeOf({ Union: [[[0, item], [5, item]], "Dense"] }), {
      kind: "union",
      mode: "dense",
      typeIds: [0, 5],
      fields: [utf8, utf8]
    })
    const runEnds = { name: "run_ends", type: int(32), nullable: false }
    assert.deepStrictEqual(typeOf({ RunEndEncoded: [nested("run_ends", "Int32"), item] }), {
      kind: "runEndEncoded",
      runEnds,
      values: utf8
    })
  })

  it("names the field of an unknown type", () => {
    assert.include(problemOf(column("Uint64")), "the column \"bad\"")
    assert.include(problemOf(column("Uint64")), "there is no Arrow type \"Uint64\"")
    assert.include(problemOf(column({ List: nested("item", "Text") })), "the column \"bad.item\"")
    assert.include(problemOf(column({ Time32: "Nanosecond" })), "\"Nanosecond\" is no argument of Time32")
    for (
      const type of [null, undefined, 7, [], {}, { Utf8: null, Int8: null }, { Decimal128: [39, 0] }, { Map: [[], 1] }]
    ) {
      assert.include(problemOf(column(type)), "the column \"bad\"")
    }
  })

  it("rejects what is no list of fields", () => {
    for (
      const fields of [undefined, null, {}, "Utf8", [null], [{ type: "Utf8", nullable: true }], [{
        name: "a",
        type: "Utf8"
      }]]
    ) {
      assert.isTrue(Result.isFailure(fieldsFromAdminJson(fields)))
    }
  })

  it("rejects a type nested without end", () => {
    let type: unknown = "Utf8"
    for (let depth = 0; depth < 10_000; depth++) type = { Dictionary: ["Int32", type] }
    assert.include(problemOf([{ name: "deep", type, nullable: true }]), "nested more than 64 levels")
  })
})
