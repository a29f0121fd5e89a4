import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import type { ArrowType } from "../../../src/domain/arrow/ArrowSchema.ts"
import type { ColumnBatch } from "../../../src/domain/arrow/ColumnBatch.ts"
import { type EncodeError, makeCopyPlan } from "../../../src/domain/postgres/encode/encodeCopy.ts"
import { parseOverrideType } from "../../../src/domain/postgres/types/columnOverride.ts"
import { planColumns } from "../../../src/domain/postgres/types/PgType.ts"
import { encodeAll } from "../../support/encodeAll.ts"
import { batchOf, columnOf, field, type Value } from "../arrow/columns.ts"

const utf8: ArrowType = { kind: "utf8", offsets: 32 }
const uint64: ArrowType = { kind: "int", bits: 64, signed: false }
const decimal = (precision: number, scale: number, bits: 128 | 256 = 128): ArrowType => ({
  kind: "decimal",
  bits,
  precision,
  scale
})

const overrides = (column: string, type: string) => [{ column, type: parseOverrideType(type)! }]

const plan = (type: ArrowType, wanted: string, column = "value") =>
  planColumns({ fields: [field("value", type)] }, overrides(column, wanted))

const encode = (type: ArrowType, wanted: string, values: ReadonlyArray<Value>) => {
  const batch: ColumnBatch = batchOf([columnOf(field("value", type), values)])
  const columns = Result.getOrThrow(plan(type, wanted))
  const copy = makeCopyPlan({ columns, position: { kind: "rangeEnd" }, textNul: "refuse" })
  return encodeAll(copy, { batch, from: 0, to: values.length, range: { start: 0n, end: 7n }, cursor: undefined })
}

const rejection = (type: ArrowType, wanted: string, values: ReadonlyArray<Value>): EncodeError => {
  const encoded = encode(type, wanted, values)
  return Result.isFailure(encoded) ? encoded.failure : assert.fail(`accepted ${String(values)}`)
}

const accepts = (type: ArrowType, wanted: string, values: ReadonlyArray<Value>) =>
  assert.isTrue(Result.isSuccess(encode(type, wanted, values)), `${wanted} of ${String(values)}`)

describe("a column that the config gives another type", () => {
  it("has that type in the table", () => {
    const planned = Result.getOrThrow(plan(utf8, "numeric(78,0)"))
    assert.deepStrictEqual(planned.map(({ name, type }) => [name, type]), [["value", "numeric(78,0)"]])
  })

  it("may be a dictionary or run-end encoded", () => {
    const dictionary: ArrowType = {
      kind: "dictionary",
      id: 1n,
      index: { kind: "int", bits: 8, signed: true },
      value: utf8
    }
    accepts(dictionary, "numeric(3,0)", ["12", null, "12"])
    assert.match(rejection(dictionary, "numeric(3,0)", ["12", "1234"]).reason, /3 digits/)
  })

  it("keeps its own encoder where that type is its own already", () => {
    accepts(utf8, "text", ["x"])
    accepts({ kind: "int", bits: 32, signed: false }, "bigint", [4_294_967_295n])
  })

  it("is rejected with name, type and what is allowed, all of them at once", () => {
    const result = planColumns(
      {
        fields: [
          field("flag", { kind: "bool" }),
          field("raw", { kind: "binary", offsets: 32 }),
          field("cents", decimal(10, 2))
        ]
      },
      [
        ...overrides("flag", "bigint"),
        ...overrides("raw", "numeric"),
        ...overrides("cents", "numeric(20,0)"),
        ...overrides("nowhere", "text")
      ]
    )
    assert.strictEqual(
      Result.isFailure(result) ? result.failure.message : "accepted",
      "the config requests types that are not possible: column \"flag\" (Boolean) as bigint: allowed for it: no other type; " +
        "column \"raw\" (Binary) as numeric: allowed for it: text; " +
        "column \"cents\" (Decimal128(10, 2)) as numeric(20,0): its values have 2 digits after the decimal point, and values are never rounded; " +
        "column \"nowhere\" as text: the query does not yield this column"
    )
  })

  it("is never the position of a row", () => {
    const result = planColumns({ fields: [field("block_num", uint64, false)] }, overrides("block_num", "numeric"))
    assert.match(Result.isFailure(result) ? result.failure.message : "accepted", /always bigint/)
  })
})

describe("decimal text as a number", () => {
  it("is rejected where it is none, with column and row and without the value", () => {
    for (
      const text of [
        "",
        "-",
        ".",
        "1e3",
        "0x10",
        " 1",
        "1 ",
        "1,5",
        "1.2.3",
        "NaN",
        "Infinity",
        "secret",
        "٣",
        "--1",
        "1\0"
      ]
    ) {
      for (const wanted of ["numeric", "numeric(78,0)", "bigint"]) {
        const error = rejection(utf8, wanted, ["1", null, text])
        assert.deepStrictEqual([error.kind, error.column, error.row], ["value", "value", 2], text)
        assert.strictEqual(error.reason, "it is not a decimal number such as -12.50")
        if (text.length > 2) assert.notInclude(error.message, text)
      }
    }
  })

  it("is rejected where it has more digits than its type, before or after the decimal point; zeros do not count", () => {
    accepts(utf8, "numeric(4,2)", ["99.99", "-0099.990", "+.5", "5.", "0.000"])
    assert.match(rejection(utf8, "numeric(4,2)", ["100"]).reason, /more than the 2 digits before the decimal point/)
    assert.match(rejection(utf8, "numeric(4,2)", ["0.001"]).reason, /more than the 2 digits after the decimal point/)
    accepts(utf8, "numeric(78,0)", [(2n ** 256n - 1n).toString()])
    assert.match(rejection(utf8, "numeric(78,0)", [`1${"0".repeat(78)}`]).reason, /78 digits before/)
    assert.match(rejection(utf8, "numeric", [`1${"0".repeat(131_072)}`]).reason, /131072 digits before/)
    assert.match(rejection(utf8, "numeric", [`0.${"0".repeat(16_383)}1`]).reason, /16383 digits after/)
  })

  it("is rejected as bigint where it is a fraction or more than 64 bits", () => {
    accepts(utf8, "bigint", ["9223372036854775807", "-9223372036854775808", "0012.00", "-0"])
    for (const text of ["9223372036854775808", "-9223372036854775809", "0.5", "1".repeat(40)]) {
      assert.match(rejection(utf8, "bigint", [text]).reason, /not a whole number from -2\^63 to 2\^63-1/)
    }
  })
})

describe("a number as another number", () => {
  it("is rejected where it does not fit", () => {
    accepts(uint64, "bigint", [2n ** 63n - 1n])
    assert.match(rejection(uint64, "bigint", [2n ** 63n]).reason, /larger than 2\^63-1/)
    accepts(decimal(38, 2), "bigint", [500n, -100n, (2n ** 63n - 1n) * 100n, -(2n ** 63n) * 100n])
    for (const unscaled of [1n, -150n, 2n ** 63n * 100n, -(2n ** 63n) * 100n - 100n]) {
      assert.match(rejection(decimal(38, 2), "bigint", [unscaled]).reason, /not a whole number/)
    }
    accepts(decimal(76, -3, 256), "bigint", [9_223_372_036_854_775n])
    assert.match(rejection(decimal(76, -3, 256), "bigint", [9_223_372_036_854_776n]).reason, /not a whole number/)
    accepts(uint64, "numeric(3,1)", [99n])
    assert.match(rejection(uint64, "numeric(3,1)", [100n]).reason, /more than the 2 digits/)
    accepts(decimal(38, 0), "numeric(2,2)", [0n])
    assert.match(rejection(decimal(38, 0), "numeric(2,2)", [1n]).reason, /more than the 0 digits/)
  })
})
