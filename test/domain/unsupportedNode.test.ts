import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { unsupportedNode } from "../../src/domain/unsupportedNode.ts"

const { engines } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
  readonly engines: { readonly node: string }
}

describe("a version of Node", () => {
  it("is refused where it is older than package.json allows, with the version that is needed", () => {
    const [, major, minor] = /^>=(\d+)\.(\d+)\.0$/.exec(engines.node)!
    for (const version of ["18.20.8", `${major}.${Number(minor) - 1}.9`, `${Number(major) - 1}.99.0`]) {
      assert.include(
        unsupportedNode(version) ?? "",
        `needs Node ${major}.${minor} or newer, and this is Node ${version}`
      )
    }
    for (const version of [`${major}.${minor}.0`, "20.20.2", "22.1.0", "24.21.0", "100.0.0"]) {
      assert.isUndefined(unsupportedNode(version), version)
    }
  })
})
