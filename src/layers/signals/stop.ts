/** Handles stop requests from the first moment of the process. Loaded before everything else, so it imports next to nothing. */
import { lineOutsideOfLog } from "../../domain/logText.ts"
import { shutdownComplete, signalReceived } from "../../domain/stopLines.ts"

/** A stop ends after this long even if something hangs: a transaction that is not committed by then is rolled back. */
const STOP_WITHIN_MILLIS = 4_500
/** npm forwards a signal that the terminal has sent to its children already: one stop arrives twice. */
const ECHO_MILLIS = 500

/** Verbs whose exit code 0 is a result, which a stop is not. */
const RESULT_VERBS: ReadonlyArray<string> = ["plan", "resync", "rewind", "health"]
const exitCode = (): number => process.argv.some((argument) => RESULT_VERBS.includes(argument)) ? 1 : 0

let stoppedAt: number | undefined
let handler: ((reason: string) => void) | undefined

/**
 * Requests a stop for a reason such as `SIGTERM` and returns whether it was the first one. Exits where nothing handles it yet.
 */
export const stop = (reason: string): boolean => {
  if (stoppedAt !== undefined) return false
  stoppedAt = performance.now()
  if (handler === undefined) {
    for (const line of [signalReceived(reason), shutdownComplete]) {
      console.log(lineOutsideOfLog(process.env["LOG_FORMAT"], "INFO", line))
    }
    process.exit(exitCode())
  }
  setTimeout(() => process.exit(exitCode()), STOP_WITHIN_MILLIS).unref()
  handler(reason)
  return true
}

/** Sets the handler of stop requests, which must end the process. */
export const onStop = (handle: (reason: string) => void): void => {
  handler = handle
}

const onSignal = (signal: string): void => {
  if (stoppedAt !== undefined && performance.now() - stoppedAt > ECHO_MILLIS) process.exit(130)
  stop(signal)
}

/**
 * Stops on SIGTERM, SIGINT and SIGHUP; another signal after that exits at once. The listeners are never removed: a signal
 * during the last finalizers must not kill the process.
 */
export const listenForSignals = (): void => {
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"]) process.on(signal, onSignal)
}
