/** One evaluation of a config file that is code, in a thread of its own. Without effects: it may run before they are loaded. */
import { createRequire } from "node:module"
import { setTimeout as sleep } from "node:timers/promises"
import { Worker, type WorkerOptions } from "node:worker_threads"
import { type Ended, failed, timedOut } from "./ended.ts"
import type { Report, Task } from "./worker.ts"

/** Most bytes that one evaluation may print: a reload must not fill a log. */
const maxOutputBytes = 64 * 1024

/** Enough for any config; a larger heap could end the whole process. */
const maxHeapMegabytes = 512

const TERMINATE_TIMEOUT_MILLIS = 1_000

/** Begins when it is constructed. */
export class Evaluation {
  /** Digests of the files it has read so far. */
  readonly files = new Map<string, string>()
  /** The outcome; never rejects. */
  readonly ended: Promise<Ended>
  #worker: Worker | undefined
  #stopped = false

  /** Fails after `timeoutMillis`. */
  constructor(path: string, timeoutMillis: number) {
    this.ended = this.#begin(path, timeoutMillis)
  }

  /** Ends the thread and everything it opened; one that is blocked outside of JavaScript ends later by itself. */
  async stop(): Promise<void> {
    this.#stopped = true
    await Promise.race([this.#worker?.terminate(), sleep(TERMINATE_TIMEOUT_MILLIS, undefined, { ref: false })])
  }

  async #begin(path: string, timeoutMillis: number): Promise<Ended> {
    // Only the module knows its own URL, which differs between the bundle, the library and the sources.
    const { evaluate, TASK, workerUrl } = await import("./worker.ts")
    if (this.#stopped) return failed("was cancelled")
    // A host that bundles everything into one file has no file that a thread could be started from.
    if (workerUrl === import.meta.url) return evaluate(path, (file, digest) => this.files.set(file, digest))
    this.#worker = startWorker(workerUrl, { task: TASK, path, timeoutMillis })
    return this.#listen(this.#worker, timeoutMillis)
  }

  #listen(worker: Worker, timeoutMillis: number): Promise<Ended> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(timedOut(timeoutMillis)), timeoutMillis)
      const end = (ended: Ended) => {
        clearTimeout(timer)
        resolve(ended)
      }
      worker.on("message", (report: Report) => {
        if (report.kind !== "file") return end(report)
        // The time limit excludes the start of the thread, which is slow on a busy machine.
        if (this.files.size === 0) timer.refresh()
        this.files.set(report.file, report.digest)
      })
      worker.on("error", ({ code, name }: NodeJS.ErrnoException) =>
        end(failed(
          code === "ERR_WORKER_OUT_OF_MEMORY"
            ? `takes more than ${maxHeapMegabytes} MB of memory`
            : `failed in code that it does not await: ${name}`
        )))
      worker.on(
        "exit",
        () => end(failed("ended without exporting anything: it called process.exit, or awaits what never settles"))
      )
    })
  }
}

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
 * Writes what a config prints to standard error: standard output belongs to the result of a verb, such as `plan --json`.
 * Bytes are written as they come, without a pipe, whose listeners would add up on `process.stderr`.
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

/** Node 20 runs no TypeScript: from uncompiled sources the thread compiles what it needs. */
const runFromSources = `
const { jiti, workerUrl } = require("node:worker_threads").workerData
require(jiti).createJiti(workerUrl).import(workerUrl)
`
