import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { writeFile } from "node:fs/promises"
import { join } from "node:path"
import { setImmediate } from "node:timers/promises"
import { vi } from "vitest"
import { Evaluation } from "../../../src/layers/manifest-source/Evaluation.ts"
import "../../../src/layers/manifest-source/worker.ts"
import { directoryOf, named } from "./files.ts"

const evaluationOf = (path: string, timeoutMillis: number) =>
  Effect.acquireRelease(
    Effect.sync(() => new Evaluation(path, timeoutMillis)),
    (evaluation) => Effect.promise(() => evaluation.stop())
  )

/** `setTimeout` of this thread follows `vi.advanceTimersByTime` until the scope closes. */
const testTimers = Effect.acquireRelease(
  Effect.sync(() => vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] })),
  () => Effect.sync(() => vi.useRealTimers())
)

const until = (holds: () => boolean) =>
  Effect.promise(async () => {
    while (!holds()) await setImmediate()
  })

describe("the time limit of a config", () => {
  it.live("begins when its thread reads the file, also on a busy machine", () =>
    Effect.gen(function*() {
      const root = yield* directoryOf({
        "c.ts": `import { existsSync } from "node:fs"
          const mayEnd = new URL("may-end", import.meta.url)
          while (!existsSync(mayEnd)) await new Promise((resolve) => setTimeout(resolve, 20))
          export default ${named("slow")}`
      })
      yield* testTimers
      const evaluation = yield* evaluationOf(join(root, "c.ts"), 4000)
      yield* until(() => vi.getTimerCount() > 0)
      vi.advanceTimersByTime(3900)
      yield* until(() => evaluation.files.size > 0)
      vi.advanceTimersByTime(3900)
      yield* Effect.promise(() => writeFile(join(root, "may-end"), ""))
      assert.include(yield* Effect.promise(() => evaluation.ended), { kind: "exported" })
    }))

  it.live("is not extended by files that the config keeps reading", () =>
    Effect.gen(function*() {
      const root = yield* directoryOf({
        "c.ts":
          "export default ({ functionSource }) => new Promise(() => setInterval(() => functionSource(\"f.js\"), 50))",
        "f.js": "x"
      })
      const evaluation = yield* evaluationOf(join(root, "c.ts"), 2000)
      const ended = yield* Effect.promise(() => evaluation.ended)
      assert.include(ended, { kind: "failed", reason: "did not finish within 2 seconds" })
    }))
})

describe("the memory limit of a config", () => {
  it.live("ends the config and not the process", () =>
    Effect.gen(function*() {
      const root = yield* directoryOf({
        "c.ts": "const hoard = []\nwhile (hoard.length < 120) hoard.push(new Array(1_000_000).fill(hoard.length))\n" +
          "export default { name: String(hoard.length) }"
      })
      const evaluation = yield* evaluationOf(join(root, "c.ts"), 40_000)
      const ended = yield* Effect.promise(() => evaluation.ended)
      assert.include(ended, { kind: "failed", reason: "takes more than 512 MB of memory" })
    }))
})
