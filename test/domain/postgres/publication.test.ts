import { assert, describe, it } from "@effect/vitest"
import { type FoundPublication, publishTable } from "../../../src/domain/postgres/table/publication.ts"

const found: FoundPublication = {
  exists: true,
  isForAllTables: false,
  isOwn: true,
  missingKinds: [],
  isMember: false,
  ownsTable: true,
  withoutFullIdentity: []
}
const table = { schema: "s", table: "T" }
const identity = `ALTER TABLE "s"."T" REPLICA IDENTITY FULL`
const added = `ALTER PUBLICATION "p" ADD TABLE "s"."T"`

describe("publishing a table", () => {
  it("that is new sets its identity and adds it", () => {
    assert.deepStrictEqual(publishTable("p", table, found, true), [identity, added])
  })

  it("adds nothing to a publication of all tables, which would be refused", () => {
    assert.deepStrictEqual(publishTable("p", table, { ...found, isForAllTables: true }, true), [identity])
  })

  it("names every partition without the identity, and leaves a table alone that has all", () => {
    const parts = { ...found, isMember: true, withoutFullIdentity: [`"s"."T"`, `"s"."T_1"`] }
    assert.deepStrictEqual(publishTable("p", table, parts, false), [
      identity,
      `ALTER TABLE "s"."T_1" REPLICA IDENTITY FULL`
    ])
    assert.deepStrictEqual(publishTable("p", table, { ...found, isMember: true }, false), [])
  })
})
