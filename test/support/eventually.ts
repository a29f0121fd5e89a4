import { assert } from "@effect/vitest"
import { Effect } from "effect"

const PAUSE_MILLIS = 40

/**
 * Waits until `holds` answers true, asking again after a short pause, and fails with `what` when it never does.
 *
 * For `it.live` only: it waits on other processes, so real time passes. `patience` in milliseconds.
 */
export const eventually = <E, R>(
  what: string | (() => string),
  holds: Effect.Effect<boolean, E, R>,
  patience = 60_000
): Effect.Effect<void, E, R> =>
  Effect.gen(function*() {
    const until = Date.now() + patience
    while (!(yield* holds)) {
      if (Date.now() > until) assert.fail(`not within ${patience} ms: ${typeof what === "string" ? what : what()}`)
      yield* Effect.sleep(PAUSE_MILLIS)
    }
  })
