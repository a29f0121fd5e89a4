import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import type { Dialect } from "../../../src/domain/manifest/Dataset.ts"
import { decodeManifest } from "../../../src/domain/manifest/Manifest.ts"
import { resolveQueries, sentUnresolved } from "../../../src/domain/manifest/references.ts"

const sent = (dialect: Dialect, isOwnerKnown: boolean, dependency: unknown): ReadonlyArray<string> => {
  const manifest = Result.getOrThrow(decodeManifest({
    name: "example",
    version: "0.1.0",
    dependencies: { rpc: dependency },
    tables: { a: { sql: "SELECT * FROM rpc.blocks" }, b: { sql: "SELECT * FROM self.logs" } }
  }))
  return resolveQueries(manifest, sentUnresolved(dialect, isOwnerKnown)).tables.map(({ query }) => query.batch)
}

describe("queries that are sent without the answer of the Admin API", () => {
  it("name datasets as the config does, in the form of the generation", () => {
    for (
      const [dialect, dependency, schema] of [
        ["amp", "_/anvil@0.2.0", "\"_/anvil@0.2.0\""],
        ["amp", "_/anvil", "\"_/anvil\""],
        ["amp", "_/anvil@dev", "\"_/anvil@dev\""],
        ["nozzle", "anvil@0.2.0", "anvil__0_2_0"],
        ["nozzle", "anvil", "anvil"],
        ["nozzle", "anvil@latest", "anvil"]
      ] as const
    ) {
      const own = dialect === "amp" ? "\"_/example@0.1.0\"" : "example__0_1_0"
      assert.deepStrictEqual(
        sent(dialect, true, dependency),
        [`SELECT * FROM ${schema}.blocks`, `SELECT * FROM ${own}.logs`],
        `${dialect} ${dependency}`
      )
    }
  })

  it("leave out the owner of a dependency where it is no namespace of the server", () => {
    const owned = { owner: "edgeandnode", name: "anvil", version: "0.1.0" }
    assert.strictEqual(sent("amp", true, owned)[0], "SELECT * FROM \"edgeandnode/anvil@0.1.0\".blocks")
    assert.strictEqual(sent("amp", false, owned)[0], "SELECT * FROM \"_/anvil@0.1.0\".blocks")
  })
})
