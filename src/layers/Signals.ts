import { Effect } from "effect"
import { signalReceived } from "../domain/stopLines.ts"
import { onStop, stop } from "./signals/stop.ts"

/**
 * Waits for what asks this process to stop, and gives its name: `SIGTERM`, `SIGINT`, `SIGHUP`, or the output that nobody reads.
 * A stop takes 4.5 s at most; another signal exits at once.
 */
export const awaitSignal: Effect.Effect<string> = Effect.callback((resume) =>
  onStop((reason) => resume(Effect.succeed(reason)))
)

const UNREAD = "EPIPE on standard output"

/** Takes it for a stop when the reader of standard output or standard error has gone, which a write finds out. */
export const stopWithOutput = (): void => {
  process.stdout.on("error", ({ code }: NodeJS.ErrnoException) => {
    // What is logged from now on is read by nobody.
    if (code === "EPIPE" && stop(UNREAD)) console.error(signalReceived(UNREAD))
  })
  process.stderr.on("error", ({ code }: NodeJS.ErrnoException) => {
    if (code === "EPIPE") stop("EPIPE on standard error")
  })
}
