import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { build } from "esbuild"
import { execFile } from "node:child_process"
import { mkdir, readdir, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { temporaryDirectory } from "../support/temporaryDirectory.ts"

const repository = fileURLToPath(new URL("../..", import.meta.url))

const entry = `
import { NodeHttpClient } from "@effect/platform-node"
import { Effect, Layer } from "effect"
import { layer as adminApi } from "./src/layers/AdminApi.ts"
import { layerFrom } from "./src/layers/Config.ts"
import { layer } from "./src/layers/ManifestSource.ts"
import { ManifestSource } from "./src/services/ManifestSource.ts"
const settings = layerFrom({ DATASET_MANIFEST: process.argv[2], DATABASE_URL: "postgresql://me@h/db" })
Effect.runPromise(
  Effect.flatMap(ManifestSource, (source) => source.load).pipe(Effect.provide(
    layer.pipe(Layer.provide(adminApi), Layer.provide(NodeHttpClient.layerNodeHttp), Layer.provide(settings))
  ))
).then(({ dataset, network }) => console.log(dataset.name, network), (error) => console.log("failed:", error.message))
`

/** Bundles as the build does, into a directory without node_modules above it. */
const bundle = async (root: string, splitting = true): Promise<string> => {
  await build({
    stdin: { contents: entry, resolveDir: repository, sourcefile: "entry.ts", loader: "ts" },
    bundle: true,
    splitting,
    format: "esm",
    platform: "node",
    target: "node20",
    outdir: join(root, "dist"),
    banner: { js: "import{createRequire as __cr}from\"node:module\";const require=__cr(import.meta.url);" },
    logLevel: "error"
  })
  await mkdir(join(root, "dist"), { recursive: true })
  await writeFile(join(root, "dist", "package.json"), "{ \"type\": \"module\" }")
  return join(root, "dist", "stdin.js")
}

const config = (network: string) => `{ name: "bundled", network: ${network}, tables: { t: { sql: "SELECT 1" } } }`

describe("ManifestSource in a bundle", () => {
  it.live("loads every kind of config file with no package installed anywhere", () =>
    Effect.gen(function*() {
      const root = yield* temporaryDirectory
      const main = yield* Effect.promise(() => bundle(root))
      const files = {
        "a.ts":
          `import { defineDataset } from "nozzl"\nimport { n } from "./h.mjs"\nexport default defineDataset(() => (${
            config("n satisfies string")
          }))`,
        "b.mjs": `import { defineDataset } from "@edgeandnode/amp"\nexport default defineDataset(${config("\"mjs\"")})`,
        "c.js": `const { defineDataset } = require("nozzle")\nmodule.exports = defineDataset(${config("\"cjs\"")})`,
        "d.json": "{ \"name\": \"bundled\", \"network\": \"json\", \"tables\": { \"t\": { \"sql\": \"SELECT 1\" } } }",
        "e.ts": "\nexport default {",
        "h.mjs": "import { defineDataset } from \"nozzl\"\nexport const n = typeof defineDataset"
      }
      yield* Effect.promise(() => mkdir(join(root, "configs")))
      for (const [name, content] of Object.entries(files)) {
        yield* Effect.promise(() => writeFile(join(root, "configs", name), content))
      }
      const output = Effect.fnUntraced(function*(name: string) {
        const { stdout } = yield* Effect.promise(() =>
          promisify(execFile)(process.execPath, [main, join(root, "configs", name)], { timeout: 20_000 })
        )
        return stdout.trim()
      })
      assert.strictEqual(yield* output("a.ts"), "bundled function")
      assert.strictEqual(yield* output("b.mjs"), "bundled mjs")
      assert.strictEqual(yield* output("c.js"), "bundled cjs")
      assert.strictEqual(yield* output("d.json"), "bundled json")
      assert.match(yield* output("e.ts"), /^failed: could not evaluate the config file .*e\.ts:2: syntax error/)
      const whole = yield* Effect.promise(() => bundle(join(root, "whole"), false))
      for (const [name, output] of [["a.ts", "bundled function"], ["d.json", "bundled json"]] as const) {
        const { stdout } = yield* Effect.promise(() =>
          promisify(execFile)(process.execPath, [whole, join(root, "configs", name)], { timeout: 20_000 })
        )
        assert.strictEqual(stdout.trim(), output, "in one file, as a host may bundle its app")
      }
      const chunks = yield* Effect.promise(() => readdir(join(root, "dist")))
      assert.isTrue(
        chunks.some((chunk) => chunk.startsWith("jiti-static")),
        "the compiler is a chunk that JSON never loads"
      )
    }), 60_000)
})
