/** The bill of materials and the licenses of what is built. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { bundledPackages } from "../../scripts/licenses.mjs"
import { runtimePackages } from "../../scripts/runtime-packages.mjs"
import { temporaryDirectory } from "../support/temporaryDirectory.ts"
import { repository, run } from "./installed.ts"

const bundled = () =>
  bundledPackages(readFileSync(join(repository, "dist", "LICENSES.txt"), "utf8"))
    .map(({ license, name, version }) => `${name}@${version} ${license}`)
    .toSorted()

/** The text that `npm run sbom` writes. */
const sbom = Effect.fnUntraced(function*(format: "cyclonedx" | "spdx") {
  const folder = yield* temporaryDirectory
  const out = join(folder, "sbom.json")
  const args = [join(repository, "scripts", "sbom.mjs"), "--format", format, "--out", out]
  // npm keeps its logs in HOME; SPDX needs a time, which is that of the commit where there is one.
  const ran = yield* run(folder, process.execPath, args, { HOME: folder, SOURCE_DATE_EPOCH: "1764526209" })
  assert.strictEqual(ran.status, 0, ran.stderr)
  return readFileSync(out, "utf8")
})

interface CycloneDx {
  readonly metadata: { readonly component: { readonly "bom-ref": string; readonly name: string } }
  readonly components: ReadonlyArray<{
    readonly "bom-ref": string
    readonly purl: string
    readonly hashes: ReadonlyArray<{ readonly alg: string }>
    readonly licenses: ReadonlyArray<{ readonly license: { readonly id: string } }>
  }>
  readonly dependencies: ReadonlyArray<{ readonly ref: string; readonly dependsOn: ReadonlyArray<string> }>
}

describe("the bill of materials", () => {
  it.live("has each package of dist/LICENSES.txt with its license and checksum, no other, and is the same every time", () =>
    Effect.gen(function*() {
      const [text, again] = yield* Effect.all([sbom("cyclonedx"), sbom("cyclonedx")], { concurrency: 2 })
      assert.strictEqual(text, again)
      const { components, dependencies, metadata } = JSON.parse(text) as CycloneDx
      assert.strictEqual(metadata.component.name, "ampsync")
      const listed = components.map((component) => `${component["bom-ref"]} ${component.licenses[0]!.license.id}`)
      assert.deepStrictEqual(listed.toSorted(), bundled())
      assert.isAbove(components.length, 30)
      for (const { hashes, purl } of components) assert.strictEqual(hashes[0]?.alg, "SHA-512", purl)
      const reached = new Set([metadata.component["bom-ref"]])
      for (const from of reached) {
        for (const { dependsOn, ref } of dependencies) if (ref === from) { for (const on of dependsOn) reached.add(on) }
      }
      assert.strictEqual(reached.size, components.length + 1, "each is a dependency of the program, or of one that is")
      assert.notInclude(text, repository)
    }))

  it.live("has the same packages in the format of SPDX", () =>
    Effect.gen(function*() {
      const document = JSON.parse(yield* sbom("spdx")) as {
        readonly creationInfo: { readonly created: string }
        readonly packages: ReadonlyArray<Readonly<Record<"name" | "versionInfo" | "licenseDeclared", string>>>
      }
      const [own, ...others] = document.packages.map(({ licenseDeclared, name, versionInfo }) =>
        `${name}@${versionInfo} ${licenseDeclared}`
      )
      assert.match(own!, /^ampsync@\S+ Apache-2\.0$/)
      assert.deepStrictEqual(others.toSorted(), bundled())
      assert.strictEqual(document.creationInfo.created, "2025-11-30T18:10:09Z")
    }))
})

describe("npm run licenses", () => {
  it.live("allows the license of each package that users get, and lists it", () =>
    Effect.gen(function*() {
      const { status, stderr, stdout } = yield* run(repository, process.execPath, ["scripts/list-licenses.mjs"])
      assert.strictEqual(status, 0, stderr)
      const listed = stdout.trim().split("\n").map((line) => line.split(/\s+/).slice(0, 3).join(" "))
      const expected = runtimePackages(repository).map(({ license, name, version }) => `${name} ${version} ${license}`)
      assert.deepStrictEqual(listed, expected)
      const inProgram = stdout.match(/^.* in the program$/gm) ?? []
      assert.strictEqual(inProgram.length, bundled().length, "what is bundled is a dependency or a peer")
    }))
})
