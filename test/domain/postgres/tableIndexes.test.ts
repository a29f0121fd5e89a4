import { assert, describe, it } from "@effect/vitest"
import { indexName, planIndexes } from "../../../src/domain/postgres/table/tableIndexes.ts"

describe("the name of an index", () => {
  it("is always the same, readable, and never longer than PostgreSQL allows", () => {
    assert.match(indexName("logs", ["address", "block_num"]), /^logs_address_block_num_idx_[0-9a-f]{8}$/)
    assert.strictEqual(indexName("logs", ["address"]), indexName("logs", ["address"]))
    for (const table of ["t", "é".repeat(31), "🦊".repeat(15), "x".repeat(63)]) {
      const name = indexName(table, ["🦊🦊🦊", "é".repeat(31), "c"])
      assert.isAtMost(new TextEncoder().encode(name).length, 63)
      assert.strictEqual(new TextDecoder().decode(new TextEncoder().encode(name)), name)
    }
  })

  it("is another one for every table and every order of columns, also where the joined names are the same", () => {
    const names = [
      indexName("a_b", ["c"]),
      indexName("a", ["b", "c"]),
      indexName("a", ["b_c"]),
      indexName("a", ["c", "b"]),
      indexName("x".repeat(63), ["a"]),
      indexName("x".repeat(63), ["b"])
    ]
    assert.strictEqual(new Set(names).size, names.length)
  })
})

describe("the plan for indexes", () => {
  const existing = (columns: ReadonlyArray<string>, more = {}) => ({
    name: indexName("t", columns),
    columns,
    isValid: true,
    isPlain: true,
    ...more
  })

  it("is empty where an equal one exists, whatever created it", () => {
    const plan = planIndexes("t", [["a"], ["b", "a"]], [existing(["a"], { name: "by_hand" }), existing(["b", "a"])])
    assert.deepStrictEqual(plan, { broken: [], missing: [], superfluous: [] })
  })

  it("has a new one where the other is in another order, of another kind or not valid", () => {
    const others = [
      existing(["b", "a"], { name: "x" }),
      existing(["a", "b"], { name: "y", isPlain: false }),
      existing(["a", "b"], { name: "z", isValid: false })
    ]
    const { broken, missing } = planIndexes("t", [["a", "b"], ["a", "b"]], others)
    assert.deepStrictEqual([broken, missing], [[], [{ name: indexName("t", ["a", "b"]), columns: ["a", "b"] }]])
  })

  it("drops what an interrupted build left behind, wanted or not, and only reports a complete one that is no longer wanted", () => {
    const plan = planIndexes("t", [["a"]], [
      existing(["a"], { isValid: false }),
      existing(["old"], { isValid: false }),
      existing(["whole"]),
      existing(["theirs"], { name: "theirs" })
    ])
    assert.deepStrictEqual(plan.broken, [indexName("t", ["a"]), indexName("t", ["old"])])
    assert.deepStrictEqual(plan.missing.map(({ columns }) => columns), [["a"]])
    assert.deepStrictEqual(plan.superfluous.map(({ columns }) => columns), [["whole"]])
  })
})
