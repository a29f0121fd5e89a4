import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { join } from "node:path"

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

  it("needs no shell at run time, and is not root", () => {
    assert.match(dockerfile, /^ENTRYPOINT \["node", "\/app\/main\.js"\]$/m)
    assert.match(dockerfile, /^HEALTHCHECK .*CMD \["node", "\/app\/main\.js", "health"\]$/m)
    assert.match(dockerfile, /^USER 1001:1001$/m)
  })
})
