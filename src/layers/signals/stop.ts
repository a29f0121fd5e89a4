/** What asks this process to stop, from its first moment on. Loaded before everything else, so it imports next to nothing. */
import { shutdownComplete, signalReceived } from "../../domain/stopLines.ts"

/** A stop is over after this long, whatever hangs: what is not committed by then was never going to be half-written. */
const STOP_WITHIN_MILLIS = 4_500
/** npm passes a signal on that the terminal has sent to its children already: one stop arrives twice. */
const ECHO_MILLIS = 500

/** Verbs whose exit code 0 is an answer, which a stop is not. */
const ANSWERING: ReadonlyArray<string> = ["plan", "resync"]
const exitCode = (): number => process.argv.some((argument) => ANSWERING.includes(argument)) ? 1 : 0

let stoppedAt: number | undefined
let work: ((reason: string) => void) | undefined

/** Asks the work to stop for a reason such as `SIGTERM`, once, and answers whether this was the first; without work, the process ends. */
export const stop = (reason: string): boolean => {
  if (stoppedAt !== undefined) return false
  stoppedAt = performance.now()
  if (work === undefined) {
    console.log(`${signalReceived(reason)}\n${shutdownComplete}`)
    process.exit(exitCode())
  }
  setTimeout(() => process.exit(exitCode()), STOP_WITHIN_MILLIS).unref()
  work(reason)
  return true
}

/** From now on there is work, which ends itself when it is asked to. */
export const onStop = (ask: (reason: string) => void): void => {
  work = ask
}

const onSignal = (signal: string): void => {
  if (stoppedAt !== undefined && performance.now() - stoppedAt > ECHO_MILLIS) process.exit(130)
  stop(signal)
}

/**
 * Takes SIGTERM, SIGINT and SIGHUP for a stop, and another one after that for an exit at once. The listeners stay for good:
 * a signal during the last finalizers must not kill them half-way.
 */
export const listenForSignals = (): void => {
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"]) process.on(signal, onSignal)
}
