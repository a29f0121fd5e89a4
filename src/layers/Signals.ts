import { Effect } from "effect"
import type { Scope } from "effect"

/** A stop is over after this long, whatever hangs: what is not committed by then was never going to be half-written. */
const STOP_WITHIN_MILLIS = 4_500

/**
 * Sees to it that a stop ends: a second signal exits at once, and so does the first after 4.5 s. Gives the name of the
 * signal received, for the log. The runtime's own handlers do the interrupting.
 */
export const guardStop: Effect.Effect<() => string | undefined, never, Scope.Scope> = Effect.map(
  Effect.acquireRelease(
    Effect.sync(() => {
      const state: { received: string | undefined } = { received: undefined }
      const onSignal = (signal: string): void => {
        if (state.received !== undefined) process.exit(130)
        state.received = signal
        setTimeout(() => process.exit(0), STOP_WITHIN_MILLIS).unref()
      }
      process.on("SIGTERM", onSignal).on("SIGINT", onSignal)
      return { state, onSignal }
    }),
    // The listeners stay until the process is gone: a signal during the last finalizers must not kill them half-way.
    () => Effect.void
  ),
  ({ state }) => () => state.received
)
