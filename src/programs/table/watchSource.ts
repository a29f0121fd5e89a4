/** Compares a stream with the head of its source, so that silence is checked and `caught up` is a fact. */
import { Clock, Deferred, Duration, Effect, Result } from "effect"
import { watermarksInDoubt } from "../../domain/chain/Checkpoint.ts"
import { compareWithHead, type EarlierCheck } from "../../domain/chain/compareWithHead.ts"
import type { FollowState } from "../../domain/chain/FollowState.ts"
import { restart, resume } from "../../domain/chain/resumeStrategy.ts"
import { ANY_BLOCK, type HeadReport } from "../../domain/chain/sourceHead.ts"
import { elapsedMillis } from "../../domain/elapsed.ts"
import * as log from "../../domain/logLines.ts"
import type { Manifest } from "../../domain/manifest/Manifest.ts"
import { isRetryable } from "../../domain/retryable.ts"
import { SourceHead, type SourceHeadError } from "../../services/SourceHead.ts"
import { StatusRecorder } from "../../services/SyncStatus.ts"
import type { Outcome, ReconnectFrom } from "./Outcome.ts"
import type { StreamActivity } from "./StreamActivity.ts"
import type { Turn } from "./Turn.ts"
import { watchSearch } from "./watchSearch.ts"

export interface Watching {
  readonly table: string
  readonly manifest: Manifest
  /** Used until the stream names its network; undefined where the config does not name one either. */
  readonly network: string | undefined
  readonly activity: StreamActivity
  readonly turn: Pick<Turn, "isBuilding">
  /** As the connection was opened: to resume, to find the newest canonical block, or to replace everything. */
  readonly start: FollowState
  /** Done once the table has caught up. */
  readonly caughtUp: Deferred.Deferred<void>
  /** The table has no keys yet. */
  readonly isDeferred: Effect.Effect<boolean>
  readonly onChainReset: "park" | "resync"
  /** Networks whose head could not be read, for all tables: it is reported once. */
  readonly unreadableHeads: Set<string>
}

/** Between two looks at whether a stream is complete. */
const COMPLETE_POLL = "100 millis"
/** Leaves time for the first messages of a stream. */
const FIRST_CHECK_DELAY = "1 second"
/** After the stream fell silent the first checks follow quickly: a block may have come between two answers. */
const FIRST_PAUSE_MILLIS = 1_000
/** The source is asked about a stream with a backlog once it was silent for so long. */
const SILENT_MILLIS = 10_000
/** The head of a source counts as unreadable after so many failed reads in a row. */
const MAX_UNANSWERED = 3

/**
 * Watches until the stream should be replaced; returns how the next one is to be opened.
 *
 * The source is asked once soon after the start, for the lag, and from then on only while the stream is quiet or silent.
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
  let head = Result.getOrUndefined(Result.map(yield* Effect.result(readHead(watching)), exactHead))
  for (;;) {
    const cause = yield* untilWorthAsking(watching, head)
    const isQuiet = cause === "quiet"
    const answer = yield* Effect.result(readHead(watching))
    if (Result.isFailure(answer)) {
      unanswered += 1
      // Where the head cannot be read, silence is all there is.
      if (!isRetryable(answer.failure) || unanswered >= MAX_UNANSWERED) {
        yield* reportUnreadable(watching, answer.failure)
        if (isQuiet) yield* caughtUp(watching)
      }
      yield* pause(watching, undefined)
      continue
    }
    unanswered = 0
    head = exactHead(answer.success)
    // Events that wait to be written are no silence of the source, and may be all that is missing.
    if (isQuiet && !activity.isPaused) yield* Effect.timeoutOption(activity.idle.await, FIRST_PAUSE_MILLIS)
    if (!activity.isIdle || activity.isPaused) continue
    const { check, finding } = compareWithHead(activity, answer.success, earlier, yield* elapsedMillis)
    earlier = check
    switch (finding._tag) {
      case "AtHead":
        isDiverged = false
        if (cause === "complete" && hasReached(activity, head)) activity.onSettled()
        if (cause !== "silent" && !isBehind(watching, answer.success)) yield* caughtUp(watching)
        yield* clearDoubt(watching)
        break
      case "Behind":
        if (finding.isLate && activity.isAtTip) yield* fellBehind(watching)
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

/** The last block of the source; undefined where it may have more. */
const exactHead = ({ end, head }: HeadReport): bigint | undefined => (head?.isExact === false ? end : head)?.block

const hasReached = ({ watermark }: StreamActivity, head: bigint | undefined): boolean =>
  head !== undefined && watermark !== undefined && watermark.block >= head

/**
 * Waits until nothing is left to write and the stream is quiet, or was silent in the middle of a backlog, or is complete up to
 * `head`, the one that was read last.
 */
const untilWorthAsking = Effect.fnUntraced(function*(watching: Watching, head: bigint | undefined) {
  const { activity } = watching
  for (;;) {
    activity.woken.closeUnsafe()
    const cause = yield* Effect.raceAllFirst([
      Effect.as(activity.quiet.await, "quiet" as const),
      Effect.as(tick(watching), "silent" as const),
      Effect.as(untilComplete(activity, head), "complete" as const)
    ])
    const silentMillis = (yield* elapsedMillis) - activity.lastMessageAtMillis
    const isWorthIt = cause !== "silent" || silentMillis >= SILENT_MILLIS
    if (activity.isIdle && !activity.isPaused && isWorthIt) return cause
    if (cause === "silent" && watching.turn.isBuilding()) yield* Effect.result(readHead(watching))
    // Where blocks come one after the other there are only moments between two of them.
    yield* cause === "quiet" && !activity.isPaused ? untilIdle(watching) : Effect.sleep(FIRST_PAUSE_MILLIS)
  }
})

/** At the end of a backlog: the next answer may prove that the table has caught up, before silence does. */
const untilComplete = Effect.fnUntraced(function*(activity: StreamActivity, head: bigint | undefined) {
  if (activity.isAtTip || head === undefined) return yield* Effect.never
  while (activity.isPaused || !activity.isIdle || !hasReached(activity, head)) {
    yield* Effect.sleep(COMPLETE_POLL)
    yield* activity.idle.await
  }
})

/** Where the rows of a table that had caught up wait, or those of any for a build of keys, the lag grows, and is shown. */
const untilIdle = (watching: Watching) => {
  const { activity, turn } = watching
  const showLag = Effect.suspend(() =>
    activity.isAtTip || turn.isBuilding() ? Effect.result(readHead(watching)) : Effect.void
  )
  return Effect.raceFirst(activity.idle.await, Effect.forever(Effect.andThen(tick(watching), showLag)))
}

const tick = Effect.fnUntraced(function*(watching: Watching) {
  const source = yield* SourceHead
  yield* source.nextTick(networkOf(watching) ?? "")
})

/** Waits for the common tick, or for `millis`, or until the table fell behind, whichever is first. */
const pause = (watching: Watching, millis: number | undefined) => {
  const waits = Effect.raceFirst(tick(watching), watching.activity.woken.await)
  return millis === undefined ? waits : Effect.raceFirst(waits, Effect.sleep(Duration.millis(millis)))
}

const networkOf = ({ activity, network }: Watching): string | undefined => activity.network ?? network

const readHead = Effect.fnUntraced(function*(watching: Watching): Effect.fn.Return<
  HeadReport,
  SourceHeadError | UnknownNetwork,
  SourceHead | StatusRecorder
> {
  const { activity, manifest, table, unreadableHeads } = watching
  const [source, status] = [yield* SourceHead, yield* StatusRecorder]
  const network = networkOf(watching)
  if (network === undefined) return yield* Effect.fail(unknownNetwork)
  const askedAtMillis = yield* Clock.currentTimeMillis
  const report = yield* source.check(manifest, network, activity.watermark ?? ANY_BLOCK)
  unreadableHeads.delete(network)
  const { end, head } = report
  // A lower bound of the head would show as a lag that is too small.
  const shown = head?.isExact === false ? end : head
  if (shown !== undefined) yield* status.record(table, { _tag: "HeadRead", head: shown, askedAtMillis })
  return activity.watermark === undefined ? { head, verdict: "unknown" } : report
})

/** Neither the stream nor the config named the network yet. */
const unknownNetwork = { _tag: "UnknownNetwork", retryable: true } as const
type UnknownNetwork = typeof unknownNetwork

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

const caughtUp = Effect.fnUntraced(function*({ activity, caughtUp, isDeferred, start, table }: Watching) {
  const status = yield* StatusRecorder
  // Before a search has brought a range, the table is in doubt.
  const isInDoubt = start.strategy.kind !== "resume" && !activity.hasRange
  if (activity.isAtTip || !activity.isIdle || isInDoubt) return
  activity.isAtTip = true
  const wasDeferred = yield* isDeferred
  yield* status.record(table, { _tag: "CaughtUp", isDeferred: wasDeferred })
  // The keys may have been completed between the two statements above.
  if (wasDeferred && !(yield* isDeferred)) yield* status.record(table, { _tag: "IndexesBuilt" })
  yield* Deferred.succeed(caughtUp, undefined)
  yield* Effect.logInfo(log.caughtUp(table, activity.watermark?.block))
})

/** Records that a table that had caught up is behind again, and wakes its watcher. */
export const fellBehind = Effect.fnUntraced(function*({ activity, table }: Pick<Watching, "activity" | "table">) {
  const status = yield* StatusRecorder
  activity.isAtTip = false
  activity.woken.openUnsafe()
  yield* status.record(table, { _tag: "FellBehind" })
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
