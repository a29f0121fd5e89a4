import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import { readFileSync } from "node:fs"
import { formatArrowType } from "../../../src/domain/arrow/formatArrowType.ts"
import { planColumns } from "../../../src/domain/postgres/types/PgType.ts"
import { batchOf, columnOf } from "../arrow/columns.ts"
import { encodedField } from "./encodedField.ts"
import { type GoldenCase, goldenCases } from "./goldenCases.ts"

const golden: { readonly server: string; readonly fields: Readonly<Record<string, string>> } = JSON.parse(
  readFileSync(new URL("../../fixtures/copy/fields.json", import.meta.url), "utf8")
)

const byType = new Map<string, Array<GoldenCase>>()
for (const golden of goldenCases) {
  const type = formatArrowType(golden.arrow.type)
  byType.set(type, [...byType.get(type) ?? [], golden])
}

describe(`COPY bytes of ${golden.server.split(" on ")[0]}`, () => {
  for (const [type, cases] of byType) {
    it(`writes ${type} as the server does`, () => {
      for (const { arrow, sql, value } of cases) {
        const batch = batchOf([columnOf(arrow, [value])])
        assert.strictEqual(encodedField(batch, 0), golden.fields[sql], sql)
      }
      // Together in one column too, where values stand at other addresses and share what a writer keeps.
      const column = columnOf(cases[0]!.arrow, cases.map(({ value }) => value))
      const batch = batchOf([column])
      cases.forEach(({ sql }, row) => assert.strictEqual(encodedField(batch, row), golden.fields[sql], sql))
    })
  }

  it("stores every golden value in the column type that its SQL names", () => {
    for (const { arrow, sql } of goldenCases) {
      const [column] = Result.getOrThrow(planColumns({ fields: [arrow] }))
      const named = (/::([a-z0-9 (),[\]]+?)$/.exec(sql)?.[1] ?? "boolean")
        .replace(/^timestamptz/, "timestamp with time zone")
        .replace(/^timestamp(\[\])?$/, "timestamp without time zone$1")
        .replace(/^time(\[\])?$/, "time without time zone$1")
      assert.strictEqual(column!.type, named, sql)
    }
  })
})
