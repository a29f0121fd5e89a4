import { Duration, Effect } from "effect"
import { createRequire } from "node:module"
import { Worker } from "node:worker_threads"
import type { Ended, OnFile, Report, Task } from "./worker.ts"

/** Enough for any config; one that takes more would take the process with it. */
const maxHeapMegabytes = 512

/**
 * Runs a config file in a thread of its own, which is gone with everything it opened when the answer is there, when it has
 * not come within `patience`, or when nobody waits for it any more. `onFile` hears of each file at the moment it is read.
 */
export const evaluateInWorker = Effect.fnUntraced(function*(
  path: string,
  patience: Duration.Duration,
  onFile: OnFile
): Effect.fn.Return<Ended> {
  // Asked for its own address, which is another one in the bundle, in the library and in the sources.
  const { evaluate, TASK, workerUrl } = yield* Effect.promise(() => import("./worker.ts"))
  // A host that bundles everything into one file leaves no file that a thread could begin with.
  if (workerUrl === import.meta.url) return yield* Effect.promise(() => evaluate(path, onFile))
  return yield* Effect.acquireUseRelease(
    Effect.sync(() => startWorker(workerUrl, { task: TASK, path })),
    (worker) => answer(worker, patience, onFile),
    (worker) => Effect.promise(() => worker.terminate())
  )
})

const answer = (worker: Worker, patience: Duration.Duration, onFile: OnFile): Effect.Effect<Ended> =>
  Effect.callback<Ended>((resume) => {
    const fail = (reason: string) =>
      resume(Effect.succeed({ kind: "failed", operation: "evaluate", reason, file: undefined, line: undefined }))
    const timer = setTimeout(
      () => fail(`did not come to an end within ${Duration.format(patience)}`),
      Duration.toMillis(patience)
    )
    let begun = false
    worker.on("message", (report: Report) => {
      if (report.kind !== "file") return resume(Effect.succeed(report))
      // What a thread needs to get going on a busy machine is not the config's fault.
      if (!begun) timer.refresh()
      begun = true
      onFile(report.file, report.digest)
    })
    worker.on("error", ({ code, name }: NodeJS.ErrnoException) =>
      fail(
        code === "ERR_WORKER_OUT_OF_MEMORY"
          ? `takes more than ${maxHeapMegabytes} MB of memory`
          : `failed outside of what it awaits: ${name}`
      ))
    worker.on("exit", () => fail("ended without exporting anything"))
    return Effect.sync(() => clearTimeout(timer))
  }).pipe(Effect.ensuring(Effect.sync(() => worker.removeAllListeners("exit"))))

const startWorker = (workerUrl: string, task: Task): Worker => {
  const options = { workerData: task, execArgv: [], resourceLimits: { maxOldGenerationSizeMb: maxHeapMegabytes } }
  if (!workerUrl.endsWith(".ts")) return new Worker(new URL(workerUrl), options)
  const jiti = createRequire(import.meta.url).resolve("jiti")
  return new Worker(runFromSources, { ...options, eval: true, workerData: { ...task, workerUrl, jiti } })
}

/** Node 20 runs no TypeScript: where these sources were not compiled, the thread compiles what it needs of them. */
const runFromSources = `
const { jiti, workerUrl } = require("node:worker_threads").workerData
require(jiti).createJiti(workerUrl).import(workerUrl)
`
