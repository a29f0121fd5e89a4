import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { cp, mkdtemp, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { pathToFileURL } from "node:url"
import { Worker } from "node:worker_threads"
import { type Ended, type Report, TASK } from "../../../src/layers/manifest-source/worker.ts"
import { MAIN } from "../../support/ampsyncProcess.ts"
import { type Files, write } from "./files.ts"

/** The chunks of the built program in a directory of their own, with config files beside them and no other package. */
const programWith = (files: Files) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const root = await mkdtemp(join(tmpdir(), "ampsync-compiler-"))
      await cp(join(dirname(MAIN), "chunks"), join(root, "chunks"), { recursive: true })
      await write(root, { "package.json": "{ \"type\": \"module\" }", ...files })
      return root
    }),
    (root) => Effect.promise(() => rm(root, { recursive: true, force: true }))
  )

const chunk = (root: string, name: RegExp) =>
  Effect.promise(async () => {
    const found = (await readdir(join(root, "chunks"))).filter((file) => name.test(file))
    assert.lengthOf(found, 1, `one file ${String(name)}`)
    return join(root, "chunks", found[0]!)
  })

const source = /^compiler\.cjs$/
const codeOfV8 = /^compiler\.cjs\.v/

const removeCodeOfV8 = (root: string) => Effect.flatMap(chunk(root, codeOfV8), (code) => Effect.promise(() => rm(code)))

/** What the thread of the built program makes of `config.ts`. */
const evaluated = Effect.fnUntraced(function*(root: string) {
  const thread = yield* chunk(root, /^worker-.*\.js$/)
  const worker = yield* Effect.acquireRelease(
    Effect.sync(() =>
      new Worker(pathToFileURL(thread), {
        workerData: { task: TASK, path: join(root, "config.ts"), patienceMillis: 10_000 },
        execArgv: []
      })
    ),
    (worker) => Effect.promise(() => worker.terminate())
  )
  return yield* Effect.callback<Ended>((resume) => {
    worker.on("message", (report: Report) => report.kind !== "file" && resume(Effect.succeed(report)))
    worker.on("error", (error) => resume(Effect.die(error)))
  })
})

const config = `
import { defineDataset } from "nozzl"
const name: string = "compiled"
export default defineDataset(() => ({ name, network: "anvil", tables: { t: { sql: "SELECT 1" } } }))
`
const assertCompiled = (ended: Ended) => {
  assert.include(ended, { kind: "exported" })
  assert.include((ended as Extract<Ended, { kind: "exported" }>).value, { name: "compiled" })
}

describe("the compiler of the built program", () => {
  it.live("runs the code that V8 made of it when it was built", () =>
    Effect.gen(function*() {
      const root = yield* programWith({ "config.ts": config })
      const script = yield* chunk(root, source)
      // V8 compares no more of the source than its length: without a letter of it the program has nothing but that code.
      const blank = yield* Effect.map(Effect.promise(() => readFile(script)), ({ length }) => " ".repeat(length))
      yield* Effect.promise(() => writeFile(script, blank))
      assertCompiled(yield* evaluated(root))
      yield* removeCodeOfV8(root)
      assert.include(yield* evaluated(root), { kind: "failed", reason: "TypeError: compiler is not a function" })
    }))

  it.live("compiles as ever where that code is damaged or missing, as with another version of Node", () =>
    Effect.gen(function*() {
      const root = yield* programWith({ "config.ts": config })
      const code = yield* chunk(root, codeOfV8)
      yield* Effect.promise(() => truncate(code, 1000))
      assertCompiled(yield* evaluated(root))
      yield* removeCodeOfV8(root)
      assertCompiled(yield* evaluated(root))
    }))

  it.live("imports what a config asks for: modules of Node, and packages of either kind", () =>
    Effect.gen(function*() {
      const root = yield* programWith({
        "config.ts": `import { first } from "esm"\nimport second from "cjs"\nimport path, { basename } from "path"\n`
          + `import * as fs from "node:fs"\nimport { third } from "./helper.mjs"\nconst fourth = (await import("node:path")).sep\n`
          + `const name = path.join(path.dirname("/x/y"), basename("/" + first + second + third)).slice(3)\n`
          + `export default { name: fs.existsSync("/") && fourth === "/" ? name : "", network: "n", `
          + `tables: { t: { sql: "SELECT 1" } } }`,
        "helper.mjs":
          `import os from "os"\nimport { last } from "esm"\nexport const third = os.EOL === "\\n" ? last : ""`,
        "node_modules/esm/package.json": "{ \"name\": \"esm\", \"type\": \"module\", \"exports\": \"./index.js\" }",
        "node_modules/esm/index.js": "import \"node:url\"\n"
          + "export const first = await Promise.resolve(\"com\")\nexport const last = \"led\"",
        "node_modules/cjs/package.json": "{ \"name\": \"cjs\", \"main\": \"./index.js\" }",
        "node_modules/cjs/index.js": "module.exports = \"pi\""
      })
      assertCompiled(yield* evaluated(root))
      yield* removeCodeOfV8(root)
      assertCompiled(yield* evaluated(root))
    }))
})
