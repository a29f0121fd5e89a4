import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { readdir, symlink } from "node:fs/promises"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { ManifestSource } from "../../src/services/ManifestSource.ts"
import { writeFiles } from "../support/writeFiles.ts"
import { directoryOf, failing, load, loadFile, loadsAs, named, sourceOf } from "./manifest-source/files.ts"

const fixture = (name: string) => fileURLToPath(new URL(`../fixtures/manifests/${name}`, import.meta.url))

/** A config with the result of `functionSource` for a path. */
const read = (path: string) =>
  `export default ({ functionSource }) => { const f = functionSource(${JSON.stringify(path)})\n` +
  "return { name: \"a\", network: f.filename + \"=\" + f.source, tables: { t: { sql: \"SELECT 1\" } } } }"

const helper = (extension: string, value: number) =>
  extension === "json"
    ? `{ "value": ${value} }`
    : extension === "cjs"
    ? `module.exports = { value: ${value} }`
    : `export default { value: ${value} }`

describe("ManifestSource", () => {
  it.live("loads the config files of both generations without the packages they import", () =>
    Effect.gen(function*() {
      const first = yield* loadFile(fixture("nozzle.config.ts"))
      assert.strictEqual(first.network, "anvil")
      assert.deepStrictEqual(first.tables.map((table) => table.name), ["blocks", "logs"])
      const second = yield* loadFile(fixture("amp.config.mjs"))
      assert.include(second.tables[0]?.query.batch, "SELECT _block_num, block_num, hash FROM")
      const third = yield* loadFile(fixture("amp.config.json"))
      assert.strictEqual(third.dependencies["anvil"]?.revision, "0.0.1")
    }))

  it.live("accepts defineDataset with a function, an async function or an object, and exports without it", () =>
    Effect.gen(function*() {
      for (const name of ["nozzl", "nozzle", "@edgeandnode/amp"]) {
        const head = `import { defineDataset } from ${JSON.stringify(name)}\n`
        yield* loadsAs("a", { "c.ts": `${head}export default defineDataset(() => (${named("a")}))` })
        yield* loadsAs("b", {
          "c.ts": `${head}export default defineDataset(async (context: unknown) => (${named("b")}))`
        })
        yield* loadsAs("c", { "c.ts": `${head}export default defineDataset(${named("c")})` })
      }
      yield* loadsAs("d", { "c.ts": `export default ${named("d")}` })
      yield* loadsAs("e", { "c.mts": `export default async () => (${named("e")})` })
      yield* loadsAs("f", { "c.ts": `const config = ${named("f")} as const\nexport { config as default }` })
      yield* loadsAs("g", { "c.ts": `import nozzl from "nozzl"\nexport default nozzl.defineDataset(${named("g")})` })
      yield* loadsAs("i", {
        "c.ts": `import { defineDataset } from "ampsync/config"\nexport default defineDataset(${named("i")})`
      })
      yield* loadsAs("h", { "c.ts": `export default Promise.resolve(${named("h")})` })
    }))

  it.live("generates the tables of an ABI's events, by its own eventTables or by that of a package beside the config", () =>
    Effect.gen(function*() {
      const config = `import { defineDataset, eventTables } from "@edgeandnode/amp"
        import abi from "./abi.json" with { type: "json" }
        export default defineDataset(() => ({ name: "a", dependencies: {}, tables: eventTables(abi, "chain") }))`
      const abi = JSON.stringify([{ type: "event", name: "Sent", inputs: [{ name: "value", type: "uint256" }] }])
      const own = yield* load({ "c.ts": config, "abi.json": abi })
      assert.include(own.tables[0]?.query.sql, "evm_topic('Sent(uint256 value)')")
      assert.deepStrictEqual(own.tables[0]?.wideIntegers, ["value"])
      const folder = "node_modules/@edgeandnode/amp"
      const installed = yield* load({
        "c.ts": config,
        "abi.json": abi,
        [`${folder}/package.json`]: JSON.stringify({
          name: "@edgeandnode/amp",
          type: "module",
          exports: { ".": "./index.js" }
        }),
        [`${folder}/index.js`]: "export const defineDataset = (make) => make\n" +
          "export const eventTables = (abi) => ({ theirs: { sql: `SELECT ${abi.length} FROM chain.logs` } })"
      })
      assert.deepStrictEqual(installed.tables.map(({ name, query }) => [name, query.sql]), [
        ["theirs", "SELECT 1 FROM chain.logs"]
      ])
    }))

  it.live("follows the paths of the tsconfig.json that is nearest to the config, comments and extends included", () =>
    Effect.gen(function*() {
      yield* loadsAs("aliased", {
        "app/c.ts":
          "import { name } from \"@shared/names\"\nexport default { name, tables: { t: { sql: \"SELECT 1\" } } }",
        "app/tsconfig.json": "{ // of the project\n \"extends\": \"../tsconfig.base.json\" }",
        "tsconfig.base.json": JSON.stringify({
          compilerOptions: { baseUrl: ".", paths: { "@shared/*": ["./lib/*"] } }
        }),
        "lib/names.ts": "export const name: string = \"aliased\""
      })
    }))

  it.live("runs CommonJS and ES modules below either kind of package.json", () =>
    Effect.gen(function*() {
      for (const type of ["module", "commonjs"]) {
        const beside = { "package.json": JSON.stringify({ type }) }
        const cjs = `const { defineDataset } = require("nozzle")\nmodule.exports = defineDataset(${named("cjs")})`
        const esm = `import { defineDataset } from "nozzle"\nexport default defineDataset(${named("esm")})`
        yield* loadsAs("cjs", { "c.js": cjs, ...beside })
        yield* loadsAs("esm", { "c.js": esm, ...beside })
        yield* loadsAs("esm", { "c.mjs": esm, ...beside })
      }
    }))

  it.live.each(["import", "await import"])(
    "does not wait for a module that waits for its importer, when two that need each other are loaded at once (%s)",
    (how) =>
      loadsAs("a_of_b_of_a", {
        "c.ts": [
          "const [{ name }, { table }] = await Promise.all([import(\"./a.ts\"), import(\"./b.ts\")])",
          "export default { name: name(), tables: { [table()]: { sql: \"SELECT 1\" } } }"
        ].join("\n"),
        "a.ts": how === "import"
          ? "import * as b from \"./b.ts\"\nexport const name = () => `a_of_${b.table()}`\nexport const own = \"a\""
          : "export const own = \"a\"\nconst b = await import(\"./b.ts\")\nexport const name = () => `a_of_${b.table()}`",
        "b.ts": how === "import"
          ? "import { own } from \"./a.ts\"\nexport const table = () => `b_of_${own}`"
          : "const a = await import(\"./a.ts\")\nexport const table = () => `b_of_${a.own}`"
      })
  )

  it.live("evaluates helpers, JSON, enums, cycles, top-level await, dynamic imports, packages", () =>
    Effect.gen(function*() {
      const manifest = yield* load({
        "c.ts": [
          "import { defineDataset } from \"nozzl\"",
          "import { join } from \"node:path\"",
          "import { sql } from \"./lib/helper.ts\"",
          "import data from \"./data.json\"",
          "import old from \"./old.cjs\"",
          "import answer, { half } from \"some-package\"",
          "enum Name { A = \"evaluated\" }",
          "const late = await import(\"./late.mjs\")",
          "export default defineDataset(({ definitionPath }) => ({",
          "  name: Name.A,",
          "  network: [data.network, old.value, answer, half, late.default, join(\"a\", \"b\")].join(),",
          "  dependencies: { [definitionPath.endsWith(\"c.ts\") ? \"anvil\" : \"other\"]: \"anvil\" },",
          "  tables: { blocks: { sql: sql() } }",
          "}))"
        ].join("\n"),
        "lib/helper.ts":
          "import { table } from \"../cycle\"\nexport const name = \"anvil\"\nexport const sql = () => `SELECT * FROM ${table()}`",
        "cycle.ts": "import { name } from \"./lib/helper\"\nexport const table = (): string => `${name}.blocks`",
        "data.json": "{ \"network\": \"anvil\" }",
        "old.cjs": "const { n } = require(\"./older.json\")\nexports.value = n",
        "older.json": "{ \"n\": 7 }",
        "late.mjs": "export default await Promise.resolve(\"late\")",
        "node_modules/some-package/package.json":
          "{ \"name\": \"some-package\", \"type\": \"module\", \"exports\": \"./index.js\" }",
        "node_modules/some-package/index.js": "export default 42\nexport const half = 21"
      })
      assert.strictEqual(manifest.dataset.name, "evaluated")
      assert.strictEqual(manifest.network, "anvil,7,42,21,late,a/b")
      assert.deepStrictEqual(Object.keys(manifest.dependencies), ["anvil"])
      assert.strictEqual(manifest.tables[0]?.query.batch, "SELECT * FROM anvil.blocks")
    }))

  it.live("passes the config a context that reads files beside it, and no others", () =>
    Effect.gen(function*() {
      const manifest = yield* load({ "c.js": read("lib/f.js"), "lib/f.js": "x => x" })
      assert.strictEqual(manifest.network, "lib/f.js=x => x")
      assert.include((yield* failing({ "c.js": read("../f.js") })).message, "beside the config file only")
      assert.include((yield* failing({ "c.js": read("/etc/passwd") })).message, "beside the config file only")
    }))

  it.live("evaluates helpers of every kind again each time", () =>
    Effect.gen(function*() {
      const extensions = ["ts", "mts", "js", "mjs", "cjs", "json"]
      const helpers = (value: number) =>
        Object.fromEntries(extensions.map((extension) => [`h.${extension}`, helper(extension, value)]))
      const imports = extensions.map((extension) => `import ${extension} from "./h.${extension}"`).join("\n")
      const main = (value: number) =>
        `${imports}\nconst values = [${value}, ...[${extensions.join()}].map((helper) => helper.value)]\n` +
        `export default { name: "a", network: values.join(), tables: { t: { sql: "SELECT 1" } } }`
      for (const name of ["c.ts", "c.mjs", "c.js"]) {
        const root = yield* directoryOf({ [name]: main(0), ...helpers(0), "package.json": "{ \"type\": \"module\" }" })
        const seen = yield* Effect.gen(function*() {
          const source = yield* ManifestSource
          const networks: Array<string | undefined> = []
          for (const value of [1, 2]) {
            yield* Effect.promise(() => writeFiles(root, { [name]: main(value), ...helpers(value) }))
            networks.push((yield* source.load).network)
          }
          return networks
        }).pipe(Effect.provide(sourceOf(join(root, name))))
        assert.deepStrictEqual(seen, ["1,1,1,1,1,1,1", "2,2,2,2,2,2,2"], name)
      }
    }))

  it.live("runs each module once, with any number of importers", () =>
    Effect.gen(function*() {
      const adding = (name: string) => `import { names } from "./names.ts"\nnames.push("${name}")`
      const manifest = yield* load({
        "c.ts": "import \"./a.ts\"\nimport \"./b.ts\"\nimport { names } from \"./names.ts\"\n" +
          "export default { name: \"a\", network: names.join(), tables: { t: { sql: \"SELECT 1\" } } }",
        "a.ts": adding("a"),
        "b.ts": adding("b"),
        "names.ts": "export const names: Array<string> = []"
      })
      assert.strictEqual(manifest.network, "a,b")
    }))

  it.live("writes nothing of a config to the disk", () =>
    Effect.gen(function*() {
      const files = {
        "c.ts": "import name from \"./name.ts\"\nexport default { name, tables: { t: { sql: \"SELECT 1\" } } }",
        "name.ts": "const name: string = \"once\"\nexport default name",
        "node_modules/p/index.js": ""
      }
      const root = yield* directoryOf(files)
      assert.strictEqual((yield* loadFile(join(root, "c.ts"))).dataset.name, "once")
      const found = yield* Effect.promise(() => readdir(root, { recursive: true, withFileTypes: true }))
      assert.lengthOf(found.filter((entry) => entry.isFile()), Object.keys(files).length)
    }))

  it.live("follows a symbolic link to the file, and finds helpers beside the target", () =>
    Effect.gen(function*() {
      const root = yield* directoryOf({
        "real/c.ts": "import name from \"./name.ts\"\nexport default { name, tables: { t: { sql: \"SELECT 1\" } } }",
        "real/name.ts": "export default \"linked\""
      })
      yield* Effect.promise(() => symlink("real/c.ts", join(root, "c.ts")))
      yield* Effect.promise(() => symlink("real/name.ts", join(root, "name.ts")))
      assert.strictEqual((yield* loadFile(join(root, "c.ts"))).dataset.name, "linked")
    }))
})
