import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { licensesOf, notAllowed } from "../../scripts/licenses.mjs"
import { runtimePackages } from "../../scripts/runtime-packages.mjs"
import { temporaryDirectory } from "../support/temporaryDirectory.ts"
import { writeFiles } from "../support/writeFiles.ts"

describe("the license of a package", () => {
  it("must be one that is allowed, or leave the choice of one", () => {
    const of = (license: string | undefined) => notAllowed([{ name: "a", version: "1.0.0", license }])
    for (const allowed of ["MIT", "ISC", "(MIT OR GPL-3.0-only)"]) assert.deepStrictEqual(of(allowed), [], allowed)
    const refusals = [
      "GPL-3.0-only",
      "BUSL-1.1",
      "MIT AND GPL-2.0-only",
      "(MIT OR ISC) AND BUSL-1.1",
      "SEE LICENSE IN LICENSE.md"
    ]
    for (const refused of refusals) {
      assert.deepStrictEqual(of(refused), [`a 1.0.0 (${refused})`])
    }
    assert.deepStrictEqual(of(undefined), ["a 1.0.0 (no license)"])
  })

  it.live("that is not allowed lets no bundle be built", () =>
    Effect.gen(function*() {
      const root = yield* temporaryDirectory
      yield* Effect.promise(() =>
        writeFiles(root, {
          "node_modules/good/package.json": `{ "name": "good", "version": "1.0.0", "license": "MIT" }`,
          "node_modules/good/LICENSE": "MIT License",
          "node_modules/bad/package.json": `{ "name": "bad", "version": "2.0.0", "license": "AGPL-3.0-only" }`
        })
      )
      assert.include(licensesOf(root, ["src/main.ts", "node_modules/good/a.js"]), "good 1.0.0 (MIT)")
      assert.throws(
        () => licensesOf(root, ["node_modules/good/a.js", "node_modules/bad/a.js"]),
        "packages in the bundle whose license is not allowed (scripts/licenses.mjs): bad 2.0.0 (AGPL-3.0-only)"
      )
    }))
})

describe("the packages that a host installs", () => {
  it.live("are dependencies and peers and theirs, each in the version that Node would find, and no others", () =>
    Effect.gen(function*() {
      const root = yield* temporaryDirectory
      const packages = {
        "": {
          dependencies: { a: "1" },
          peerDependencies: { p: "1" },
          devDependencies: { p: "1", d: "1" }
        },
        "node_modules/a": {
          version: "1.0.0",
          license: "MIT",
          dependencies: { b: "2" },
          optionalDependencies: { o: "1", x: "1" }
        },
        "node_modules/a/node_modules/b": { version: "2.0.0", license: "ISC", dependencies: { c: "1" } },
        "node_modules/b": { version: "1.0.0", license: "MIT" },
        "node_modules/c": { version: "1.0.0", license: "MIT" },
        "node_modules/d": { version: "1.0.0", license: "MIT" },
        "node_modules/o": { version: "1.0.0", license: "MIT" },
        "node_modules/p": {
          version: "1.0.0",
          peerDependencies: { q: "1", c: "1" },
          peerDependenciesMeta: { q: { optional: true } }
        },
        "node_modules/q": { version: "1.0.0", license: "MIT" }
      }
      yield* Effect.promise(() => writeFiles(root, { "package-lock.json": JSON.stringify({ packages }) }))
      assert.deepStrictEqual(
        runtimePackages(root).map(({ license, name, version }) => `${name} ${version} ${license}`),
        ["a 1.0.0 MIT", "b 2.0.0 ISC", "c 1.0.0 MIT", "o 1.0.0 MIT", "p 1.0.0 undefined"]
      )
    }))
})
