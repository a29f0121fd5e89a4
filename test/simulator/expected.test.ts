import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { ArrowType } from "../../src/domain/arrow/ArrowSchema.ts"
import { canonicalJson } from "../../src/simulator/canonicalJson.ts"
import { Chain } from "../../src/simulator/Chain.ts"
import type { PlainValue } from "../../src/simulator/columns.ts"
import { renderTimestamp, renderValue } from "../../src/simulator/expected.ts"
import { fieldsOf, TABLE_NAMES, TABLES } from "../../src/simulator/tables.ts"
import { testDatabase } from "../support/postgres.ts"

/** An expression of the stored type over the parameter, and the parameter as `pg` sends it, without the encoder of ampsync. */
const storedAs = (type: ArrowType, value: PlainValue): readonly [expression: string, parameter: unknown] => {
  if (type.kind === "bool") return ["$1::boolean", value]
  if (type.kind === "utf8") return ["$1::text", value]
  if (type.kind === "binary" || type.kind === "fixedSizeBinary") {
    return ["$1::bytea", value === null ? null : Buffer.from(value as Uint8Array)]
  }
  if (type.kind === "timestamp") {
    return [
      "('1970-01-01 00:00:00+00'::timestamptz + ($1::bigint * interval '1 microsecond'))",
      value === null ? null : (value as bigint) / 1000n
    ]
  }
  if (type.kind === "list" && type.item.type.kind === "fixedSizeBinary") {
    return ["$1::bytea[]", value === null ? null : (value as ReadonlyArray<Uint8Array>).map((_) => Buffer.from(_))]
  }
  if (type.kind === "list" || type.kind === "struct") return ["$1::jsonb", renderValue(type, value)]
  return ["$1::numeric", value === null ? null : String(value)]
}

/** As text, whatever time zone the session has. */
const textOf = (expression: string): string =>
  expression.includes("timestamptz") ? `(${expression} AT TIME ZONE 'UTC')::text || '+00'` : `(${expression})::text`

describe("what the simulator expects in PostgreSQL", () => {
  for (const dialect of ["nozzle", "amp"] as const) {
    it.live(`${dialect}: every column of every table is rendered as PostgreSQL prints it`, () =>
      Effect.gen(function*() {
        const { query } = yield* testDatabase
        const chain = new Chain({ seed: 4, dialect, blocks: 8 })
        for (const table of TABLE_NAMES) {
          for (const row of [...chain.rows(table)].slice(0, 12)) {
            const columns = fieldsOf(TABLES[dialect][table]).map((field) => ({
              ...field,
              value: row[field.name] ?? null
            }))
            const stored = columns.map(({ type, value }) => storedAs(type, value))
            const texts = stored.map(([expression], i) => `${textOf(expression).replace("$1", `$${i + 1}`)} AS c${i}`)
            const [printed] = yield* query(`SELECT ${texts.join(", ")}`, stored.map(([, parameter]) => parameter))
            columns.forEach(({ name, type, value }, i) => {
              const text = printed![`c${i}`] as string | null
              const isJson = stored[i]![0].includes("jsonb") && text !== null
              assert.strictEqual(renderValue(type, value), isJson ? canonicalJson(text) : text, `${table}.${name}`)
            })
          }
        }
      }))
  }

  it("floors nanoseconds to microseconds, also before 1970, and trims the fraction", () => {
    assert.strictEqual(renderTimestamp(1_735_787_045_123_456_999n), "2025-01-02 03:04:05.123456+00")
    assert.strictEqual(renderTimestamp(1_735_787_045_120_000_999n), "2025-01-02 03:04:05.12+00")
    assert.strictEqual(renderTimestamp(1_735_787_045_000_000_999n), "2025-01-02 03:04:05+00")
    assert.strictEqual(renderTimestamp(-1n), "1969-12-31 23:59:59.999999+00")
    assert.strictEqual(renderTimestamp(-1_000n, false), "1969-12-31 23:59:59.999999")
  })

  it("sorts the keys of JSON and keeps every digit of its numbers", () => {
    const text = `{"a b": 0, "b": [1, {"z": 18446744073709551615, "a": "x, \\"y\\": {"}], "a": null, "": {}, "c": []}`
    const canonical = `{"":{},"a":null,"a b":0,"b":[1,{"a":"x, \\"y\\": {","z":18446744073709551615}],"c":[]}`
    assert.strictEqual(canonicalJson(text), canonical)
    for (const broken of ["", "{", "[1", `{"a"}`, "1 2"]) assert.throws(() => canonicalJson(broken), SyntaxError)
  })
})
