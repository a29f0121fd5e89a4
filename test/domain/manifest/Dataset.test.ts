import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import {
  type DatasetReference,
  formatDatasetReference,
  parseDatasetReference,
  sqlTableReference
} from "../../../src/domain/manifest/Dataset.ts"

const parse = (text: string) => Result.getOrUndefined(parseDatasetReference(text))
const reference = (text: string): DatasetReference => Result.getOrThrow(parseDatasetReference(text))
const hash = "ab".repeat(32)

describe("a dataset reference", () => {
  it("has a namespace and a revision that may be left out", () => {
    assert.deepStrictEqual(parse("anvil"), { namespace: "_", name: "anvil", revision: undefined })
    assert.deepStrictEqual(parse("my_ns/anvil@1.2.3"), { namespace: "my_ns", name: "anvil", revision: "1.2.3" })
    for (const revision of ["1.0.0-LTcyNjgz", "1.0.0-rc.1+build.5", hash, "latest", "dev"]) {
      assert.strictEqual(parse(`anvil@${revision}`)?.revision, revision)
    }
  })

  it("is rejected where the grammar is broken", () => {
    for (
      const text of [
        "",
        "Anvil",
        "1anvil",
        "a/b/c",
        "a@b@c",
        "/a",
        "a@",
        "A/b",
        "a-b",
        "a@1.2",
        "a@01.2.3",
        "a@newest",
        "a b"
      ]
    ) {
      assert.isUndefined(parse(text), text)
    }
  })

  it("reads back what it writes", () => {
    for (const text of ["_/anvil", "my_ns/anvil@1.2.3", `_/a@${hash}`]) {
      assert.strictEqual(formatDatasetReference(reference(text)), text)
    }
  })
})

describe("sqlTableReference", () => {
  it("writes the whole reference as one quoted name for an amp server", () => {
    assert.strictEqual(sqlTableReference("amp", reference("_/anvil@0.0.1"), "blocks"), "\"_/anvil@0.0.1\".blocks")
    assert.strictEqual(sqlTableReference("amp", reference("ns/anvil"), "blocks"), "\"ns/anvil\".blocks")
  })

  it("writes the version with underscores for a nozzle server, or none for the newest", () => {
    assert.strictEqual(sqlTableReference("nozzle", reference("ns/anvil@0.1.0"), "blocks"), "anvil__0_1_0.blocks")
    assert.strictEqual(sqlTableReference("nozzle", reference("anvil@latest"), "blocks"), "anvil.blocks")
    assert.strictEqual(sqlTableReference("nozzle", reference("anvil"), "blocks"), "anvil.blocks")
  })

  it("quotes names that would change otherwise, and leaves out a version that would be read as another one", () => {
    assert.strictEqual(
      sqlTableReference("nozzle", reference("anvil@0.1.0-LTcy"), "Blocks"),
      "\"anvil__0_1_0-LTcy\".\"Blocks\""
    )
    assert.strictEqual(
      sqlTableReference("nozzle", { ...reference("anvil"), revision: "0.1.0-a_b" }, "a\"b"),
      "anvil.\"a\"\"b\""
    )
  })
})
