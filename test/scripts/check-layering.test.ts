import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawnSync } from "node:child_process"
import { join } from "node:path"
import { temporaryDirectory } from "../support/temporaryDirectory.ts"
import { type Files, writeFiles } from "../support/writeFiles.ts"

const SCRIPT = join(import.meta.dirname, "..", "..", "scripts", "check-layering.mjs")

/** Runs the script on a tree of these files; `printed` is its output. */
const check = Effect.fnUntraced(function*(files: Files) {
  const root = yield* temporaryDirectory
  yield* Effect.promise(() => writeFiles(root, files))
  const { status, stderr, stdout } = spawnSync(process.execPath, [SCRIPT, root], { encoding: "utf8" })
  return { status, printed: (stdout + stderr).trim() }
})

const TREE = {
  "src/main.ts": `import { sync } from "./programs/ampsync.ts"\nsync(process.argv)`,
  "src/index.ts": `export * from "./programs/ampsync.ts"\nexport { Pool } from "./services/Pool.ts"`,
  "src/programs/ampsync.ts":
    `import { layer } from "../layers/FlightClient.ts"\nimport "./syncTable.ts"\nexport const sync = layer`,
  "src/programs/cli.ts": `import { demo } from "./cli/demo.ts"\nexport const cli = demo`,
  "src/programs/cli/demo.ts": `export { demo } from "../../demo/demo.ts"`,
  "src/demo/demo.ts":
    `import { chain } from "../simulator/Chain.ts"\nimport { sync } from "../programs/ampsync.ts"\nimport "node:os"\nexport const demo = chain`,
  "src/programs/syncTable.ts":
    `import type { Pool } from "../services/Pool.ts"\nimport { a } from "../domain/a.ts"\nexport {}`,
  "src/services/Pool.ts":
    `import { Context } from "effect"\nimport type { A } from "../domain/a.ts"\nexport class Pool {}`,
  "src/layers/FlightClient.ts":
    `import grpc from "@grpc/grpc-js"\nimport { codec } from "./flight/codec.ts"\nexport const layer = process.env`,
  "src/layers/flight/codec.ts": `import { a } from "../../domain/a.ts"\nimport "./more.ts"\nexport const codec = a`,
  "src/layers/flight/more.ts": `import "node:fs"\nexport {}`,
  "src/layers/EmbeddedPostgres.ts": `import "./embedded-postgres/watchdog.ts"`,
  "src/layers/embedded-postgres/watchdog.ts": `import pg from "pg"\nimport { Pool } from "../../services/Pool.ts"`,
  "src/simulator/Chain.ts": `import { a } from "../domain/a.ts"\nimport "node:http"\nexport const chain = a`,
  "src/domain/a.ts": `import { Option } from "effect"\nexport const a = 1\nexport interface A {}`
}

/** The output of the script on the tree above when `files` are added or changed: one violation, or none. */
const finds = (title: string, files: Readonly<Record<string, string>>, expected: string) =>
  it.effect(title, () =>
    Effect.gen(function*() {
      const { printed, status } = yield* check({ ...TREE, ...files })
      assert.strictEqual(printed, expected)
      assert.strictEqual(status, 1)
    }))

describe("check-layering", () => {
  it.effect("accepts a tree whose arrows all point the right way, with its numbers of files and imports", () =>
    Effect.gen(function*() {
      const { printed, status } = yield* check(TREE)
      assert.strictEqual(printed, "layering: 15 files, 18 imports between them, all arrows point the right way")
      assert.strictEqual(status, 0)
    }))

  finds(
    "finds a main that builds a layer itself",
    { "src/main.ts": `\nimport { layer } from "./layers/FlightClient.ts"` },
    "src/main.ts:2: main may import only programs, services, domain: src/layers/FlightClient.ts"
  )
  finds(
    "finds an index that exports the simulator",
    { "src/index.ts": `export * from "./simulator/Chain.ts"` },
    "src/index.ts:1: index may import only programs, services, domain: src/simulator/Chain.ts"
  )
  finds(
    "finds a program beside the roots that imports a layer",
    { "src/programs/syncTable.ts": `import type { layer } from "../layers/FlightClient.ts"` },
    "src/programs/syncTable.ts:1: only start, begin, ampsync, operations, cli, cli/*, verbs/simulate, verbs/plan, verbs/removal, verbs/status/*, verbs/doctor/* among the programs may "
      + "import layers: src/layers/FlightClient.ts"
  )
  finds(
    "finds a program beside the roots that imports the demo",
    { "src/programs/syncTable.ts": `import "../demo/screen.ts"`, "src/demo/screen.ts": "" },
    "src/programs/syncTable.ts:1: only start, begin, ampsync, operations, cli, cli/*, verbs/simulate, verbs/plan, verbs/removal, verbs/status/*, verbs/doctor/* among the programs may import demo: "
      + "src/demo/screen.ts"
  )
  finds(
    "finds a layer that imports the demo",
    { "src/layers/flight/more.ts": `import "../../demo/screen.ts"`, "src/demo/screen.ts": "" },
    "src/layers/flight/more.ts:1: layers may import only services, domain: src/demo/screen.ts"
  )
  finds(
    "finds a service that imports a layer",
    { "src/services/Pool.ts": `import { layer } from "../layers/FlightClient.ts"` },
    "src/services/Pool.ts:1: services may import only services, domain: src/layers/FlightClient.ts"
  )
  finds(
    "finds a service that imports more than effect",
    { "src/services/Pool.ts": `import { Table } from "apache-arrow"` },
    "src/services/Pool.ts:1: services may import only domain and effect: apache-arrow"
  )
  finds(
    "finds a layer that imports another layer",
    { "src/layers/PgPool.ts": `import { layer } from "./FlightClient.ts"` },
    "src/layers/PgPool.ts:1: a layer requires tags, never another layer: src/layers/FlightClient.ts"
  )
  finds(
    "finds a layer that imports another layer's folder",
    { "src/layers/PgPool.ts": `import { codec } from "./flight/codec.ts"` },
    "src/layers/PgPool.ts:1: a layer requires tags, never another layer: src/layers/flight/codec.ts"
  )
  finds(
    "finds a layer's folder that imports another layer's folder",
    { "src/layers/flight/more.ts": `import "../embedded-postgres/watchdog.ts"` },
    "src/layers/flight/more.ts:1: a layer requires tags, never another layer: "
      + "src/layers/embedded-postgres/watchdog.ts"
  )
  finds(
    "finds a layer that imports a program",
    { "src/layers/PgPool.ts": `import "../programs/syncTable.ts"` },
    "src/layers/PgPool.ts:1: layers may import only services, domain: src/programs/syncTable.ts"
  )
  finds(
    "finds a simulator that knows the services",
    { "src/simulator/Chain.ts": `import { Pool } from "../services/Pool.ts"\nexport const chain = 1` },
    "src/simulator/Chain.ts:1: simulator may import only simulator, domain: src/services/Pool.ts"
  )
  finds(
    "finds a domain that knows the services",
    { "src/domain/deep/b.ts": `const b = import("../../services/Pool.ts")` },
    "src/domain/deep/b.ts:1: domain may import only domain: src/services/Pool.ts"
  )
  for (const specifier of ["node:fs", "crypto", "pg", "pg-copy-streams", "@grpc/grpc-js"]) {
    finds(
      `finds a domain that imports ${specifier}`,
      { "src/domain/b.ts": `export * from '${specifier}'` },
      `src/domain/b.ts:1: only layers, the simulator and the demo may import ${specifier}`
    )
  }
  finds(
    "finds a program that reads the environment",
    { "src/programs/plan.ts": "export const plan = `${process.env.HOME}`" },
    "src/programs/plan.ts:1: only layers, the simulator and the demo may use process.env"
  )
  finds(
    "finds a main that uses more of process than argv",
    { "src/main.ts": "process.exit(process.argv.length)" },
    "src/main.ts:1: only layers, the simulator and the demo may use process.exit"
  )
  finds(
    "finds an import cycle, type imports included",
    {
      "src/domain/b.ts": `import type { C } from "./c.ts"`,
      "src/domain/c.ts": `\n\nimport type { B } from "./b.ts"`
    },
    "src/domain/c.ts:3: this import closes a cycle: src/domain/b.ts -> src/domain/c.ts -> src/domain/b.ts"
  )
  finds(
    "finds an import that leaves src",
    { "src/domain/b.ts": `import "../../test/support/scenario.ts"`, "test/support/scenario.ts": "" },
    "src/domain/b.ts:1: imports ../../test/support/scenario.ts, which is no file of src"
  )
  finds(
    "finds an import of our own package by its name",
    { "src/domain/b.ts": `import { layer } from "ampsync"` },
    "src/domain/b.ts:1: our own package is imported by its name; use a relative path: ampsync"
  )
  finds(
    "finds an unknown room",
    { "src/utils/b.ts": "" },
    `src/utils/b.ts:1: src has no room "utils"`
  )

  it.effect("is not misled by comments, strings, templates and regular expressions", () =>
    Effect.gen(function*() {
      const { printed, status } = yield* check({
        ...TREE,
        "src/domain/b.ts": [
          "// import \"node:fs\"; process.env",
          "/* from \"pg\" */",
          "const a = 'import \"node:fs\"' + \"process.env\"",
          "const b = `from \"pg\" ${a ? `import(\"fs\") ${{ a }}` : \"process.env\"} process.exit`",
          "const c = /[/\"'`]process.env from \"pg\"/.test(a)",
          "const d = a.process.env / b / 2",
          "export { a } from \"./a.ts\""
        ].join("\n")
      })
      assert.strictEqual(printed, "layering: 16 files, 19 imports between them, all arrows point the right way")
      assert.strictEqual(status, 0)
    }))

  it.effect("leaves test files alone", () =>
    Effect.gen(function*() {
      const { status } = yield* check({ ...TREE, "test/a.test.ts": `import "node:fs"\nimport "../src/layers/x.ts"` })
      assert.strictEqual(status, 0)
    }))
})
