/** Compares a stream with the head of its source, so that silence is checked and `caught up` is a fact. */
import { Deferred, Duration, Effect, Result } from "effect"
import { watermarksInDoubt } from "../../domain/chain/Checkpoint.ts"
import { compareWithHead, type EarlierCheck } from "../../domain/chain/compareWithHead.ts"
import type { FollowState } from "../../domain/chain/FollowState.ts"
import { restart, resume } from "../../domain/chain/resumeStrategy.ts"
import type { Head, HeadReport } from "../../domain/chain/sourceHead.ts"
import { elapsedMillis } from "../../domain/elapsed.ts"
import * as log from "../../domain/logLines.ts"
import { isRetryable } from "../../domain/retryable.ts"
import { SourceHead, type SourceHeadError } from "../../services/SourceHead.ts"
import { StatusRecorder } from "../../services/SyncStatus.ts"
import type { Outcome, ReconnectFrom } from "./Outcome.ts"
import {
  hasReached,
  networkOf,
  nextTick,
  provingHead,
  readHead,
  type UnknownNetwork,
  type WatchedStream
} from "./readHead.ts"
import { recordFellBehind } from "./recordAttempt.ts"
import { untilWorthAsking } from "./untilWorthAsking.ts"
import { watchSearch } from "./watchSearch.ts"

export interface Watching extends WatchedStream {
  /** As the connection was opened: to resume, to find the newest canonical block, or to replace everything. */
  readonly start: FollowState
  /** Done once the table has caught up. */
  readonly caughtUp: Deferred.Deferred<void>
  /** The table has no keys yet. */
  readonly isDeferred: Effect.Effect<boolean>
  readonly onChainReset: "park" | "resync"
}

/** Leaves time for the first messages of a stream. */
const FIRST_CHECK_DELAY = "1 second"
/** After the stream fell silent the first checks follow quickly: a block may have come between two answers. */
const FIRST_PAUSE_MILLIS = 1_000
/** The head of a source counts as unreadable after so many failed reads in a row. */
const MAX_UNANSWERED = 3

/**
 * Watches until the stream should be replaced; returns how the next one is to be opened.
 *
 * The source is asked once soon after the start, for the lag, and from then on only when `untilWorthAsking` returns, and for the
 * lag while rows wait.
 */
export const watchSource = Effect.fn("watchSource")(function*(watching: Watching) {
  const { activity, table } = watching
  const status = yield* StatusRecorder
  let earlier: EarlierCheck | undefined
  let [pauseMillis, unanswered, isDiverged] = [FIRST_PAUSE_MILLIS, 0, false]
  const { strategy } = watching.start
  const network = networkOf(watching)
  if (strategy.kind === "probe" && network !== undefined) {
    const outcome = yield* watchSearch({ ...watching, network, asked: strategy.candidate })
    if (outcome !== undefined) return outcome
  }
  yield* Effect.sleep(FIRST_CHECK_DELAY)
  const first = yield* Effect.result(readHead(watching))
  let head = Result.isSuccess(first) ? yield* nextHead(watching, first.success) : undefined
  for (;;) {
    const cause = yield* untilWorthAsking(watching, head)
    head = undefined
    const isQuiet = cause === "quiet"
    const answer = yield* Effect.result(readHead(watching))
    if (Result.isFailure(answer)) {
      unanswered += 1
      // Where the head cannot be read, silence is all there is.
      if (!isRetryable(answer.failure) || unanswered >= MAX_UNANSWERED) {
        yield* reportUnreadable(watching, answer.failure)
        if (isQuiet) yield* recordCaughtUp(watching)
      }
      yield* pause(watching, undefined)
      continue
    }
    unanswered = 0
    // Events that wait to be written are no silence of the source, and may be all that is missing.
    if (isQuiet && !activity.isPaused) yield* Effect.timeoutOption(activity.idle.await, FIRST_PAUSE_MILLIS)
    if (!activity.isIdle || activity.isPaused) continue
    const { check, finding } = compareWithHead(activity, answer.success, earlier, yield* elapsedMillis)
    earlier = check
    switch (finding._tag) {
      case "AtHead":
        isDiverged = false
        if (cause === "complete") activity.onSettled()
        if (cause !== "silent" && !isBehind(watching, answer.success)) yield* recordCaughtUp(watching)
        yield* clearDoubt(watching)
        break
      case "Behind":
        head = yield* nextHead(watching, answer.success)
        if (finding.isLate && activity.isAtTip) yield* recordFellBehind(table, activity)
        break
      case "Silent":
        return reopen(watching, finding.head)
      case "Diverged": {
        if (isUnwritten(watching)) return replaced(watching)
        const reason = diverged(watching)
        if (watching.onChainReset === "resync") return startAgain(watching, reason)
        if (!isDiverged) yield* Effect.logError(log.diverged(table, reason))
        isDiverged = true
        activity.isAtTip = false
        yield* status.record(table, { _tag: "Diverged", reason })
      }
    }
    yield* pause(watching, finding._tag === "AtHead" ? undefined : pauseMillis)
    pauseMillis = finding._tag === "AtHead" ? FIRST_PAUSE_MILLIS : pauseMillis * 2
  }
})

/** Waits for the common tick, or for `millis`, or until the table fell behind, whichever is first. */
const pause = (watching: Watching, millis: number | undefined) => {
  const waits = Effect.raceFirst(nextTick(watching), watching.activity.woken.await)
  return millis === undefined ? waits : Effect.raceFirst(waits, Effect.sleep(Duration.millis(millis)))
}

/** The head that the stream has to reach; undefined where it has, and once the table had caught up: then silence decides. */
const nextHead = ({ activity, caughtUp }: Watching, report: HeadReport): Effect.Effect<Head | undefined> =>
  Effect.map(Deferred.isDone(caughtUp), (hadCaughtUp) => {
    const head = hadCaughtUp ? undefined : provingHead(activity, report)
    return head === undefined || hasReached(activity, head) ? undefined : head
  })

const reportUnreadable = ({ unreadableHeads }: Watching, error: SourceHeadError | UnknownNetwork) =>
  Effect.suspend(() => {
    if (error._tag === "UnknownNetwork" || unreadableHeads.has(error.network)) return Effect.void
    unreadableHeads.add(error.network)
    return Effect.logWarning(log.headUnreadable(error.message))
  })

/** Checks the watermarks that could not be verified when they were passed; the mark of doubt is removed by the next commit. */
const clearDoubt = Effect.fnUntraced(function*({ activity, manifest, start }: Watching) {
  const source = yield* SourceHead
  const { checkpoint } = activity
  const doubted = watermarksInDoubt(checkpoint, start.options.retentionBlocks)
  if (doubted.length === 0) return
  const reports = yield* Effect.result(Effect.forEach(
    doubted,
    (watermark) => source.check(manifest, checkpoint.network ?? "", watermark),
    { concurrency: "unbounded" }
  ))
  const isVerified = Result.isSuccess(reports) && reports.success.every(({ verdict }) => verdict === "canonical")
  if (isVerified) activity.onVerified(checkpoint)
})

const recordCaughtUp = Effect.fnUntraced(function*({ activity, caughtUp, isDeferred, start, table }: Watching) {
  const status = yield* StatusRecorder
  // Before a search has brought a range, the table is in doubt.
  const isInDoubt = start.strategy.kind !== "resume" && !activity.hasRange
  if (activity.isAtTip || !activity.isIdle || isInDoubt) return
  activity.isAtTip = true
  const wasDeferred = yield* isDeferred
  yield* status.record(table, { _tag: "CaughtUp", isDeferred: wasDeferred })
  // The keys may have been completed between the two statements above.
  if (wasDeferred && !(yield* isDeferred)) yield* status.record(table, { _tag: "KeysBuilt" })
  yield* Deferred.succeed(caughtUp, undefined)
  yield* Effect.logInfo(log.caughtUp(table, activity.watermark?.block))
})

/** Whether something is confirmed that is not written yet. */
const isBehind = ({ activity }: Watching, { head }: HeadReport): boolean =>
  head !== undefined && activity.waiting?.isBehind(head.block) === true

/** Whether the newest block that was received still waits for confirmations. */
const isUnwritten = ({ activity: { waiting, watermark } }: Watching): boolean =>
  watermark !== undefined && waiting?.waitsFor(watermark) === true

const replaced = ({ activity }: Watching): Outcome => {
  const reason = `the source no longer has block ${activity.watermark?.block}, which waited for confirmations`
  return { _tag: "ReconnectFrom", strategy: resume, reason, isFailure: "when repeated" }
}

const reopen = ({ activity }: Watching, head: bigint): Outcome => {
  const from = activity.received === undefined ? "nothing was received" : `it ended with block ${activity.received}`
  const reason = `the stream is silent although the source has block ${head}: ${from}`
  // Where ranges without rows are invisible, this may be all there is.
  return { _tag: "ReconnectFrom", strategy: resume, reason, isFailure: activity.declaresEnds }
}

const diverged = ({ activity }: Watching): string =>
  `the source no longer has block ${activity.watermark?.block}, up to which the table is complete, and sends nothing that replaces it`

const startAgain = ({ activity }: Watching, reason: string): ReconnectFrom => ({
  _tag: "ReconnectFrom",
  strategy: restart(activity.watermark === undefined ? [] : [activity.watermark]),
  reason: `${reason}; starting again from the first block`,
  isFailure: false
})
