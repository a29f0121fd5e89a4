import { assert } from "@effect/vitest"
import { Effect } from "effect"

const PAUSE_MILLIS = 40

/**
 * Polls `holds` until it is true; fails with `what` after the timeout.
 *
 * For `it.live` only: it waits for other processes, so real time passes.
 */
export const eventually = <E, R>(
  what: string | (() => string),
  holds: Effect.Effect<boolean, E, R>,
  timeoutMillis = 60_000
): Effect.Effect<void, E, R> =>
  Effect.gen(function*() {
    const until = Date.now() + timeoutMillis
    while (!(yield* holds)) {
      if (Date.now() > until) assert.fail(`not within ${timeoutMillis} ms: ${typeof what === "string" ? what : what()}`)
      yield* Effect.sleep(PAUSE_MILLIS)
    }
  })
