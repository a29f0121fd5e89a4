/** Waits for changes of files, by events and by polling. */
import { Duration, Effect, Queue } from "effect"
import type { Scope } from "effect"
import { type Digests, digestsNow, sameDigests } from "./contentDigest.ts"
import { FileWatch } from "./FileWatch.ts"

/** Network and some bind mounts emit no events; reading a few small files is cheap. */
const POLL_INTERVAL = Duration.seconds(2)
/** Least time between two reads, for a directory with many events. */
const READ_PAUSE = "50 millis"

/**
 * Returns an effect that waits until some files differ from `before` and then have not changed for `debounce`; it returns
 * their digests. A change that is reverted by then is none.
 */
export const changeWatcher = (
  debounce: Duration.Duration,
  pollInterval: Duration.Duration = POLL_INTERVAL
): Effect.Effect<(before: Digests) => Effect.Effect<Digests>, never, Scope.Scope> =>
  Effect.gen(function*() {
    const events = yield* Queue.sliding<void>(1)
    const fileWatch = yield* Effect.acquireRelease(
      Effect.sync(() => new FileWatch(() => Queue.offerUnsafe(events, undefined))),
      (watch) => Effect.sync(() => watch.close())
    )
    const eventOrTime = Effect.andThen(Effect.timeoutOption(Queue.take(events), pollInterval), Effect.sleep(READ_PAUSE))

    return Effect.fnUntraced(function*(before: Digests) {
      const read = Effect.promise(() => digestsNow(before.keys()))
      yield* Effect.promise(() => fileWatch.watch(before.keys()))
      let now = yield* read
      for (;;) {
        while (sameDigests(now, before)) {
          yield* eventOrTime
          now = yield* read
        }
        const changed = now
        yield* Effect.sleep(debounce)
        now = yield* read
        if (sameDigests(now, changed)) return now
      }
    })
  })
