import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { type ManifestError, ManifestSource } from "../../src/services/ManifestSource.ts"
import type { Files } from "../support/writeFiles.ts"
import { directoryOf, failing, named, sourceOf } from "./manifest-source/files.ts"
import { watch } from "./manifest-source/watching.ts"

describe("errors of ManifestSource", () => {
  it.live("report the file and the line of a syntax error", () =>
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

  it.live("report the file and the line that an error was thrown at", () =>
    Effect.gen(function*() {
      const direct = yield* failing({ "c.ts": "interface A {\n  b: string\n}\nthrow new TypeError(\"boom\")" })
      assert.deepStrictEqual([direct.line, direct.problems], [4, ["TypeError: boom"]])
      const files = {
        "c.ts": "import f from \"./h.js\"\nexport default () => f()",
        "h.js": "\nexport default () => { throw new Error(\"x\") }"
      }
      const helper = yield* failing(files)
      assert.deepStrictEqual([helper.line, helper.file?.endsWith("/h.js")], [2, true])
      const rejected = yield* failing({ "c.mjs": "\nexport default async () => { throw new RangeError(\"late\") }" })
      assert.deepStrictEqual([rejected.line, rejected.problems], [2, ["RangeError: late"]])
    }))

  it.live("name a module that is missing, and its importer", () =>
    Effect.gen(function*() {
      const relative = yield* failing({ "c.ts": "import x from \"./gone\"\nexport default x" })
      assert.deepStrictEqual(relative.problems, ["cannot find the module \"./gone\""])
      assert.match(relative.message, /c\.ts/)
      assert.include((yield* failing({ "c.ts": "import \"no-such-package\"" })).message, "\"no-such-package\"")
      assert.include((yield* failing({ "c.js": "require(\"no-such-package\")" })).message, "\"no-such-package\"")
      const other = yield* failing({ "c.ts": "import { createClient } from \"nozzl\"\nexport default createClient()" })
      assert.include(
        other.message,
        "\"nozzl\" is not installed beside the config, and ampsync offers defineDataset, eventTables"
      )
      assert.include(other.message, "not \"createClient\"; install the package")
    }))

  it.live("name the type of an export that is no manifest", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual((yield* failing({ "c.ts": "export const x = 1" })).problems, ["has no default export"])
      assert.deepStrictEqual((yield* failing({ "c.ts": "export default 5" })).problems, [
        "the default export: expected object"
      ])
      const error = yield* failing({
        "c.ts": "export default { name: \"a\", tables: { x: {}, y: { sql: \"DROP\" } } }"
      })
      assert.strictEqual(error.operation, "validate")
      assert.match(
        error.message,
        /could not validate the config file .*c\.ts:\n {2}- tables\.x\.sql: is missing\n {2}- tables\.y\.sql:/
      )
    }))

  it.live("report a misspelled key, at the start and after a change", () =>
    Effect.gen(function*() {
      const withSlip = "export default { name: \"a\", tables: { x: { sql: \"SELECT 1\", primarykey: [\"id\"] } } }"
      const problems = ["tables.x.primarykey: is not a key of a table, did you mean primaryKey?"]
      assert.deepStrictEqual((yield* failing({ "c.ts": withSlip })).problems, problems)
      const root = yield* directoryOf({ "c.ts": `export default ${named("a")}` })
      const { nextError } = yield* watch(join(root, "c.ts"))
      yield* Effect.promise(() => writeFile(join(root, "c.ts"), withSlip))
      assert.deepStrictEqual((yield* nextError as Effect.Effect<ManifestError>).problems, problems)
    }))

  it.live("I7 contain no value of the module", () =>
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

  it.live("differ for a missing and for an invalid file", () =>
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
