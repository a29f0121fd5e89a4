import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import { decodeManifest } from "../../../src/domain/manifest/Manifest.ts"

const decoded = (input: unknown) =>
  Result.getOrThrowWith(decodeManifest(input), ({ problems }) => new Error(problems.join("\n")))

const problemsOf = (input: unknown): Array<string> => {
  const result = decodeManifest(input)
  return Result.isFailure(result) ? [...result.failure.problems] : assert.fail("accepted")
}

const tables = { blocks: { sql: "SELECT * FROM anvil.blocks" } }

describe("a config file", () => {
  it("of a nozzle server gives its version, network and dependencies", () => {
    const manifest = decoded({
      name: "example",
      network: "anvil",
      version: "0.2.0",
      readme: "x",
      dependencies: { anvil: { owner: "graphops", name: "anvil", version: "0.1.0" } },
      tables,
      functions: { f: { source: {}, inputTypes: [], outputType: "Utf8" } }
    })
    assert.deepStrictEqual(manifest.dataset, { namespace: "_", name: "example", revision: "0.2.0" })
    assert.strictEqual(manifest.network, "anvil")
    assert.deepStrictEqual(manifest.dependencies, {
      anvil: { namespace: "graphops", name: "anvil", revision: "0.1.0", isOwned: true }
    })
    assert.deepStrictEqual(manifest.tables.map((table) => [table.name, table.query.streaming]), [
      ["blocks", "SELECT * FROM anvil.blocks SETTINGS stream = true"]
    ])
  })

  it("of an amp server gives its namespace and references", () => {
    const manifest = decoded({
      namespace: "my_ns",
      name: "example",
      keywords: ["a"],
      private: true,
      dependencies: { anvil: "_/anvil@0.0.1", other: "x" },
      tables
    })
    assert.deepStrictEqual(manifest.dataset, { namespace: "my_ns", name: "example", revision: undefined })
    assert.isUndefined(manifest.network)
    assert.deepStrictEqual(manifest.dependencies, {
      anvil: { namespace: "_", name: "anvil", revision: "0.0.1" },
      other: { namespace: "_", name: "x", revision: undefined }
    })
  })

  it("keeps the order of its tables", () => {
    const names = ["zeta", "alpha", "Mid dle"]
    const manifest = decoded({
      name: "a",
      tables: Object.fromEntries(names.map((name) => [name, { sql: "SELECT 1" }]))
    })
    assert.deepStrictEqual(manifest.tables.map((table) => table.name), names)
  })

  it("reports all of its problems at once, each with its key", () => {
    const problems = problemsOf({
      namespace: "my-ns",
      version: "one",
      network: 5,
      dependencies: { a: "A/b", b: { owner: "x", version: "1" }, c: 7 },
      tables: { blocks: { sql: 7 }, "my logs": {}, logs: { sql: "SELECT 1 LIMIT 5" }, _ampsync_x: { sql: "SELECT 1" } }
    })
    const keys = problems.map((problem) => problem.slice(0, problem.indexOf(":")))
    assert.sameMembers(keys, [
      "namespace",
      "name",
      "version",
      "network",
      "dependencies.a",
      "dependencies.b.name",
      "dependencies.c",
      "tables.blocks.sql",
      "tables.\"my logs\".sql",
      "tables.logs.sql",
      "tables._ampsync_x"
    ])
    assert.include(problems, "name: is missing")
    assert.include(problems.join("\n"), "tables.logs.sql: LIMIT is not possible")
  })

  it("is rejected with a key that is probably a typo and would be ignored", () => {
    const typos = {
      Tables: "tables",
      table: "tables",
      dependancies: "dependencies",
      netwrok: "network",
      versions: "version",
      nmae: "name",
      names: "name",
      namspace: "namespace"
    }
    for (const [key, meant] of Object.entries(typos)) {
      assert.deepStrictEqual(problemsOf({ name: "a", tables, [key]: {} }), [
        `${key}: is not a key of a config, did you mean ${meant}?`
      ])
    }
    const missing = problemsOf({ name: "a", "table s": tables })
    assert.sameMembers(missing, ["tables: is missing", "\"table s\": is not a key of a config, did you mean tables?"])
  })

  it("may have the keys of the tools of both servers", () => {
    const keys = ["readme", "repository", "description", "keywords", "license", "private", "visibility", "sources"]
    const more = [
      "functions",
      "startBlock",
      "start_block",
      "owner",
      "outputs",
      "schema",
      "finalized_blocks_only",
      "kind"
    ]
    decoded({ name: "a", tables, ...Object.fromEntries([...keys, ...more].map((key) => [key, {}])) })
  })

  it("needs at least one table", () => {
    assert.deepStrictEqual(problemsOf({ name: "a", tables: {} }), ["tables: expected at least one table"])
    assert.deepStrictEqual(problemsOf({ name: "a" }), ["tables: is missing"])
  })

  it("cannot have a table name that PostgreSQL would cut", () => {
    assert.deepStrictEqual(decoded({ name: "a", tables: { ["é".repeat(31)]: { sql: "SELECT 1" } } }).tables.length, 1)
    assert.match(problemsOf({ name: "a", tables: { ["é".repeat(32)]: { sql: "SELECT 1" } } })[0] ?? "", /63 bytes/)
  })

  it("I7 never finds its values in a message", () => {
    const secret = "hunter2-"
    const problems = [
      ...problemsOf(secret),
      ...problemsOf([secret]),
      ...problemsOf({
        namespace: secret,
        name: secret,
        version: secret,
        network: [secret],
        dependencies: { a: secret, b: { owner: [secret], name: secret, version: {} }, c: [secret] },
        tables: { a: secret, b: { sql: [secret] }, c: { sql: `SELECT '${secret}` }, d: { sql: secret } }
      })
    ]
    assert.isAbove(problems.length, 10)
    assert.notInclude(problems.join("\n"), secret)
  })
})
