import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import type { ArrowField, ArrowType } from "../../../src/domain/arrow/ArrowSchema.ts"
import { planColumns } from "../../../src/domain/postgres/types/PgType.ts"
import { field } from "../arrow/columns.ts"

const uint64 = { kind: "int", bits: 64, signed: false } as const
const utf8 = { kind: "utf8", offsets: 32 } as const
const fixed = (width: number) => ({ kind: "fixedSizeBinary", width }) as const
const list = (item: ArrowType): ArrowType => ({ kind: "list", offsets: 32, item: field("item", item) })
const struct = (...fields: ReadonlyArray<ArrowField>): ArrowType => ({ kind: "struct", fields })

const plan = (...fields: ReadonlyArray<ArrowField>) => planColumns({ fields })
const typeOf = (type: ArrowType): string => Result.getOrThrow(plan(field("c", type)))[0]!.type
const problems = (...fields: ReadonlyArray<ArrowField>) => Result.getOrThrow(Result.flip(plan(...fields)))

describe("planColumns", () => {
  it("gives the columns of the EVM tables their types", () => {
    const decimal = { kind: "decimal", bits: 128, precision: 38, scale: 0 } as const
    const fields = [
      field("_block_num", uint64, false),
      field("block_num", uint64, false),
      field("timestamp", { kind: "timestamp", unit: "nanosecond", timezone: "+00:00" }, false),
      field("tx_index", { kind: "int", bits: 32, signed: false }, false),
      field("gas_limit", uint64, false),
      field("to", fixed(20)),
      field("gas_price", decimal),
      field("input", { kind: "binary", offsets: 32 }, false),
      field("value", utf8, false),
      field("type", { kind: "int", bits: 32, signed: true }, false),
      field("status", { kind: "bool" }, false),
      field("blob_versioned_hashes", list(fixed(32))),
      field(
        "access_list",
        list(struct(field("address", fixed(20), false), field("storage_keys", list(fixed(32)), false)))
      )
    ]
    assert.deepStrictEqual(
      Result.getOrThrow(plan(...fields)).map(({ name, nullable, type }) => [name, type, nullable]),
      [
        ["_block_num", "bigint", false],
        ["block_num", "bigint", false],
        ["timestamp", "timestamp with time zone", false],
        ["tx_index", "bigint", false],
        ["gas_limit", "numeric(20,0)", false],
        ["to", "bytea", true],
        ["gas_price", "numeric(38,0)", true],
        ["input", "bytea", false],
        ["value", "text", false],
        ["type", "integer", false],
        ["status", "boolean", false],
        ["blob_versioned_hashes", "bytea[]", true],
        ["access_list", "jsonb", true]
      ]
    )
  })

  it("declares decimals so that every version of PostgreSQL can store every digit", () => {
    const decimal = (precision: number, scale: number) => typeOf({ kind: "decimal", bits: 128, precision, scale })
    assert.deepStrictEqual([decimal(38, 0), decimal(38, 38), decimal(5, 7), decimal(5, -2), decimal(38, -900)], [
      "numeric(38,0)",
      "numeric(38,38)",
      "numeric(7,7)",
      "numeric(7,0)",
      "numeric(938,0)"
    ])
  })

  it("stores lists of scalars as arrays and anything deeper as JSONB", () => {
    assert.deepStrictEqual(
      [
        list(uint64),
        list({ kind: "null" }),
        list(list(uint64)),
        list(struct(field("a", utf8))),
        struct(field("a", utf8))
      ]
        .map(typeOf),
      ["numeric(20,0)[]", "text[]", "jsonb", "jsonb", "jsonb"]
    )
    assert.strictEqual(
      typeOf({ kind: "map", key: field("k", utf8), value: field("v", list(utf8)), keysSorted: false }),
      "jsonb"
    )
  })

  it("resolves dictionaries and runs to their values", () => {
    const index = { kind: "int", bits: 32, signed: true } as const
    const runEnds = field("run_ends", index, false)
    assert.strictEqual(typeOf({ kind: "dictionary", id: 0n, index, value: list(utf8) }), "text[]")
    assert.strictEqual(typeOf(list({ kind: "dictionary", id: 0n, index, value: utf8 })), "text[]")
    assert.strictEqual(typeOf({ kind: "runEndEncoded", runEnds, values: field("values", uint64) }), "numeric(20,0)")
    const nullableValues: ArrowType = { kind: "runEndEncoded", runEnds, values: field("values", utf8, true) }
    assert.isTrue(Result.getOrThrow(plan(field("c", nullableValues, false)))[0]!.nullable)
  })

  it("keeps block numbers in BIGINT only at the top and only when they are integers", () => {
    const small = { kind: "int", bits: 16, signed: false } as const
    assert.strictEqual(Result.getOrThrow(plan(field("block_num", small)))[0]!.type, "bigint")
    assert.strictEqual(Result.getOrThrow(plan(field("block_num", utf8)))[0]!.type, "text")
    assert.strictEqual(Result.getOrThrow(plan(field("Block_Num", uint64)))[0]!.type, "numeric(20,0)")
  })

  it("rejects all columns without a lossless PostgreSQL type in one error, each with its reason", () => {
    const key = field("key", struct(field("a", utf8)))
    const error = problems(
      field("fine", utf8),
      field("x".repeat(64), utf8),
      field("twice", utf8),
      field("twice", uint64),
      field("xmin", utf8),
      field("_row_index", uint64),
      field("map", { kind: "map", key, value: field("v", utf8), keysSorted: false }),
      field("same", struct(field("a", utf8), field("a", utf8))),
      field("wide", { kind: "decimal", bits: 128, precision: 38, scale: -963 })
    )
    assert.deepStrictEqual(error.columns.map(({ arrowType, column, reason }) => [column, arrowType, reason]), [
      ["x".repeat(64), "Utf8", "it has 64 bytes, and PostgreSQL keeps only 63; choose a shorter alias"],
      ["twice", "UInt64", "two columns have this name; give one of them an alias"],
      ["xmin", "Utf8", "PostgreSQL has a system column of this name; choose another alias"],
      ["_row_index", "UInt64", "this name belongs to Ampsync; choose another alias"],
      ["map", "Map<Struct<a: Utf8>, Utf8>", "a key of Struct<a: Utf8> cannot be the key of a JSON object"],
      ["same", "Struct<a: Utf8, a: Utf8>", "two of its fields are called \"a\""],
      ["wide", "Decimal128(38, -963)", "Decimal128(38, -963) has more than the 1000 digits PostgreSQL allows"]
    ])
    assert.include(error.message, "column \"xmin\" (Utf8): PostgreSQL has a system column")
  })

  it("rejects more columns than a table can have", () => {
    const fields = Array.from({ length: 1599 }, (_, index) => field(`c${index}`, utf8))
    assert.isTrue(Result.isSuccess(plan(...fields.slice(0, 1598))))
    assert.include(problems(...fields).message, "1599 columns")
  })
})
