import { assert, describe, it } from "@effect/vitest"
import { existsSync } from "node:fs"
import { join } from "node:path"
import { pageOf, pages, root } from "./pages.ts"

const withAnchors = new Map(pages.map(({ anchors, path }) => [path, anchors]))

describe("the documentation", () => {
  it("has no link to a file or heading that is not there", () => {
    const broken = pages.flatMap(({ links }) => links).filter(({ anchor, path }) =>
      !existsSync(join(root, path)) || (anchor !== undefined && withAnchors.get(path)?.has(anchor) !== true)
    )
    assert.deepStrictEqual(broken, [])
    assert.isAbove(pages.flatMap(({ links }) => links).length, 20)
  })

  it("has every page in its table of contents", () => {
    const listed = new Set(pageOf("docs/README.md").links.map(({ path }) => path))
    const missing = pages.map(({ path }) => path).filter((path) => path !== "docs/README.md" && !listed.has(path))
    assert.deepStrictEqual(missing, [])
  })

  it("names files of the repository that are there", () => {
    const named = pages.flatMap(({ path, text }) =>
      [...text.matchAll(/`((?:src|test|docs|scripts|examples)\/[\w./-]+\.\w+)`/g)].map(([, file]) => ({
        path,
        file: file!
      }))
    )
    assert.deepStrictEqual(named.filter(({ file }) => !existsSync(join(root, file))), [])
  })

  it("has a language for every example that a test can judge", () => {
    const known = ["sh", "ts", "sql", "json", "text", ""]
    const examples = pages.flatMap(({ examples }) => examples)
    assert.deepStrictEqual(examples.filter(({ language }) => !known.includes(language)), [])
  })
})
