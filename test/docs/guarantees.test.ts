import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { pageOf, root, tableRows } from "./pages.ts"

describe("docs/guarantees.md", () => {
  it("names for each promise files with tests that guard it", () => {
    const rows = tableRows(pageOf("docs/guarantees.md"), "guarantees")
    assert.deepStrictEqual(rows.map(([number]) => number), ["I1", "I2", "I3", "I4", "I5", "I6", "I7", "I8"])
    for (const [number, , figure, heldBy] of rows) {
      assert.match(figure!, /[\w]/)
      const files = [...heldBy!.matchAll(/`([^`]+)`/g)].map(([, file]) => file!)
      assert.isNotEmpty(files)
      for (const file of files) {
        assert.match(readFileSync(join(root, file), "utf8"), new RegExp(`["'\`]${number} `), `${file} holds ${number}`)
      }
    }
  })
})
