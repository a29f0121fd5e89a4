import { assert, describe, it } from "@effect/vitest"
import { Equal, Result } from "effect"
import { decodeManifest } from "../../../src/domain/manifest/Manifest.ts"

const decode = (entry: Record<string, unknown>, name = "transactions") =>
  decodeManifest({ name: "example", tables: { [name]: { sql: "SELECT * FROM anvil.transactions", ...entry } } })

const specOf = (entry: Record<string, unknown>) =>
  Result.getOrThrowWith(decode(entry), ({ problems }) => new Error(problems.join("\n"))).tables[0]!

const problemsOf = (entry: Record<string, unknown>): ReadonlyArray<string> => {
  const result = decode(entry)
  return Result.isFailure(result) ? result.failure.problems : assert.fail("accepted")
}

describe("the settings of a table", () => {
  it("are all absent where the config names none", () => {
    assert.deepStrictEqual(specOf({}).settings, {
      columns: [],
      primaryKey: undefined,
      indexes: [],
      comment: undefined,
      confirmations: undefined,
      partitionBy: undefined
    })
  })

  it("are read as they are written, types in any layout and case", () => {
    const { settings } = specOf({
      columns: {
        value: { type: "NUMERIC( 78 ,0)" },
        nonce: { type: " bigint" },
        input: { type: "Text" },
        x: { type: "numeric" }
      },
      primaryKey: ["tx_hash"],
      indexes: [["from"], ["to", "block_num"]],
      comment: "it's",
      confirmations: 12,
      partitionBy: { blocks: 1_000_000 }
    })
    assert.deepStrictEqual(settings, {
      columns: [
        { column: "input", type: { kind: "text" } },
        { column: "nonce", type: { kind: "bigint" } },
        { column: "value", type: { kind: "numeric", digits: { precision: 78, scale: 0 } } },
        { column: "x", type: { kind: "numeric", digits: undefined } }
      ],
      primaryKey: ["tx_hash"],
      indexes: [["from"], ["to", "block_num"]],
      comment: "it's",
      confirmations: 12,
      partitionBy: { blocks: 1_000_000 }
    })
  })

  it("have partitions of a whole number of blocks", () => {
    for (const blocks of [1, 1_000_000, Number.MAX_SAFE_INTEGER]) {
      const spec = specOf({ partitionBy: { blocks } })
      assert.deepStrictEqual(spec.settings.partitionBy, { blocks })
      assert.isFalse(Equal.equals(spec, specOf({})), "a change of it is a change of the table")
      assert.strictEqual(spec.fingerprint, specOf({}).fingerprint, "the rows are the same")
    }
    for (const blocks of [0, -1, 1.5, 2 ** 53, Number.NaN]) {
      assert.deepStrictEqual(problemsOf({ partitionBy: { blocks } }), [
        "tables.transactions.partitionBy.blocks: expected a whole number of blocks from 1 to 9007199254740991"
      ])
    }
    assert.lengthOf(problemsOf({ partitionBy: { blocks: "1000" } }), 1)
    assert.lengthOf(problemsOf({ partitionBy: {} }), 1)
    assert.deepStrictEqual(problemsOf({ partitionBy: 1000 }), [
      "tables.transactions.partitionBy: expected an object with the blocks of a partition, such as { blocks: 1000000 }"
    ])
    assert.include(problemsOf({ partitionby: { blocks: 1 } })[0], "did you mean partitionBy?")
  })

  it("have a number of confirmations of its own, also none", () => {
    for (const confirmations of [0, 1, 100_000]) {
      assert.strictEqual(specOf({ confirmations }).settings.confirmations, confirmations)
      assert.isFalse(Equal.equals(specOf({ confirmations }), specOf({})), "a change of it is a change of the table")
    }
    for (const confirmations of [-1, 1.5, 100_001, Number.NaN]) {
      assert.deepStrictEqual(problemsOf({ confirmations }), [
        "tables.transactions.confirmations: expected a whole number of blocks from 0 to 100000"
      ])
    }
    assert.lengthOf(problemsOf({ confirmations: "12" }), 1)
  })

  it("that are wrong are all reported at once, each with its key", () => {
    const problems = problemsOf({
      columns: { value: { type: "numeric(5,6)" }, nonce: "bigint", input: { type: "varchar" }, gas: {} },
      primaryKey: [],
      indexes: [["a", "a"], "b", [""]],
      comment: 7
    })
    assert.deepStrictEqual(problems.map((problem) => problem.slice(0, problem.indexOf(": "))).toSorted(), [
      "tables.transactions.columns.gas.type",
      "tables.transactions.columns.input.type",
      "tables.transactions.columns.nonce",
      "tables.transactions.columns.value.type",
      "tables.transactions.comment",
      "tables.transactions.indexes.0",
      "tables.transactions.indexes.1",
      "tables.transactions.indexes.2.0",
      "tables.transactions.primaryKey"
    ])
    assert.include(problems.join("\n"), "expected bigint, text, numeric or numeric(precision, scale)")
  })

  it("under a misspelled key are rejected with the key that is meant, and not ignored", () => {
    const typos = {
      primarykey: "primaryKey",
      primary_key: "primaryKey",
      PrimaryKeys: "primaryKey",
      indexs: "indexes",
      index: "indexes",
      colums: "columns",
      column: "columns",
      Comment: "comment",
      sqll: "sql",
      SQL: "sql"
    }
    for (const [key, meant] of Object.entries(typos)) {
      assert.deepStrictEqual(problemsOf({ [key]: ["tx_hash"] }), [
        `tables.transactions.${key}: is not a key of a table, did you mean ${meant}?`
      ])
    }
    assert.deepStrictEqual(problemsOf({ primarykey: ["a"], primaryKey: ["b"] }).length, 1, "beside the right one too")
  })

  it("leave keys of other tools alone", () => {
    const others = {
      input: {},
      schema: { arrow: {} },
      network: "anvil",
      start_block: 1,
      functions: {},
      description: "",
      content: "",
      commit: ""
    }
    assert.deepStrictEqual(
      specOf({ ...others, queue: 1, keys: [], ["x".repeat(200)]: 1 }).settings,
      specOf({}).settings
    )
  })

  it("cannot give a block number another type", () => {
    for (const name of ["_block_num", "block_num"]) {
      assert.deepStrictEqual(problemsOf({ columns: { [name]: { type: "numeric" } } }), [
        "tables.transactions.columns: expected no type for _block_num and block_num: block numbers are always bigint"
      ])
    }
  })

  it("I7 never find their values in a message", () => {
    const secret = "hunter2-"
    const problems = problemsOf({
      columns: { a: { type: secret } },
      primaryKey: [secret, secret],
      indexes: [[secret, 7]],
      comment: `${secret}\0`
    })
    assert.isAtLeast(problems.length, 4)
    assert.notInclude(problems.join("\n"), secret)
  })

  it("change the fingerprint where they change what is stored, and only there", () => {
    const plain = specOf({})
    const typed = specOf({ columns: { value: { type: "numeric(78,0)" }, nonce: { type: "bigint" } } })
    assert.notStrictEqual(typed.fingerprint, plain.fingerprint)
    assert.strictEqual(
      specOf({ columns: { nonce: { type: "BIGINT" }, value: { type: "numeric(78)" } } }).fingerprint,
      typed.fingerprint
    )
    assert.notStrictEqual(specOf({ columns: { value: { type: "numeric" } } }).fingerprint, typed.fingerprint)
    const around = { primaryKey: ["tx_hash"], indexes: [["from"]], comment: "x" }
    assert.strictEqual(specOf(around).fingerprint, plain.fingerprint)
  })

  it("are compared by value, so that a reload restarts a table when any of them changes", () => {
    const entry = { columns: { value: { type: "bigint" } }, primaryKey: ["a"], indexes: [["b"]], comment: "c" }
    assert.isTrue(Equal.equals(specOf(entry).settings, specOf(structuredClone(entry)).settings))
    const others = [{ columns: {} }, { primaryKey: ["b"] }, { indexes: [["b"], ["c"]] }, { comment: "d" }]
    for (const other of others) {
      assert.isFalse(Equal.equals(specOf(entry).settings, specOf({ ...entry, ...other }).settings))
    }
  })
})
