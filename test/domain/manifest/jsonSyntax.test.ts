import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Schema } from "effect"
import { jsonErrorOffset, lineOf } from "../../../src/domain/manifest/jsonSyntax.ts"

const parses = (text: string): boolean => {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

const fragments = [
  "{",
  "}",
  "[",
  "]",
  ",",
  ":",
  "\"a\"",
  "\"\\u00e9\\n\"",
  "\"\\x\"",
  "\"",
  "1",
  "-0.5e+3",
  "01",
  "true",
  "nul",
  " ",
  "\n"
]

describe("jsonErrorOffset", () => {
  it("points at the place where a text stops being JSON", () => {
    assert.strictEqual(jsonErrorOffset("{ \"a\": [1, 2, { \"b\": null }] }\n"), -1)
    assert.strictEqual(jsonErrorOffset("{\"a\": 1,}"), 8)
    assert.strictEqual(jsonErrorOffset("{\"a\": x}"), 6)
    assert.strictEqual(jsonErrorOffset("[1 2]"), 3)
    assert.strictEqual(jsonErrorOffset("{} x"), 3)
    assert.strictEqual(jsonErrorOffset(""), 0)
  })

  it("counts lines from 1", () => {
    assert.deepStrictEqual([lineOf("a\nb", 0), lineOf("a\nb", 2)], [1, 2])
  })

  it.prop("agrees with JSON.parse about what is JSON", {
    words: Arbitrary.array(Arbitrary.schema(Schema.Literals(fragments)), { maxLength: 10 })
  }, ({ words }) => {
    const text = words.join("")
    assert.strictEqual(jsonErrorOffset(text) === -1, parses(text), text)
  }, { arbitrary: { runs: 10_000 } })

  it.prop("accepts whatever JSON.stringify writes", {
    value: Schema.Record(Schema.String, Schema.Array(Schema.String))
  }, ({
    value
  }) => {
    assert.strictEqual(jsonErrorOffset(JSON.stringify(value, null, 2)), -1)
  })
})
