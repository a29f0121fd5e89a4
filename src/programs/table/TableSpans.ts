/** The spans of the attempts at one table, and of the chunks that they write. */
import { Cause, Clock, Context, Effect, Exit, Option, Tracer } from "effect"
import type { Chunk } from "../../domain/chain/Chunk.ts"
import { withoutQueries } from "../../domain/health/readiness.ts"
import type { Committed } from "../../services/TableSink.ts"
import { SpanTracer } from "../../services/Telemetry.ts"
import type { ChunkTimes, StageSpan } from "./ChunkTimes.ts"
import type { Outcome } from "./Outcome.ts"

const NANOS_PER_MILLI = 1e6

type Attributes = Readonly<Record<string, string | number | bigint | undefined>>

interface Failure {
  readonly _tag: string
  readonly message: string
}

/**
 * Makes the spans of one table, one attempt after the other.
 *
 * A chunk is the root of a trace of its own, because an attempt may last for weeks; links lead to its attempt, and from the
 * first chunk of an attempt to the last one before it. Spans of chunks are made when they are over. Invariant I7: attributes
 * are names, block numbers, counts and times, and of a failure its message.
 */
export class TableSpans {
  readonly #tracer: Tracer.Tracer
  readonly #clock: Clock.Clock
  readonly #table: string
  #queries: ReadonlyArray<string> = []
  #attempt: Tracer.Span | undefined
  /** The last one that was exported. */
  #lastAttempt: Tracer.ExternalSpan | undefined
  #lastChunk: Tracer.ExternalSpan | undefined
  #hasOpened = false
  #chunks = 0

  constructor(tracer: Tracer.Tracer, clock: Clock.Clock, table: string) {
    this.#tracer = tracer
    this.#clock = clock
    this.#table = table
  }

  /** Texts of `queries` are left out of messages. */
  attemptBegins(queries: ReadonlyArray<string>): void {
    const links = linksTo("previous", this.#lastAttempt)
    this.#queries = queries
    this.#hasOpened = false
    this.#chunks = 0
    this.#attempt = this.#span("attempt", this.#clock.currentTimeNanosUnsafe(), links)
  }

  /** The stream is open, from the block after `resumedBlock` on. */
  opened(resumedBlock: bigint | undefined, network: string | undefined): void {
    this.#hasOpened = true
    annotate(this.#attempt, { "ampsync.resumed_block": resumedBlock, "ampsync.network": network })
  }

  attemptEnds(exit: Exit.Exit<Outcome, Failure>): void {
    const outcome = outcomeOf(exit)
    // A process that stands by asks for the lease every two seconds: those are no attempts at the table.
    if (this.#attempt === undefined || (outcome === "held" && !this.#hasOpened)) return
    const reason = Exit.isSuccess(exit) && "reason" in exit.value ? this.#publicText(exit.value.reason) : undefined
    annotate(this.#attempt, { "ampsync.chunks": this.#chunks, "ampsync.outcome": outcome, "ampsync.reason": reason })
    this.#attempt.end(this.#clock.currentTimeNanosUnsafe(), this.#publicExit(exit))
    this.#lastAttempt = idsOf(this.#attempt)
  }

  /** A chunk is committed, or failed. */
  chunkEnds(chunk: Chunk, times: ChunkTimes, exit: Exit.Exit<Committed, Failure>): void {
    const { commit, copy, encode, endedAt, receive, spent } = times
    if (receive === undefined || spent === undefined || endedAt === undefined) return
    // Times of the monotonic clock become those of the wall by one offset, so that they stay nested.
    const wall = this.#clock.currentTimeNanosUnsafe() - this.#clock.monotonicTimeNanosUnsafe()
    const links = [
      ...linksTo("attempt", idsOf(this.#attempt)),
      ...linksTo("previous", this.#chunks === 0 ? this.#lastChunk : undefined)
    ]
    const span = this.#span("chunk", wall + receive.from, links)
    this.#chunks += 1
    this.#lastChunk = idsOf(span)
    if (!span.sampled) return
    const ended = this.#publicExit(exit)
    const child = (name: string, stage: StageSpan | undefined, exit: Exit.Exit<unknown, Error> = Exit.void) => {
      if (stage !== undefined) this.#span(name, wall + stage.from, [], span).end(wall + stage.until, exit)
    }
    child("receive", receive)
    child("encode", encode)
    child("copy", copy, commit === undefined ? ended : Exit.void)
    child("commit", commit, ended)
    annotate(span, {
      "ampsync.network": chunk.checkpoint.network,
      "ampsync.first_block": chunk.firstBlock,
      "ampsync.last_block": chunk.lastBlock,
      "ampsync.watermark": chunk.checkpoint.history.at(-1)?.block,
      "ampsync.rows": chunk.rows,
      "ampsync.rows_removed": Exit.isSuccess(exit) ? exit.value.rowsRemoved : undefined,
      "ampsync.bytes": chunk.sizeBytes,
      "ampsync.reorgs": chunk.reorgs.length,
      "ampsync.source_wait_ms": Number(spent.source) / NANOS_PER_MILLI,
      "ampsync.encode_ms": Number(spent.encode) / NANOS_PER_MILLI,
      "ampsync.storage_wait_ms": Number(spent.storage) / NANOS_PER_MILLI
    })
    span.end(wall + endedAt, ended)
  }

  #span(name: string, startTime: bigint, links: Array<Tracer.SpanLink>, parent?: Tracer.Span): Tracer.Span {
    const span = this.#tracer.span({
      name,
      parent: Option.fromUndefinedOr(parent),
      annotations: Context.empty(),
      links,
      startTime,
      kind: "internal",
      root: parent === undefined,
      sampled: parent?.sampled ?? true
    })
    span.attribute("ampsync.table", this.#table)
    return span
  }

  #publicText(text: string): string {
    return withoutQueries(text, this.#queries)
  }

  /** Of a failure only the message: its causes are those of drivers, which may have rows and statements. */
  #publicExit(exit: Exit.Exit<unknown, Failure>): Exit.Exit<unknown, Error> {
    if (Exit.isSuccess(exit) || Cause.hasInterruptsOnly(exit.cause)) return exit as Exit.Exit<unknown, never>
    const failure = exit.cause.reasons.find(Cause.isFailReason)?.error
    const error = new Error(failure === undefined ? "internal error" : this.#publicText(failure.message))
    error.name = failure?._tag ?? "Defect"
    error.stack = `${error.name}: ${error.message}`
    return Exit.fail(error)
  }
}

const annotate = (span: Tracer.Span | undefined, attributes: Attributes): void => {
  for (const [key, value] of Object.entries(attributes)) if (value !== undefined) span?.attribute(key, value)
}

/** A span that is linked to as it is would be kept in memory, with all that it is linked to. */
const idsOf = (span: Tracer.Span | undefined): Tracer.ExternalSpan | undefined =>
  span === undefined ? undefined : Tracer.externalSpan(span)

const linksTo = (kind: string, span: Tracer.ExternalSpan | undefined): Array<Tracer.SpanLink> =>
  span === undefined ? [] : [{ span, attributes: { "ampsync.link": kind } }]

const outcomes: Readonly<Record<Outcome["_tag"], string>> = {
  Progressed: "progressed",
  AtTip: "at_tip",
  Ended: "ended",
  Held: "held",
  ReconnectFrom: "reconnect"
}

const outcomeOf = (exit: Exit.Exit<Outcome, unknown>): string =>
  Exit.isSuccess(exit) ? outcomes[exit.value._tag] : Cause.hasInterruptsOnly(exit.cause) ? "interrupted" : "failed"

/** The spans of a table; undefined where nothing takes spans. In an app they go to the tracer of the app. */
export const tableSpans = Effect.fnUntraced(function*(table: string): Effect.fn.Return<TableSpans | undefined> {
  const ofApp = yield* Tracer.Tracer
  const tracer = (yield* SpanTracer) ?? (ofApp === Tracer.nativeTracer ? undefined : ofApp)
  return tracer === undefined ? undefined : new TableSpans(tracer, yield* Clock.Clock, table)
})

/** Runs one attempt as a span, where something takes it; `queries` are texts that no message may repeat. */
export const asAttempt = <E extends Failure, R, R2>(
  spans: TableSpans | undefined,
  queries: Effect.Effect<ReadonlyArray<string>, never, R2>,
  attempt: Effect.Effect<Outcome, E, R>
): Effect.Effect<Outcome, E, R | R2> =>
  spans === undefined ? attempt : Effect.flatMap(queries, (texts) => {
    spans.attemptBegins(texts)
    return Effect.onExit(attempt, (exit) => Effect.sync(() => spans.attemptEnds(exit)))
  })
