/** One evaluation of a config file that is code, in a thread of its own. Knows nothing of effects: it may be what runs first. */
import { createRequire } from "node:module"
import { setTimeout as sleep } from "node:timers/promises"
import { Worker, type WorkerOptions } from "node:worker_threads"
import type { Ended, Report, Task } from "./worker.ts"

/** What one evaluation may print: a reload must not be able to fill a log. */
const maxOutputBytes = 64 * 1024

/** Enough for any config; one that takes more would take the process with it. */
const maxHeapMegabytes = 512

const PATIENCE_WITH_STUCK_MILLIS = 1_000

export class Evaluation {
  /** Digests of the files it has read, as it read them. */
  readonly files = new Map<string, string>()
  /** Never rejects. */
  readonly ended: Promise<Ended>
  #worker: Worker | undefined
  #stopped = false

  /** It has `patienceMillis` to come to an end. */
  constructor(path: string, patienceMillis: number) {
    this.ended = this.#begin(path, patienceMillis)
  }

  /** The thread is gone afterwards, with everything it opened; one that waits outside of JavaScript is left to its end. */
  async stop(): Promise<void> {
    this.#stopped = true
    await Promise.race([this.#worker?.terminate(), sleep(PATIENCE_WITH_STUCK_MILLIS, undefined, { ref: false })])
  }

  async #begin(path: string, patienceMillis: number): Promise<Ended> {
    // Asked for its own address, which is another one in the bundle, in the library and in the sources.
    const { evaluate, TASK, workerUrl } = await import("./worker.ts")
    if (this.#stopped) return failed("was not wanted any more")
    // A host that bundles everything into one file leaves no file that a thread could begin with.
    if (workerUrl === import.meta.url) return evaluate(path, (file, digest) => this.files.set(file, digest))
    this.#worker = startWorker(workerUrl, { task: TASK, path, patienceMillis })
    return this.#listen(this.#worker, patienceMillis)
  }

  #listen(worker: Worker, patienceMillis: number): Promise<Ended> {
    return new Promise((resolve) => {
      const tooLong = () => resolve(failed(`did not come to an end within ${patienceMillis / 1000} seconds`))
      const timer = setTimeout(tooLong, patienceMillis)
      const end = (ended: Ended) => {
        clearTimeout(timer)
        resolve(ended)
      }
      worker.on("message", (report: Report) => {
        if (report.kind !== "file") return end(report)
        // What a thread needs to get going on a busy machine is not the config's fault.
        if (this.files.size === 0) timer.refresh()
        this.files.set(report.file, report.digest)
      })
      worker.on("error", ({ code, name }: NodeJS.ErrnoException) =>
        end(failed(
          code === "ERR_WORKER_OUT_OF_MEMORY"
            ? `takes more than ${maxHeapMegabytes} MB of memory`
            : `failed outside of what it awaits: ${name}`
        )))
      worker.on(
        "exit",
        () => end(failed("ended without exporting anything: it ended its thread, or waits for what never comes"))
      )
    })
  }
}

const failed = (reason: string): Ended => ({
  kind: "failed",
  operation: "evaluate",
  reason,
  file: undefined,
  line: undefined
})

const startWorker = (workerUrl: string, task: Task): Worker => {
  const options: WorkerOptions = {
    workerData: task,
    execArgv: [],
    stdout: true,
    resourceLimits: { maxOldGenerationSizeMb: maxHeapMegabytes }
  }
  if (!workerUrl.endsWith(".ts")) return toStandardError(new Worker(new URL(workerUrl), options))
  const jiti = createRequire(import.meta.url).resolve("jiti")
  const workerData = { ...task, workerUrl, jiti }
  return toStandardError(new Worker(runFromSources, { ...options, eval: true, workerData }))
}

/**
 * What a config prints is for whoever wrote it: standard output belongs to the answer of a verb, such as `plan --json`.
 * Bytes are passed on as they come, without a pipe, whose listeners would add up on `process.stderr`.
 */
const toStandardError = (worker: Worker): Worker => {
  let left = maxOutputBytes
  worker.stdout.on("data", (bytes: Buffer) => {
    if (left === 0) return
    process.stderr.write(bytes.subarray(0, left))
    left = Math.max(0, left - bytes.length)
    if (left === 0) {
      process.stderr.write(`\nThe config file printed more than ${maxOutputBytes / 1024} KiB; the rest is left out.\n`)
    }
  })
  return worker
}

/** Node 20 runs no TypeScript: where these sources were not compiled, the thread compiles what it needs of them. */
const runFromSources = `
const { jiti, workerUrl } = require("node:worker_threads").workerData
require(jiti).createJiti(workerUrl).import(workerUrl)
`
