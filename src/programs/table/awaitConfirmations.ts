/**
 * The stage before `writeChunks` that holds ranges back until enough blocks are on top of them.
 *
 * A later range of the stream confirms those before it; where none comes, the source is asked. While the memory for what waits
 * is used up, nothing more is read, and the flow control of gRPC stops the server: only the source can confirm anything then.
 */
import { Cause, Clock, Effect, Exit, Result, type Scope, Stream } from "effect"
import type { ColumnBatch } from "../../domain/arrow/ColumnBatch.ts"
import { HeldRanges } from "../../domain/chain/HeldRanges.ts"
import { resume } from "../../domain/chain/resumeStrategy.ts"
import type { TableEvent } from "../../domain/chain/TableEvent.ts"
import { isSameWatermark, type Watermark } from "../../domain/chain/watermarks.ts"
import type { Manifest } from "../../domain/manifest/Manifest.ts"
import type { HeldFigures } from "../../domain/StatusEvent.ts"
import { type HeadReport, SourceHead, type SourceHeadError } from "../../services/SourceHead.ts"
import { ConfirmationStage } from "./ConfirmationStage.ts"
import type { HeldMemory } from "./HeldMemory.ts"
import type { KeptRanges } from "./KeptRanges.ts"
import { Reconnect, Unconfirmable } from "./Outcome.ts"
import type { StreamActivity } from "./StreamActivity.ts"

export interface ConfirmationOptions<R> {
  /** Blocks on top of a range; 0: the stage is not there at all. */
  readonly confirmations: number
  /** The newest durable one; where ranges were kept, the stream continues behind them. */
  readonly watermark: Watermark | undefined
  readonly kept: KeptRanges
  readonly manifest: Manifest
  readonly activity: StreamActivity
  readonly memory: HeldMemory
  /** Runs for each event as it comes; undefined where there is nothing to wait for. */
  readonly onEvent: (event: TableEvent) => Effect.Effect<void, never, R> | undefined
  /** Runs when ranges were replaced before they were written. */
  readonly onDropped: (dropped: HeldFigures) => Effect.Effect<void, never, R>
  /** Runs when something else waits than before. */
  readonly onHeld: (held: HeldFigures) => Effect.Effect<void, never, R>
}

/** The source is asked so long after something began to wait, then after twice as long, and at its common tick. */
const FIRST_PAUSE_MILLIS = 1_000
/** Ranges that come faster than this confirm each other. */
const SILENT_MILLIS = 500
/** A reorg that the source shows may take a while to come over the stream. */
const ORPHANED_MILLIS = 10_000
/** How long nothing is read although it cannot be found out whether what waits is confirmed. */
const UNANSWERED_MILLIS = 60_000

type Event = TableEvent<ColumnBatch>
type Given = Reconnect | Unconfirmable

/** Passes on what of `events` is confirmed, in the order in which it came. */
export const awaitConfirmations = <R>(options: ConfirmationOptions<R>) =>
<E, R2>(
  events: Stream.Stream<Event, E, R2>
): Stream.Stream<Event, E | Given, R | R2 | SourceHead> =>
  options.confirmations === 0 ? events : Stream.unwrap(hold(options, events))

const hold = Effect.fnUntraced(function*<E, R, R2>(
  options: ConfirmationOptions<R>,
  events: Stream.Stream<Event, E, R2>
): Effect.fn.Return<Stream.Stream<Event, E | Given>, never, R | R2 | SourceHead | Scope.Scope> {
  const { activity, confirmations, memory, watermark } = options
  const { bytes, ranges } = options.kept.take() ?? { ranges: new HeldRanges(confirmations, watermark), bytes: 0 }
  const stage = new ConfirmationStage<E | Given>(ranges, bytes, activity, memory, yield* Clock.Clock)
  const ends = (exit: Exit.Exit<void, E | Given>) => Effect.sync(() => stage.end(exit))
  yield* Effect.addFinalizer(() => Effect.sync(() => stage.close(options.kept)))
  yield* Effect.forkScoped(
    Effect.onExit(Stream.runForEachArray(events, (frame) => receive(stage, options, frame)), ends)
  )
  yield* Effect.forkScoped(Effect.onExit(askSource(stage, options), ends))
  return Stream.fromPull(Effect.succeed(pull(stage)))
})

const pull = <E>(stage: ConfirmationStage<E>) =>
  Effect.flatMap(
    stage.until(() => stage.hasConfirmed || stage.exit !== undefined),
    (): Effect.Effect<[Event, ...Array<Event>], E | Cause.Done> => {
      const { exit } = stage
      if (stage.hasConfirmed) return Effect.succeed(stage.take() as [Event, ...Array<Event>])
      // What waits is not durable: the next attempt asks for it again.
      return exit === undefined || Exit.isSuccess(exit) ? Cause.done() : Effect.failCause(exit.cause)
    }
  )

const receive = Effect.fnUntraced(function*<E, R>(
  stage: ConfirmationStage<E>,
  options: ConfirmationOptions<R>,
  frame: ReadonlyArray<Event>
): Effect.fn.Return<void, Reconnect, R> {
  for (const event of frame) {
    const noted = options.onEvent(event)
    if (noted !== undefined) yield* noted
    if (event._tag === "RangeStarted" && stage.isLikelyOld(event.range.end)) stage.isFresh = true
    const received = stage.ranges.receive(event)
    if (received._tag === "Split") return yield* giveUp(received.reason)
    stage.release(received.events)
    if (received.dropped !== undefined) yield* options.onDropped(received.dropped)
  }
  if (stage.mayReportHeld()) yield* options.onHeld(stage.ranges.held)
  if (!stage.mayRead) yield* stage.until(() => stage.mayRead)
})

/** Asks the source about what waits, for as long as the stream is open. */
const askSource = Effect.fnUntraced(function*<E, R>(
  stage: ConfirmationStage<E>,
  options: ConfirmationOptions<R>
): Effect.fn.Return<never, Given, R | SourceHead> {
  const source = yield* SourceHead
  let pauseMillis = FIRST_PAUSE_MILLIS
  let orphaned: Orphaned | undefined
  let answeredAtMillis = 0
  for (;;) {
    yield* stage.until(() => !stage.ranges.isEmpty)
    const isTick = yield* Effect.raceAllFirst([
      Effect.as(source.nextTick(stage.ranges.newest?.range.network ?? ""), true),
      Effect.as(Effect.sleep(pauseMillis), false),
      Effect.as(stage.until(() => stage.isUrgent || stage.isFresh), false)
    ])
    if (stage.isFresh) {
      stage.isFresh = false
      pauseMillis = FIRST_PAUSE_MILLIS
      if (!stage.isUrgent) continue
    }
    const isSilent = stage.nowMillis() - stage.activity.lastMessageAtMillis >= SILENT_MILLIS
    if (!isTick && !isSilent && !stage.isUrgent && stage.fullSinceMillis === undefined) continue
    yield* options.onHeld(stage.ranges.held)
    pauseMillis *= 2
    const answer = yield* ask(stage, options)
    const now = stage.nowMillis()
    if (answer?.verdict !== undefined) answeredAtMillis = now
    else if (answer !== undefined && stage.fullSinceMillis !== undefined) {
      const since = Math.max(stage.fullSinceMillis, answeredAtMillis)
      if (now - since >= UNANSWERED_MILLIS) return yield* unconfirmable(options, answer)
    }
    orphaned = answer?.verdict === "orphaned" ? orphanedSince(stage, answer.block, orphaned) : undefined
    if (orphaned !== undefined && now - orphaned.atMillis >= ORPHANED_MILLIS) {
      return yield* giveUp(`the source no longer has block ${orphaned.block.block}, which waited for confirmations`)
    }
  }
})

/** A block that waits was found orphaned, and nothing came since. */
interface Orphaned {
  readonly block: Watermark
  readonly messages: number
  readonly atMillis: number
}

const orphanedSince = <E>(
  stage: ConfirmationStage<E>,
  block: Watermark,
  before: Orphaned | undefined
): Orphaned => {
  const { messages } = stage.activity
  const isSame = before !== undefined && isSameWatermark(before.block, block) && before.messages === messages
  return isSame ? before : { block, messages, atMillis: stage.nowMillis() }
}

interface Answer {
  readonly block: Watermark
  /** Undefined where the source does not show it. */
  readonly verdict: "canonical" | "orphaned" | undefined
  readonly reason: string
}

/** Asks until nothing more is confirmed, and returns the last answer; undefined where nothing waited. */
const ask = Effect.fnUntraced(function*<E, R>(
  stage: ConfirmationStage<E>,
  { activity, confirmations, manifest, onHeld }: ConfirmationOptions<R>
): Effect.fn.Return<Answer | undefined, never, R | SourceHead> {
  const source = yield* SourceHead
  for (;;) {
    const { newest } = stage.ranges
    const block = stage.ranges.candidate(stage.head)
    if (newest === undefined || block === undefined) return undefined
    stage.onAsked()
    const tip = block.block + BigInt(confirmations)
    const answer = yield* Effect.result(source.check(manifest, newest.range.network, block, tip))
    const head = Result.isSuccess(answer) ? answer.success.head : undefined
    const verdict = verdictOf(answer)
    if (head !== undefined) stage.head = head.block
    const isOneRead = Result.isSuccess(answer) && answer.success.isHeadLater !== true
    const confirmed = verdict === "canonical" && head !== undefined && isOneRead
      ? stage.ranges.confirm(block, head.block)
      : []
    if (confirmed.length === 0) return { block, verdict, reason: reasonOf(answer, block) }
    stage.release(confirmed)
    // The table may have caught up with that.
    activity.woken.openUnsafe()
    yield* onHeld(stage.ranges.held)
  }
})

type Asked = Result.Result<HeadReport, SourceHeadError>

const verdictOf = (answer: Asked): Answer["verdict"] =>
  Result.isFailure(answer) || answer.success.verdict === "unknown" ? undefined : answer.success.verdict

const reasonOf = (answer: Asked, { block }: Watermark): string =>
  Result.isFailure(answer) ? answer.failure.message : `the source does not show whether it has block ${block}`

const unconfirmable = ({ confirmations }: { readonly confirmations: number }, { block, reason }: Answer) =>
  new Unconfirmable({
    reason:
      `rows up to block ${block.block} wait for ${confirmations} confirmations and use up CONFIRMATIONS_MAX_MB, and ` +
      `whether they have them cannot be found out: ${reason}`
  })

const giveUp = (reason: string) =>
  Effect.fail(new Reconnect({ _tag: "ReconnectFrom", strategy: resume, reason, isFailure: "when repeated" }))
