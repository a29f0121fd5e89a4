import { assert, describe, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import { Readable } from "node:stream"
import { pipeline } from "node:stream/promises"
import { Client } from "pg"
import { from as copyFrom } from "pg-copy-streams"
import type { ArrowType } from "../../../src/domain/arrow/ArrowSchema.ts"
import { copyHeader, copyTrailer, makeCopyPlan } from "../../../src/domain/postgres/encode/encodeCopy.ts"
import { parseOverrideType } from "../../../src/domain/postgres/types/columnOverride.ts"
import { planColumns } from "../../../src/domain/postgres/types/PgType.ts"
import { encodeAll } from "../../support/encodeAll.ts"
import { testDatabase } from "../../support/postgres.ts"
import { batchOf, columnOf, field, type Value } from "../arrow/columns.ts"
import { randomFrom } from "./randomColumns.ts"

interface Case {
  readonly type: ArrowType
  readonly wanted: string
  readonly values: ReadonlyArray<Value>
  /** The same value as an SQL expression. */
  readonly sql: (value: Exclude<Value, null>) => string
}

/** The values of a column as PostgreSQL prints them: once copied by the encoder, once inserted as text. */
const both = ({ sql, type, values, wanted }: Case) =>
  Effect.gen(function*() {
    const { schema, url } = yield* testDatabase
    const overrides = [{ column: "value", type: parseOverrideType(wanted)! }]
    const columns = Result.getOrThrow(planColumns({ fields: [field("value", type)] }, overrides))
    const plan = makeCopyPlan({ columns, position: { kind: "rangeEnd" }, textNul: "refuse" })
    const batch = batchOf([columnOf(field("value", type), values)])
    const input = { batch, from: 0, to: values.length, range: { start: 0n, end: 9n }, cursor: undefined }
    const { bytes } = Result.getOrThrow(encodeAll(plan, input))
    return yield* Effect.promise(async () => {
      const client = new Client({ connectionString: url })
      await client.connect()
      try {
        await client.query(`SET search_path TO ${schema}; CREATE TABLE t (value ${wanted}, i integer, e bigint)`)
        const copy = client.query(copyFrom("COPY t FROM STDIN (FORMAT BINARY)"))
        await pipeline(Readable.from([copyHeader, bytes, copyTrailer].map((piece) => Buffer.from(piece))), copy)
        const expected = values.map((value) => value === null ? "NULL" : `(${sql(value)})::${wanted}::text`)
        const copied = await client.query({ text: "SELECT value::text FROM t ORDER BY i", rowMode: "array" })
        const wantedRows = await client.query({
          text: expected.map((expression, index) => `SELECT ${expression}, ${index}`).join(" UNION ALL ") +
            " ORDER BY 2",
          rowMode: "array"
        })
        return { copied: copied.rows.map(([value]) => value), expected: wantedRows.rows.map(([value]) => value) }
      } finally {
        await client.end()
      }
    })
  })

const same = (one: Case) =>
  Effect.gen(function*() {
    const { copied, expected } = yield* both(one)
    assert.deepStrictEqual(copied, expected)
    assert.strictEqual(copied.length, one.values.length)
  })

const utf8: ArrowType = { kind: "utf8", offsets: 32 }
const random = randomFrom(3)
const digits = (most: number) =>
  Array.from({ length: Math.floor(random() * (most + 1)) }, () => random() < 0.3 ? 0 : Math.floor(random() * 10)).join(
    ""
  )
const decimalText = (before: number, behind: number): string => {
  const sign = ["", "-", "+"][Math.floor(random() * 3)]!
  const whole = digits(before)
  const fraction = digits(behind)
  return `${sign}${whole}${fraction === "" && whole !== "" ? "" : "."}${
    fraction === "" && whole === "" ? "0" : fraction
  }`
}
const list = (make: () => Value, count = 150): ReadonlyArray<Value> =>
  Array.from({ length: count }, () => random() < 0.1 ? null : make())

const quoted = (value: Value) => `'${String(value)}'::numeric`
const word = (bits: number, signed: boolean) => () => {
  const value = BigInt.asUintN(
    bits,
    BigInt(`0x${Array.from({ length: bits / 4 }, () => Math.floor(random() * 16).toString(16)).join("")}`)
  )
    >> BigInt(Math.floor(random() * bits))
  return signed ? BigInt.asIntN(bits, random() < 0.5 ? value : -value) : value
}
const scaled = (scale: number) => (value: Value) => `${String(value)} * 10.0::numeric ^ ${-scale}`

describe("values of columns that the config gives another type come back as they were", () => {
  it.live("decimal text as numeric with digits as they stand", () =>
    Effect.scoped(same({
      type: utf8,
      wanted: "numeric",
      values: [
        ...list(() => decimalText(40, 40)),
        "0",
        "-0",
        "-0.000",
        "00012.3400",
        "1".repeat(131_072),
        `.${"0".repeat(16_382)}7`
      ],
      sql: quoted
    })))

  it.live("decimal text as numeric(p,s), at every place of the point", () =>
    Effect.scoped(Effect.forEach([[78, 0], [9, 9], [40, 3], [13, 5], [1000, 500]], ([precision, scale]) =>
      same({
        type: utf8,
        wanted: `numeric(${precision},${scale})`,
        values: [
          ...list(() => decimalText(precision! - scale!, scale!)),
          `-${"9".repeat(precision! - scale!)}.${"9".repeat(scale!)}0000`
        ],
        sql: quoted
      }))))

  it.live("whole text, decimals and integers as bigint", () =>
    Effect.scoped(Effect.all([
      same({
        type: utf8,
        wanted: "bigint",
        values: [...list(() => String(word(64, true)())), "-9223372036854775808", "7.000"],
        sql: quoted
      }),
      same({
        type: { kind: "decimal", bits: 128, precision: 38, scale: 4 },
        wanted: "bigint",
        values: [...list(() => word(64, true)() as bigint * 10_000n), -(2n ** 63n) * 10_000n],
        sql: scaled(4)
      }),
      same({
        type: { kind: "decimal", bits: 256, precision: 76, scale: -2 },
        wanted: "bigint",
        values: list(() => word(32, true)()),
        sql: scaled(-2)
      }),
      same({
        type: { kind: "decimal", bits: 32, precision: 9, scale: 0 },
        wanted: "bigint",
        values: list(() => word(24, true)()),
        sql: quoted
      }),
      same({
        type: { kind: "int", bits: 64, signed: false },
        wanted: "bigint",
        values: list(() => word(63, false)()),
        sql: quoted
      })
    ])))

  it.live("integers and decimals as numeric of other sizes", () =>
    Effect.scoped(Effect.all([
      same({
        type: { kind: "int", bits: 64, signed: false },
        wanted: "numeric(78,0)",
        values: list(() => word(64, false)()),
        sql: quoted
      }),
      same({
        type: { kind: "int", bits: 64, signed: true },
        wanted: "numeric(40,6)",
        values: list(() => word(64, true)()),
        sql: quoted
      }),
      same({
        type: { kind: "int", bits: 32, signed: true },
        wanted: "numeric",
        values: list(() => word(32, true)()),
        sql: quoted
      }),
      same({
        type: { kind: "decimal", bits: 128, precision: 38, scale: 3 },
        wanted: "numeric(78,18)",
        values: list(() => word(120, true)()),
        sql: scaled(3)
      })
    ])))

  it.live("binary of every layout as hexadecimal text", () => {
    const bytes = (length: number) => Uint8Array.from({ length }, () => Math.floor(random() * 256))
    const sql = (value: Value) => `'0x' || encode('\\x${Buffer.from(value as Uint8Array).toString("hex")}', 'hex')`
    const layouts: ReadonlyArray<ArrowType> = [32, 64, "view"].map((offsets) => ({
      kind: "binary",
      offsets: offsets as 32
    }))
    return Effect.scoped(Effect.forEach(
      [...layouts, { kind: "fixedSizeBinary", width: 20 } as const],
      (type) =>
        same({
          type,
          wanted: "text",
          values: list(() => bytes(type.kind === "fixedSizeBinary" ? 20 : Math.floor(random() * 40))),
          sql
        })
    ))
  })
})
