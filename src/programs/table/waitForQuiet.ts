/** When a stream is idle, and when it is quiet. */
import { Effect } from "effect"
import { elapsedMillis } from "../../domain/elapsed.ts"
import type { StreamActivity } from "./StreamActivity.ts"

/** The stream is not idle while events come within this time of each other. */
const MOMENT = "20 millis"

/** Updates `activity` when the stream is idle, when it is quiet, and when the next event interrupts that. */
export const waitForQuiet = (activity: StreamActivity): Effect.Effect<void> =>
  Effect.suspend(() => {
    activity.arrived.closeUnsafe()
    // An event that has to wait reaches no writer, so nothing else interrupts this.
    return Effect.raceFirst(quiet(activity), activity.arrived.await)
  }).pipe(Effect.forever)

const quiet = (activity: StreamActivity): Effect.Effect<void> =>
  Effect.gen(function*() {
    yield* Effect.sleep(MOMENT)
    const now = yield* elapsedMillis
    activity.onIdle(now)
    const { quietAtMillis } = activity
    if (quietAtMillis === undefined) return
    yield* Effect.sleep(Math.max(0, quietAtMillis - now))
    activity.onSettled()
  }).pipe(
    // It stays idle until the next event, and that moment counts.
    Effect.andThen(Effect.never),
    Effect.onInterrupt(() => Effect.map(elapsedMillis, (now) => activity.onBusy(now)))
  )
