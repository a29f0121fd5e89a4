import { assert, describe, it } from "@effect/vitest"
import { plainValue } from "../../../src/layers/manifest-source/plainValue.ts"

class Named {
  sql = "SELECT 1"
  get name() {
    return "by a getter"
  }
  describe() {
    return "a method"
  }
}

describe("what a config exports", () => {
  it("keeps its values, those of getters of a class included, and loses functions and symbols", () => {
    const config = { table: new (class extends Named {})(), f: () => 1, list: [Symbol("s"), 1n, null, undefined, "x"] }
    assert.deepStrictEqual(plainValue(config), {
      table: { sql: "SELECT 1", name: "by a getter" },
      f: {},
      list: [{}, 1n, null, undefined, "x"]
    })
  })

  it("may refer to itself, and may not be half the world", () => {
    const own: Record<string, unknown> = { name: "a" }
    own["own"] = own
    assert.deepInclude(plainValue(own) as object, { name: "a" })
    assert.throws(() => plainValue(Array.from({ length: 300_000 }, (_, i) => i)), "exports more than 200000 values")
  })
})
