import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { layerFrom } from "../../src/layers/Config.ts"
import { layer } from "../../src/layers/ManifestSource.ts"
import { ManifestError, ManifestSource } from "../../src/services/ManifestSource.ts"

type Files = Readonly<Record<string, string>>

/** Writes files into a directory of their own, which is gone when the test ends. */
const directoryOf = (files: Files) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const root = await mkdtemp(join(tmpdir(), "ampsync-manifest-"))
      await write(root, files)
      return root
    }),
    (root) => Effect.promise(() => rm(root, { recursive: true, force: true }))
  )

const write = async (root: string, files: Files) => {
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(root, name)), { recursive: true })
    await writeFile(join(root, name), content)
  }
}

const sourceOf = (path: string) =>
  layer.pipe(Layer.provide(layerFrom({ DATASET_MANIFEST: path, DATABASE_URL: "postgresql://me@h/db" })))

const loadFile = (path: string) =>
  Effect.flatMap(ManifestSource, (source) => source.load).pipe(Effect.provide(sourceOf(path)))

/** Loads the first of `files`. */
const load = Effect.fnUntraced(function*(files: Files) {
  const root = yield* directoryOf(files)
  return yield* loadFile(join(root, Object.keys(files)[0] ?? ""))
})

const failing = (files: Files) =>
  Effect.map(Effect.flip(load(files)), (error) => {
    assert.instanceOf(error, ManifestError)
    return error as ManifestError
  })

const named = (name: string) => `{ name: ${JSON.stringify(name)}, tables: { blocks: { sql: "SELECT 1" } } }`

const loadsAs = (name: string, files: Files) =>
  Effect.map(load(files), (manifest) => assert.strictEqual(manifest.dataset.name, name))

const fixture = (name: string) => fileURLToPath(new URL(`../fixtures/manifests/${name}`, import.meta.url))

describe("ManifestSource", () => {
  it.live("loads the config files of both eras, with the packages they import not installed", () =>
    Effect.gen(function*() {
      const first = yield* loadFile(fixture("nozzle.config.ts"))
      assert.strictEqual(first.network, "anvil")
      assert.deepStrictEqual(first.tables.map((table) => table.name), ["blocks", "logs"])
      const second = yield* loadFile(fixture("amp.config.mjs"))
      assert.include(second.tables[0]?.query.batch, "SELECT _block_num, block_num, hash FROM")
      const third = yield* loadFile(fixture("amp.config.json"))
      assert.strictEqual(third.dependencies["anvil"]?.revision, "0.0.1")
    }))

  it.live("takes defineDataset with a function, an async function or an object, and exports without it", () =>
    Effect.gen(function*() {
      for (const name of ["nozzl", "nozzle", "@edgeandnode/amp"]) {
        const head = `import { defineDataset } from ${JSON.stringify(name)}\n`
        yield* loadsAs("a", { "c.ts": `${head}export default defineDataset(() => (${named("a")}))` })
        yield* loadsAs("b", { "c.ts": `${head}export default defineDataset(async (context: unknown) => (${named("b")}))` })
        yield* loadsAs("c", { "c.ts": `${head}export default defineDataset(${named("c")})` })
      }
      yield* loadsAs("d", { "c.ts": `export default ${named("d")}` })
      yield* loadsAs("e", { "c.mts": `export default async () => (${named("e")})` })
      yield* loadsAs("f", { "c.ts": `const config = ${named("f")} as const\nexport { config as default }` })
      yield* loadsAs("g", { "c.ts": `import nozzl from "nozzl"\nexport default nozzl.defineDataset(${named("g")})` })
      yield* loadsAs("h", { "c.ts": `export default Promise.resolve(${named("h")})` })
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

  it.live("really evaluates: helpers, JSON, enums, cycles, top-level await, dynamic imports, packages", () =>
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
        "lib/helper.ts": "import { table } from \"../cycle\"\nexport const name = \"anvil\"\nexport const sql = () => `SELECT * FROM ${table()}`",
        "cycle.ts": "import { name } from \"./lib/helper\"\nexport const table = (): string => `${name}.blocks`",
        "data.json": "{ \"network\": \"anvil\" }",
        "old.cjs": "const { n } = require(\"./older.json\")\nexports.value = n",
        "older.json": "{ \"n\": 7 }",
        "late.mjs": "export default await Promise.resolve(\"late\")",
        "node_modules/some-package/package.json": "{ \"name\": \"some-package\", \"type\": \"module\", \"exports\": \"./index.js\" }",
        "node_modules/some-package/index.js": "export default 42\nexport const half = 21"
      })
      assert.strictEqual(manifest.dataset.name, "evaluated")
      assert.strictEqual(manifest.network, "anvil,7,42,21,late,a/b")
      assert.deepStrictEqual(Object.keys(manifest.dependencies), ["anvil"])
      assert.strictEqual(manifest.tables[0]?.query.batch, "SELECT * FROM anvil.blocks")
    }))

  it.live("gives the config a context that reads files beside it, and no others", () =>
    Effect.gen(function*() {
      const read = (path: string) =>
        `export default ({ functionSource }) => { const f = functionSource(${JSON.stringify(path)})\n` +
        "return { name: \"a\", network: f.filename + \"=\" + f.source, tables: { t: { sql: \"SELECT 1\" } } } }"
      const manifest = yield* load({ "c.js": read("lib/f.js"), "lib/f.js": "x => x" })
      assert.strictEqual(manifest.network, "lib/f.js=x => x")
      assert.include((yield* failing({ "c.js": read("../f.js") })).message, "beside the config file only")
      assert.include((yield* failing({ "c.js": read("/etc/passwd") })).message, "beside the config file only")
    }))

  it.live("evaluates every time afresh, helpers of every kind included", () =>
    Effect.gen(function*() {
      const extensions = ["ts", "mts", "js", "mjs", "cjs", "json"]
      const helper = (extension: string, value: number) =>
        extension === "json"
          ? `{ "value": ${value} }`
          : extension === "cjs"
          ? `module.exports = { value: ${value} }`
          : `export default { value: ${value} }`
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
            yield* Effect.promise(() => write(root, { [name]: main(value), ...helpers(value) }))
            networks.push((yield* source.load).network)
          }
          return networks
        }).pipe(Effect.provide(sourceOf(join(root, name))))
        assert.deepStrictEqual(seen, ["1,1,1,1,1,1,1", "2,2,2,2,2,2,2"], name)
      }
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

  it.live("says the line of a syntax error, in the file it is in", () =>
    Effect.gen(function*() {
      const error = yield* failing({ "c.ts": "const a = 1\nconst b = {\n  x: 1,,\n}" })
      assert.deepStrictEqual([error.operation, error.line], ["evaluate", 3])
      assert.match(error.message, /c\.ts:3: syntax error: /)
      const helper = yield* failing({ "c.ts": "import \"./h.ts\"", "h.ts": "\n\nlet = = 5" })
      assert.deepStrictEqual([helper.line, helper.file?.endsWith("/h.ts")], [3, true])
      const json = yield* failing({ "c.json": "{\n  \"name\": \"hunter2\",\n}" })
      assert.strictEqual(json.line, 3)
      assert.match(json.message, /not valid JSON/)
    }))

  it.live("says the line an error was thrown at, in the file it was thrown in", () =>
    Effect.gen(function*() {
      const direct = yield* failing({ "c.ts": "interface A {\n  b: string\n}\nthrow new TypeError(\"boom\")" })
      assert.deepStrictEqual([direct.line, direct.problems], [4, ["TypeError: boom"]])
      const files = { "c.ts": "import f from \"./h.js\"\nexport default () => f()", "h.js": "\nexport default () => { throw new Error(\"x\") }" }
      const helper = yield* failing(files)
      assert.deepStrictEqual([helper.line, helper.file?.endsWith("/h.js")], [2, true])
      const rejected = yield* failing({ "c.mjs": "\nexport default async () => { throw new RangeError(\"late\") }" })
      assert.deepStrictEqual([rejected.line, rejected.problems], [2, ["RangeError: late"]])
    }))

  it.live("names a module that is not there, and who asked for it", () =>
    Effect.gen(function*() {
      const relative = yield* failing({ "c.ts": "import x from \"./gone\"\nexport default x" })
      assert.deepStrictEqual(relative.problems, ["cannot find the module \"./gone\""])
      assert.match(relative.message, /c\.ts/)
      assert.include((yield* failing({ "c.ts": "import \"no-such-package\"" })).message, "\"no-such-package\"")
      assert.include((yield* failing({ "c.js": "require(\"no-such-package\")" })).message, "\"no-such-package\"")
      const other = yield* failing({ "c.ts": "import { eventTables } from \"nozzl\"\nexport default eventTables([])" })
      assert.include(other.message, "\"nozzl\" offers defineDataset here, not \"eventTables\"")
    }))

  it.live("names what an export is that is no manifest", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual((yield* failing({ "c.ts": "export const x = 1" })).problems, ["has no default export"])
      assert.deepStrictEqual((yield* failing({ "c.ts": "export default 5" })).problems, ["the default export: expected object"])
      const error = yield* failing({ "c.ts": "export default { name: \"a\", tables: { x: {}, y: { sql: \"DROP\" } } }" })
      assert.strictEqual(error.operation, "validate")
      assert.match(error.message, /could not validate the config file .*c\.ts:\n {2}- tables\.x\.sql: is missing\n {2}- tables\.y\.sql:/)
    }))

  it.live("I7 repeats no value that the module holds", () =>
    Effect.gen(function*() {
      const secret = "const secret = \"hunter2\"\n"
      const cases: ReadonlyArray<Files> = [
        { "c.ts": `${secret}throw secret` },
        { "c.ts": `${secret}throw { secret }` },
        { "c.ts": `${secret}JSON.parse(secret)` },
        { "c.ts": `${secret}BigInt(secret)` },
        { "c.ts": `${secret}throw Object.assign(new Error("refused"), { secret, cause: new Error(secret) })` },
        { "c.ts": `${secret}export default { name: secret + "!", tables: { t: { sql: [secret] } } }` },
        { "c.ts": "import \"./h.json\"", "h.json": "{ \"a\": \"hunter2\" \"b\" }" },
        { "c.json": "{ \"a\": hunter2 }" },
        { "c.json": "\"hunter2\"" },
        { "c.ts": `${secret}export default { get name() { JSON.parse(secret) }, tables: {} }` }
      ]
      for (const files of cases) {
        const error = yield* failing(files)
        assert.notInclude(error.message + JSON.stringify(error) + String(error.cause), "hunter2", JSON.stringify(files))
      }
    }))

  it.live("tells a file that is gone from a file that is wrong", () =>
    Effect.gen(function*() {
      const root = yield* directoryOf({ "c.ts": `export default ${named("a")}` })
      const error = yield* Effect.gen(function*() {
        const source = yield* ManifestSource
        yield* source.load
        yield* Effect.promise(() => rm(join(root, "c.ts")))
        return yield* Effect.flip(source.load)
      }).pipe(Effect.provide(sourceOf(join(root, "c.ts"))))
      assert.deepStrictEqual([(error as ManifestError).operation, (error as ManifestError).problems], [
        "read",
        ["the file does not exist"]
      ])
    }))
})
