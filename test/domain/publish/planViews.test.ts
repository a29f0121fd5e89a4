import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import { planViews } from "../../../src/domain/publish/planViews.ts"
import type { FoundSource, FoundTarget, ViewFacts } from "../../../src/domain/publish/ViewFacts.ts"
import type { ViewRequest } from "../../../src/domain/publish/ViewRequest.ts"

const column = (name: string, type = "bigint", comment: string | null = null) => ({ name, type, comment })

const source = (name: string, ...columns: ReadonlyArray<string>): FoundSource => ({
  oid: name.length,
  name,
  comment: null,
  columns: columns.map((name) => column(name)),
  isReadable: true
})

const shown = (name: string, columns: ReadonlyArray<string>, more: Partial<FoundTarget> = {}): FoundTarget => ({
  name,
  kind: "v",
  comment: `Table ${name} (published by ampsync from schema "v1")`,
  columns: columns.map((name) => column(name)),
  options: [],
  owner: "sync",
  isOwned: true,
  reads: [{ oid: 99, schema: "v1" }],
  dependents: [],
  grants: [],
  unable: [],
  ...more
})

const request: ViewRequest = { from: "v2", as: "live", tables: ["t"], drop: false }

const plan = (facts: Partial<ViewFacts>, more: Partial<ViewRequest> = {}) =>
  planViews({ ...request, ...more }, {
    role: "sync",
    schemaExists: true,
    mayCreate: true,
    sources: [source("t", "a", "b")],
    targets: [],
    ...facts
  })

const statements = (planned: ReturnType<typeof plan>) => Result.getOrThrow(planned).statements
const reasons = (planned: ReturnType<typeof plan>) => Result.isFailure(planned) ? planned.failure : []

describe("the plan of a publication", () => {
  it("names the columns, quotes names, and creates a schema that is missing", () => {
    const odd = { ...source(`o"d`, `a"`), comment: "it's" }
    assert.deepStrictEqual(statements(plan({ schemaExists: false, sources: [odd] }, { tables: [`o"d`], as: "L" })), [
      `CREATE SCHEMA "L"`,
      `CREATE VIEW "L"."o""d" AS SELECT "a""" FROM "v2"."o""d"`,
      `COMMENT ON VIEW "L"."o""d" IS 'it''s (published by ampsync from schema "v2")'`
    ])
  })

  it("keeps the order of the columns and the options of a view, and adds what is new behind them", () => {
    const target = shown("t", ["b", "a"], { options: ["security_invoker=true", "check_option=local"] })
    const [replace] = statements(plan({ sources: [source("t", "a", "new", "b")], targets: [target] }))
    assert.strictEqual(
      replace,
      `CREATE OR REPLACE VIEW "live"."t" WITH (security_invoker = 'true', check_option = 'local') ` +
        `AS SELECT "b", "a", "new" FROM "v2"."t"`
    )
  })

  it("has nothing to do for a view that reads the table already, by its identity and not its name", () => {
    const comment = `Table t (published by ampsync from schema "v2")`
    const same = shown("t", ["a", "b"], { comment, reads: [{ oid: 1, schema: "v2" }] })
    assert.deepStrictEqual(statements(plan({ targets: [same] })), [])
    assert.strictEqual(statements(plan({ targets: [{ ...same, reads: [{ oid: 7, schema: "v2" }] }] })).length, 1)
  })

  it("names a table that does not exist yet, and drops no view for that", () => {
    const { dropped, missing } = Result.getOrThrow(plan({ sources: [], targets: [shown("t", ["a"])] }))
    assert.deepStrictEqual([dropped, missing], [[], ["t"]])
  })

  it("does not show the columns of a lease", () => {
    const sources = [
      source("t", "a"),
      source("_ampsync_checkpoints", "table_name", "writer", "writer_epoch", "commit_seq")
    ]
    assert.include(statements(plan({ sources }))[0], `AS SELECT "table_name" FROM`)
  })

  it("lists what readers would lose, and loses it with --drop alone", () => {
    const targets = [
      shown("t", ["a", "gone"], {
        grants: [{ column: null, statement: "GRANT 1" }, { column: "gone", statement: "GRANT 2" }]
      }),
      shown("u", ["a"])
    ]
    assert.deepStrictEqual(reasons(plan({ targets })), [
      `column "gone" of "t" is not in schema "v2"; --drop removes it from "live", and ` +
      `ALTER TABLE "v2"."t" ADD COLUMN "gone" bigint keeps it there as NULL`,
      `schema "v2" has no table "u"; --drop removes it from "live"`
    ])
    assert.deepStrictEqual(statements(plan({ targets }, { drop: true })), [
      `DROP VIEW "live"."t"`,
      `CREATE VIEW "live"."t" AS SELECT "a", "b" FROM "v2"."t"`,
      `COMMENT ON VIEW "live"."t" IS 'Table t (published by ampsync from schema "v2")'`,
      "GRANT 1",
      `ALTER VIEW "live"."t" OWNER TO "sync"`,
      `DROP VIEW "live"."u"`
    ])
    const held = [{ ...targets[0]!, dependents: ["view public.mine"] }]
    assert.match(
      reasons(plan({ targets: held }, { drop: true }))[0]!,
      /and so would view public\.mine; drop them first/
    )
  })

  it("refuses what it did not make, and what this role may not do", () => {
    assert.deepStrictEqual(reasons(plan({ targets: [shown("t", ["a"], { comment: "mine" })] })), [
      `view "t" in schema "live" was not made by this command, or its comment was changed`
    ])
    assert.deepStrictEqual(reasons(plan({ targets: [shown("t", ["a"], { kind: "r" })] })), [
      `table "t" in schema "live" was not made by this command`
    ])
    assert.include(reasons(plan({ mayCreate: false }))[0], `GRANT USAGE, CREATE ON SCHEMA "live" TO "sync"`)
    assert.include(
      reasons(plan({ targets: [shown("t", ["a"], { isOwned: false, owner: "x" })] }))[0],
      `belongs to role "x"`
    )
    assert.deepStrictEqual(reasons(plan({ targets: [shown("t", ["a"], { unable: ["x"] })] })), [
      `view "t" in schema "live" reads with the rights of role "x", which may not read "v2"."t"; ` +
      `run: GRANT USAGE ON SCHEMA "v2" TO "x"; GRANT SELECT ON "v2"."t" TO "x"`
    ])
  })
})
