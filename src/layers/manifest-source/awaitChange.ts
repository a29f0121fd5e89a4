import { Duration, Effect, Queue } from "effect"
import type { Scope } from "effect"
import { type Digests, digestsNow, sameDigests } from "./contentDigest.ts"
import { FileWatch } from "./FileWatch.ts"

/** Network and some bind mounts tell nobody; reading a few small files is cheap. */
const LOOK_EVERY = Duration.seconds(2)
/** Pause after each look, so that a directory in which much happens does not keep us reading. */
const BREATH = "50 millis"

/**
 * Gives an effect that waits until some files are not as they were in `before`, and have been the same for as long as
 * `rest`; it ends with what they are then. A change that is taken back by then is none.
 */
export const changeWatcher = (
  rest: Duration.Duration,
  pollInterval: Duration.Duration = LOOK_EVERY
): Effect.Effect<(before: Digests) => Effect.Effect<Digests>, never, Scope.Scope> =>
  Effect.gen(function*() {
    const events = yield* Queue.sliding<void>(1)
    const fileWatch = yield* Effect.acquireRelease(
      Effect.sync(() => new FileWatch(() => Queue.offerUnsafe(events, undefined))),
      (watch) => Effect.sync(() => watch.close())
    )
    const eventOrTime = Effect.andThen(Effect.timeoutOption(Queue.take(events), pollInterval), Effect.sleep(BREATH))

    return Effect.fnUntraced(function*(before: Digests) {
      const look = Effect.promise(() => digestsNow(before.keys()))
      yield* Effect.promise(() => fileWatch.watch(before.keys()))
      let now = yield* look
      for (;;) {
        while (sameDigests(now, before)) {
          yield* eventOrTime
          now = yield* look
        }
        const changed = now
        yield* Effect.sleep(rest)
        now = yield* look
        if (sameDigests(now, changed)) return now
      }
    })
  })
