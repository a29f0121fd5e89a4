import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { join } from "node:path"

const root = join(import.meta.dirname, "..", "..")
const read = (path: string) => readFileSync(join(root, path), "utf8")
const { version } = JSON.parse(read("package.json")) as { version: string }

/** Where a release has to change it, docs/releasing.md. */
const places: ReadonlyArray<readonly [path: string, pattern: RegExp]> = [
  ["package-lock.json", /^ {2}"version": "([^"]+)",$/gm],
  ["src/domain/version.ts", /VERSION = "([^"]+)"/g],
  ["Dockerfile", /^ARG VERSION=(.+)$/gm],
  ["deploy/kubernetes/kustomization.yaml", /newTag: (\S+)/g],
  ["docs/deployment.md", /newTag: (\S+)/g],
  ["docs/docker.md", /--tag \S+\/ampsync:(\S+)/g],
  ["examples/embed-in-effect-app/README.md", /ampsync-(\d\S*)\.tgz/g]
]

describe("the version of package.json", () => {
  it.each(places)("is that of %s", (path, pattern) => {
    const found = [...read(path).matchAll(pattern)].map(([, text]) => text)
    assert.isAbove(found.length, 0)
    assert.deepStrictEqual(found, found.map(() => version))
  })
})
