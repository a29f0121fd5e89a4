/**
 * The thread in which config files that are code run, so that one without an end can be ended.
 *
 * Imported elsewhere it does nothing, and says with `workerUrl` which file to start a thread with.
 */
import { isMainThread, parentPort, workerData } from "node:worker_threads"
import { evaluateConfig } from "./evaluateConfig.ts"
import { failureFromThrown } from "./evaluationFailure.ts"
import { limitChildProcesses } from "./limitChildProcesses.ts"
import { plainValue } from "./plainValue.ts"
import { SourceFiles } from "./SourceFiles.ts"

/** Marks `workerData` as ours: the app of a host may have threads of its own. */
export const TASK = "ampsync evaluates a config file"

/** Whoever waits for us says first that it took too long. */
const AFTER_ALL_MILLIS = 500

export interface Task {
  readonly task: typeof TASK
  readonly path: string
  readonly patienceMillis: number
}

/** How an evaluation ended. */
export type Ended =
  | { readonly kind: "exported"; readonly value: unknown }
  | {
    readonly kind: "failed"
    readonly operation: "evaluate" | "validate"
    readonly reason: string
    readonly file: string | undefined
    readonly line: number | undefined
  }

/** What the thread says: each file it reads, then how it ended. */
export type Report = { readonly kind: "file"; readonly file: string; readonly digest: string } | Ended

export type OnFile = (file: string, digest: string) => void

export const workerUrl = import.meta.url

const failed = (operation: "evaluate" | "validate", thrown: unknown): Ended => {
  const { file, line, message } = failureFromThrown(thrown, () => false)
  return { kind: "failed", operation, reason: message, file, line }
}

/** Gives plain values only, whatever the module exports. Never rejects. */
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

const handedOver = (output: NodeJS.WriteStream): Promise<void> =>
  new Promise((resolve) => {
    if (output.writableLength === 0) resolve()
    else output.write("", () => resolve())
  })

if (!isMainThread && isTask(workerData)) {
  limitChildProcesses(performance.now() + workerData.patienceMillis + AFTER_ALL_MILLIS)
  const say = (report: Report): void => parentPort?.postMessage(report)
  void evaluate(workerData.path, (file, digest) => say({ kind: "file", file, digest })).then(async (ended) => {
    // Whoever hears how it ended ends the thread, and what it has not handed over by then is lost.
    await Promise.all([process.stdout, process.stderr].map(handedOver))
    say(ended)
  })
}
