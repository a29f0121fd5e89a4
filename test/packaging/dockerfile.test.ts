import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { dirname, join, relative } from "node:path"
import { scanModule } from "../../scripts/scan-module.mjs"

const root = join(import.meta.dirname, "..", "..")
const dockerfile = readFileSync(join(root, "Dockerfile"), "utf8")
const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string }

describe("the Dockerfile", () => {
  it("labels the image with the version of the package", () => {
    assert.strictEqual(/^ARG VERSION=(.*)$/m.exec(dockerfile)?.[1], version)
  })

  it("names one exact base for every stage", () => {
    assert.match(dockerfile, /^ARG NODE_IMAGE=docker\.io\/library\/node:\d+\.\d+\.\d+-\w+-slim$/m)
    const bases = [...dockerfile.matchAll(/^FROM (?:--platform=\S+ )?(\S+)/gm)].map(([, base]) => base)
    assert.deepStrictEqual(bases, ["${NODE_IMAGE}", "${NODE_IMAGE}"])
  })

  it("runs nothing in the last stage, which is then built for any architecture", () => {
    const last = dockerfile.slice(dockerfile.lastIndexOf("\nFROM "))
    assert.notMatch(last, /^RUN /m)
  })

  it("is given every file that the build imports", () => {
    const files = new Set([join(root, "scripts/build.mjs")])
    for (const file of files) {
      for (const { specifier } of scanModule(readFileSync(file, "utf8")).imports) {
        if (specifier.startsWith(".")) files.add(join(dirname(file), specifier))
      }
    }
    const given = readFileSync(join(root, ".dockerignore"), "utf8").split("\n")
    const missing = [...files].map((file) => `!${relative(root, file)}`).filter((line) => !given.includes(line))
    assert.deepStrictEqual(missing, [])
    assert.isAbove(files.size, 3)
  })

  it("needs no shell at run time, and is not root", () => {
    assert.match(dockerfile, /^ENTRYPOINT \["node", "\/app\/main\.js"\]$/m)
    assert.match(dockerfile, /^HEALTHCHECK .*CMD \["node", "\/app\/main\.js", "health"\]$/m)
    assert.match(dockerfile, /^USER 1001:1001$/m)
  })
})
