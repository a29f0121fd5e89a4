/** When the source of a stream is asked for its head. */
import { Effect } from "effect"
import type { Head } from "../../domain/chain/sourceHead.ts"
import { elapsedMillis } from "../../domain/elapsed.ts"
import { hasReached, nextTick, readHead, type WatchedStream } from "./readHead.ts"
import type { StreamActivity } from "./StreamActivity.ts"

/** Between two looks at whether a stream is complete. */
const COMPLETE_POLL = "100 millis"
/** The source is asked about a stream with a backlog once it was silent for so long. */
const SILENT_MILLIS = 10_000
/** Until the next look at a stream that was at work. */
const BUSY_MILLIS = 1_000

/**
 * Waits until nothing is left to write and the stream is quiet, or was silent in the middle of a backlog, or is complete up to
 * `head`, the one that was read last.
 */
export const untilWorthAsking = Effect.fnUntraced(function*(watching: WatchedStream, head: Head | undefined) {
  const { activity } = watching
  for (;;) {
    activity.woken.closeUnsafe()
    const cause = yield* Effect.raceAllFirst([
      Effect.as(activity.quiet.await, "quiet" as const),
      Effect.as(nextTick(watching), "silent" as const),
      Effect.as(untilComplete(activity, head), "complete" as const)
    ])
    const silentMillis = (yield* elapsedMillis) - activity.lastMessageAtMillis
    const isWorthIt = cause !== "silent" || silentMillis >= SILENT_MILLIS
    if (activity.isIdle && !activity.isPaused && isWorthIt) return cause
    if (cause === "silent" && watching.turn.isBuilding()) yield* Effect.result(readHead(watching))
    // Where blocks come one after the other there are only moments between two of them.
    yield* cause === "quiet" && !activity.isPaused ? untilIdle(watching) : Effect.sleep(BUSY_MILLIS)
  }
})

/** At the end of a backlog: the next answer may prove that the table has caught up, before silence does. */
const untilComplete = Effect.fnUntraced(function*(activity: StreamActivity, head: Head | undefined) {
  if (activity.isAtTip || head === undefined) return yield* Effect.never
  while (activity.isPaused || !activity.isIdle || !hasReached(activity, head)) {
    yield* Effect.sleep(COMPLETE_POLL)
    yield* activity.idle.await
  }
})

/** Where the rows of a table that had caught up wait, or those of any for a build of keys, the lag grows, and is shown. */
const untilIdle = (watching: WatchedStream) => {
  const { activity, turn } = watching
  const showLag = Effect.suspend(() =>
    activity.isAtTip || turn.isBuilding() ? Effect.result(readHead(watching)) : Effect.void
  )
  return Effect.raceFirst(activity.idle.await, Effect.forever(Effect.andThen(nextTick(watching), showLag)))
}
