/** Stop requests to this process: signals, and an output that nobody reads. */
import { Effect } from "effect"
import { signalReceived } from "../domain/stopLines.ts"
import { onStop, stop } from "./signals/stop.ts"

/**
 * Waits for a stop request and returns its cause: `SIGTERM`, `SIGINT`, `SIGHUP`, or the output that nobody reads. A stop takes
 * 4.5 s at most; another signal exits at once.
 */
export const awaitSignal: Effect.Effect<string> = Effect.callback((resume) =>
  onStop((reason) => resume(Effect.succeed(reason)))
)

const UNREAD = "EPIPE on standard output"

/** Stops the process when the reader of standard output or standard error is gone, which the next write detects. */
export const stopWithOutput = (): void => {
  process.stdout.on("error", ({ code }: NodeJS.ErrnoException) => {
    // Nobody reads standard output any more.
    if (code === "EPIPE" && stop(UNREAD)) console.error(signalReceived(UNREAD))
  })
  process.stderr.on("error", ({ code }: NodeJS.ErrnoException) => {
    if (code === "EPIPE") stop("EPIPE on standard error")
  })
}
