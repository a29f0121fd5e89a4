/**
 * The thread in which config files that are code run, so that one that never ends can be terminated.
 *
 * Imported elsewhere it does nothing; `workerUrl` is the file to start a thread from.
 */
import { isMainThread, parentPort, workerData } from "node:worker_threads"
import { type Ended, timedOut } from "./ended.ts"
import { evaluateConfig } from "./evaluateConfig.ts"
import { failureFromThrown } from "./evaluationFailure.ts"
import { limitChildProcesses } from "./limitChildProcesses.ts"
import { plainValue } from "./plainValue.ts"
import { SourceFiles } from "./SourceFiles.ts"

/** Identifies a thread of ampsync by its `workerData`: the app of a host may have threads of its own. */
export const TASK = "ampsync evaluates a config file"

/** The `workerData` of a thread. */
export interface Task {
  readonly task: typeof TASK
  readonly path: string
  readonly timeoutMillis: number
}

/** The messages of the thread: each file it reads, then the outcome. */
export type Report = { readonly kind: "file"; readonly file: string; readonly digest: string } | Ended

/** Called with each file that is read and the digest of its content. */
export type OnFile = (file: string, digest: string) => void

export const workerUrl = import.meta.url

const failed = (operation: "evaluate" | "validate", thrown: unknown): Ended => {
  const { file, line, message } = failureFromThrown(thrown, () => false)
  return { kind: "failed", operation, reason: message, file, line }
}

/** Runs a config file; the outcome has plain values only. Never rejects. */
export const evaluate = async (path: string, onFile: OnFile): Promise<Ended> => {
  let exported: unknown
  try {
    exported = await evaluateConfig(path, new SourceFiles(onFile))
  } catch (thrown) {
    return failed("evaluate", thrown)
  }
  try {
    return { kind: "exported", value: plainValue(exported) }
  } catch (thrown) {
    return failed("validate", thrown)
  }
}

const isTask = (data: unknown): data is Task =>
  typeof data === "object" && data !== null && "task" in data && data.task === TASK

/** Resolves once everything written to `output` has left the thread. */
const flushed = (output: NodeJS.WriteStream): Promise<void> =>
  new Promise((resolve) => {
    if (output.writableLength === 0) resolve()
    else output.write("", () => resolve())
  })

if (!isMainThread && isTask(workerData)) {
  const { path, timeoutMillis } = workerData
  const deadline = performance.now() + timeoutMillis
  limitChildProcesses(deadline)
  const post = (report: Report): void => parentPort?.postMessage(report)
  void evaluate(path, (file, digest) => post({ kind: "file", file, digest })).then(async (ended) => {
    // The main thread terminates this one after the outcome: output that was not flushed by then is lost.
    await Promise.all([process.stdout, process.stderr].map(flushed))
    // Without the output of a child process that was killed in the end, what was exported means nothing.
    post(performance.now() < deadline ? ended : timedOut(timeoutMillis))
  })
}
