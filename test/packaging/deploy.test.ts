/** The files that people deploy with: docker-compose.yml, that of an example, and what is in deploy. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { settingNames, variablesOf } from "../../src/domain/settings/settings.ts"
import { startAmpsync } from "../support/ampsyncProcess.ts"
import { makeWorld } from "../support/world.ts"

const root = join(import.meta.dirname, "..", "..")

const files = [
  "docker-compose.yml",
  "examples/with-electricsql/docker-compose.yml",
  "deploy/kubernetes/deployment.yaml",
  "deploy/kubernetes/kustomization.yaml",
  "deploy/systemd/ampsync.env",
  "deploy/systemd/ampsync.service"
]

const CONFIGS = [
  "deploy/config/amp.config.ts",
  "deploy/kubernetes/amp.config.json",
  "examples/with-electricsql/config/amp.config.ts"
]

/** Variables of other programs. */
const OTHERS = /^(POSTGRES|ELECTRIC)_|^RPC_URL$/

/** Names in capitals in the place of a variable: `NAME: value`, `- name: NAME`, `NAME=value`, `Environment=NAME=value`. */
const variablesIn = (text: string): ReadonlyArray<string> =>
  [...text.matchAll(/^ *(?:- )?(?:name: |Environment=)?([A-Z][A-Z_]{3,})(?=[:=]|$)/gm)].map(([, name]) => name!)

describe("the files of a deployment", () => {
  it("set nothing but settings that there are", () => {
    const known = settingNames.flatMap(variablesOf)
    const used = files.flatMap((file) =>
      variablesIn(readFileSync(join(root, file), "utf8"))
        .filter((name) => !OTHERS.test(name))
        .map((name) => ({ file, name }))
    )
    assert.deepStrictEqual(used.filter(({ name }) => !known.some((variable) => variable === name)), [])
    for (const file of files) assert.isTrue(used.some((variable) => variable.file === file), file)
  })

  it.live("have config files that are planned without a refusal", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ dialect: "amp", blocks: 5 })
      for (const file of CONFIGS) {
        const plan = yield* startAmpsync({ ...world.environment, DATASET_MANIFEST: join(root, file) }, ["plan"])
        assert.strictEqual((yield* plan.exited).code, 3, `${file}:\n${plan.output()}`)
      }
    }))

  it("have a page with the client of ElectricSQL that the tests run", () => {
    const client = (file: string, field: string): unknown =>
      JSON.parse(readFileSync(join(root, file), "utf8"))[field]["@electric-sql/client"]
    const tested = client("package.json", "devDependencies")
    assert.match(String(tested), /^\d+\.\d+\.\d+$/)
    assert.strictEqual(client("examples/with-electricsql/page/package.json", "dependencies"), tested)
  })

  it("open no port but of the loopback, each with a variable for another one", () => {
    for (const file of files.filter((name) => name.endsWith("docker-compose.yml"))) {
      const ports = readFileSync(join(root, file), "utf8").match(/(?<=^    ports:\n)(?: {6}.*\n)+/gm) ?? []
      const entries = ports.flatMap((text) => text.trimEnd().split("\n"))
      assert.isAbove(entries.length, 1, file)
      for (const entry of entries) assert.match(entry, /^ {6}- "127\.0\.0\.1:\$\{[A-Z]+_PORT:-(\d+)\}:\1"$/, file)
    }
  })

  it("take the variables that docs/docker.md lists, with these defaults", () => {
    const compose = readFileSync(join(root, "docker-compose.yml"), "utf8")
    const taken = [...compose.matchAll(/\$\{([A-Z_]+):-([^}]*)\}/g)].map(([, name, value]) => `${name} ${value}`)
    const page = readFileSync(join(root, "docs/docker.md"), "utf8")
    const table = /\| variable in front of the command .*\n\|.*\n((?:\|.*\n)+)/.exec(page)![1]!
    const listed = [...table.matchAll(/^\| `([A-Z_]+)` \| `([^`]*)` \|/gm)].map(([, name, value]) => `${name} ${value}`)
    assert.deepStrictEqual([...new Set(taken)].toSorted(), listed.toSorted())
  })
})
