import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { cp, readdir } from "node:fs/promises"
import { dirname, join } from "node:path"
import { pathToFileURL } from "node:url"
import { Worker } from "node:worker_threads"
import type { Ended } from "../../../src/layers/manifest-source/ended.ts"
import { type Report, TASK } from "../../../src/layers/manifest-source/worker.ts"
import { MAIN } from "../../support/ampsyncProcess.ts"
import { temporaryDirectory } from "../../support/temporaryDirectory.ts"
import { type Files, writeFiles } from "../../support/writeFiles.ts"

/** The chunks of the built program in a directory of their own, with config files beside them and no other package. */
const programWith = (files: Files) =>
  Effect.tap(temporaryDirectory, (root) =>
    Effect.promise(async () => {
      await cp(join(dirname(MAIN), "chunks"), join(root, "chunks"), { recursive: true })
      await writeFiles(root, { "package.json": "{ \"type\": \"module\" }", ...files })
    }))

const threadOf = (root: string) =>
  Effect.promise(async () => {
    const found = (await readdir(join(root, "chunks"))).filter((file) => /^worker-.*\.js$/.test(file))
    assert.lengthOf(found, 1)
    return join(root, "chunks", found[0]!)
  })

/** The outcome of `config.ts` in the thread of the built program. */
const evaluated = Effect.fnUntraced(function*(root: string) {
  const thread = yield* threadOf(root)
  const worker = yield* Effect.acquireRelease(
    Effect.sync(() =>
      new Worker(pathToFileURL(thread), {
        workerData: { task: TASK, path: join(root, "config.ts"), timeoutMillis: 10_000 },
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

describe("the thread of the built program", () => {
  it.live("imports modules of Node, and packages of either kind", () =>
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
      const ended = yield* evaluated(root)
      assert.include(ended, { kind: "exported" })
      assert.include((ended as Extract<Ended, { kind: "exported" }>).value, { name: "compiled" })
    }))
})
