/** When the source of a stream is asked for its head. */
import { Effect } from "effect"
import type { Head } from "../../domain/chain/sourceHead.ts"
import { elapsedMillis } from "../../domain/elapsed.ts"
import { hasReached, nextTick, readHead, type WatchedStream } from "./readHead.ts"
import type { StreamActivity } from "./StreamActivity.ts"

/** A source that extracts blocks itself ends with each of its ranges for a moment. */
const COMPLETE_SILENCE = "250 millis"
/** The source is asked about a stream with a backlog once it was silent for so long. */
const SILENT_MILLIS = 10_000
/** Until the next check of a stream that was at work. */
const BUSY_MILLIS = 1_000

/**
 * Waits until nothing is left to write and the stream is quiet, or was silent in the middle of a backlog, or is complete up to
 * `head`.
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

/** At the end of a first backlog: the next answer may prove that the table has caught up, before a longer silence does. */
const untilComplete = Effect.fnUntraced(function*(activity: StreamActivity, head: Head | undefined) {
  if (head === undefined) return yield* Effect.never
  for (;;) {
    yield* activity.idle.await
    const { messages } = activity
    yield* Effect.sleep(COMPLETE_SILENCE)
    const isSilent = activity.isIdle && activity.messages === messages
    if (isSilent && !activity.isPaused && hasReached(activity, head)) return
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
