import { Deferred, Effect } from "effect"

/** A stop is over after this long, whatever hangs: what is not committed by then was never going to be half-written. */
const STOP_WITHIN_MILLIS = 4_500
/** npm passes a signal on that the terminal has sent to its children already: one stop arrives twice. */
const ECHO_MILLIS = 500

/**
 * Waits for SIGTERM or SIGINT and gives its name. From then on another signal exits at once, and so does the first after
 * 4.5 s. The listeners stay for good: a signal during the last finalizers must not kill them half-way.
 */
export const awaitSignal: Effect.Effect<string> = Effect.gen(function*() {
  const received = yield* Deferred.make<string>()
  let first: number | undefined
  const onSignal = (signal: string): void => {
    if (first !== undefined) {
      if (performance.now() - first > ECHO_MILLIS) process.exit(130)
      return
    }
    first = performance.now()
    Deferred.doneUnsafe(received, Effect.succeed(signal))
    setTimeout(() => process.exit(0), STOP_WITHIN_MILLIS).unref()
  }
  process.on("SIGTERM", onSignal).on("SIGINT", onSignal)
  return yield* Deferred.await(received)
})
