import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import { checkColumnName, checkIdentifier, quoteIdentifier } from "../../../src/domain/postgres/table/identifiers.ts"

const problem = (name: string) => Result.getOrThrow(Result.flip(checkIdentifier(name))).message

describe("identifiers", () => {
  it("quotes reserved words, capitals, spaces and quotes", () => {
    assert.deepStrictEqual(["to", "From", "a b", "a\"b\"\"c", "$1"].map(quoteIdentifier), [
      "\"to\"",
      "\"From\"",
      "\"a b\"",
      "\"a\"\"b\"\"\"\"c\"",
      "\"$1\""
    ])
  })

  it("accepts 63 bytes and rejects 64, counting UTF-8", () => {
    assert.isTrue(Result.isSuccess(checkIdentifier("x".repeat(63))))
    assert.isTrue(Result.isSuccess(checkIdentifier("é".repeat(31))))
    assert.include(problem("x".repeat(64)), "it has 64 bytes")
    assert.include(problem("é".repeat(32)), "it has 64 bytes")
  })

  it("rejects names that PostgreSQL cannot store", () => {
    assert.include(problem(""), "empty")
    assert.include(problem("a\u0000b"), "NUL")
    assert.include(problem("a\ud800b"), "not valid Unicode")
  })

  it("rejects the names of PostgreSQL's own columns, but only for columns", () => {
    assert.isTrue(Result.isFailure(checkColumnName("xmin")))
    assert.isTrue(Result.isSuccess(checkIdentifier("xmin")))
    assert.isTrue(Result.isSuccess(checkColumnName("Xmin")))
  })
})
