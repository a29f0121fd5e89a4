import { Cause, Clock, Effect, Exit, Option, Queue, Ref, Stream } from "effect"
import type { Duration, Scope, Semaphore } from "effect"
import type { SqlError } from "effect/sql"
import type { BatchSize } from "../domain/BatchSize.ts"
import { afterCommit, afterFailure, MAX_CHUNK_BYTES } from "../domain/BatchSize.ts"
import type { Chunk, Part } from "../domain/chain/Chunk.ts"
import { addPart, closesGroup, firstChunk, isFull, isWorthCommitting, nextChunk } from "../domain/chain/Chunk.ts"
import type { Pace } from "../domain/chain/Pace.ts"
import { caughtUpAt, drained, settled, startPace, took } from "../domain/chain/Pace.ts"
import type { Fenced, TableRefused } from "../services/Checkpoints.ts"
import type { Committed, TableWriter } from "../services/TableSink.ts"
import { lettingFinish } from "./lettingFinish.ts"

export interface Committing {
  readonly writer: TableWriter
  /** One permit per chunk in flight, shared by all tables. */
  readonly permits: Semaphore.Semaphore
  readonly size: Ref.Ref<BatchSize>
  readonly onCommit: (chunk: Chunk, committed: Committed, elapsedMillis: number) => Effect.Effect<void>
  readonly onFailure: (chunk: Chunk, error: SqlError.SqlError | Fenced | TableRefused) => Effect.Effect<void>
  /** It was found out, or is no longer so. */
  readonly onPace: (phase: "catching up" | "caught up") => Effect.Effect<void>
}

/** Pieces decoded and encoded ahead while a chunk commits: enough to keep PostgreSQL busy, no more in memory. */
const PIECES_AHEAD = 4
/** How long a chunk of a long range waits for more, so that a backlog never commits in crumbs. */
const LINGER = "20 millis"
/** A part that comes within this was not waited for: it was on its way while the one before it was committed. */
const MOMENT = "20 millis"
const LONG_RANGE_BLOCKS = 16n
/** Ranges with few rows or none never fill a chunk, and its permit is not for one table alone. */
const MAX_AGE_MILLIS = 1_000

/**
 * Groups parts into chunks and commits them one after the other: as large as `size` says while there is a backlog, at once
 * when there is none. Ends when the parts end; what came before a failure is committed before it is passed on.
 */
export const commitChunks = Effect.fnUntraced(function*<E>(
  parts: Stream.Stream<Part, E>,
  committing: Committing
): Effect.fn.Return<void, E | SqlError.SqlError | Fenced | TableRefused, Scope.Scope> {
  const queue = yield* Queue.bounded<Part, E | Cause.Done>(PIECES_AHEAD)
  yield* Effect.forkScoped(Stream.runIntoQueue(parts, queue))
  const { known } = committing.writer
  const pacing = yield* makePacing(known.history.length > 0, committing)
  let chunk: Chunk = firstChunk(known)
  let next: Option.Option<Part> = Option.none()
  while (true) {
    const first = Option.isSome(next) ? Exit.succeed(next.value) : yield* Effect.exit(takeNext(queue, pacing))
    next = Option.none()
    if (Exit.isFailure(first)) {
      return yield* Effect.failCause(first.cause).pipe(Effect.catchIf(isDone, () => Effect.void)) as Effect.Effect<
        void,
        E
      >
    }
    const filled = yield* fill(queue, chunk, first.value, { ...committing, ...pacing }).pipe(
      committing.permits.withPermit
    )
    chunk = filled.chunk
    next = filled.next
  }
})

const isDone = <E>(error: E | Cause.Done): error is Cause.Done => Cause.isDone(error)

interface Pacing {
  /** Tells what comes of it where that is something new. */
  readonly note: (change: (pace: Pace, nowMillis: number) => Pace) => Effect.Effect<void>
  /** Milliseconds of waiting that are left until it has caught up; undefined where waiting does not help. */
  readonly left: Effect.Effect<number | undefined>
}

const makePacing = Effect.fnUntraced(function*(begun: boolean, { onPace }: Committing): Effect.fn.Return<Pacing> {
  let pace = startPace(begun, yield* Clock.currentTimeMillis)
  return {
    note: (change) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) => {
        const { caughtUp: was } = pace
        pace = change(pace, now)
        const { caughtUp } = pace
        return caughtUp === undefined || caughtUp === was
          ? Effect.void
          : onPace(caughtUp ? "caught up" : "catching up")
      }),
    left: Effect.map(Clock.currentTimeMillis, (now) => {
      const at = caughtUpAt(pace)
      return at === undefined ? undefined : Math.max(0, at - now)
    })
  }
})

/** Nothing is left to commit: the place where a table has caught up, or has not. */
const takeNext = Effect.fnUntraced(function*<E>(queue: Queue.Dequeue<Part, E | Cause.Done>, pacing: Pacing) {
  if (yield* comesWithin(queue, MOMENT)) return yield* Queue.take(queue)
  yield* pacing.note(drained)
  const left = yield* pacing.left
  if (left !== undefined && !(left > 0 && (yield* comesWithin(queue, left)))) yield* pacing.note(settled)
  const part = yield* Queue.take(queue)
  yield* pacing.note(drained)
  return part
})

/** Whether something can be taken within `patience`. Looks without taking: a taker that is timed out may hold a part. */
const comesWithin = <E>(queue: Queue.Dequeue<Part, E>, patience: Duration.Input): Effect.Effect<boolean> =>
  Queue.peek(queue).pipe(
    Effect.exit,
    Effect.timeoutOption(patience),
    Effect.map(Option.isSome)
  )

/** Adds parts to `chunk` while they come and fit, then commits it. `next` is the part that must begin another one. */
const fill = Effect.fnUntraced(function*<E>(
  queue: Queue.Dequeue<Part, E | Cause.Done>,
  start: Chunk,
  first: Part,
  committing: Committing & Pacing
) {
  let chunk = start
  let part: Option.Option<Part> = Option.some(first)
  let waits = false
  const began = yield* Clock.currentTimeMillis
  while (Option.isSome(part)) {
    if (closesGroup(chunk, part.value)) break
    const taken = part.value
    chunk = addPart(chunk, taken)
    yield* committing.note((pace, now) => took(pace, taken, now))
    if (part.value._tag === "Range") waits = part.value.range.end - part.value.range.start + 1n >= LONG_RANGE_BLOCKS
    const { rows } = yield* Ref.get(committing.size)
    const age = (yield* Clock.currentTimeMillis) - began
    if (isFull(chunk, rows, MAX_CHUNK_BYTES) || age >= MAX_AGE_MILLIS) {
      part = Option.none()
      break
    }
    part = yield* Queue.poll(queue)
    if (Option.isNone(part) && waits && (yield* comesWithin(queue, LINGER))) part = yield* Queue.poll(queue)
  }
  if (isWorthCommitting(chunk)) {
    yield* commit(chunk, committing)
    chunk = nextChunk(chunk)
  }
  return { chunk, next: part }
})

const commit = Effect.fnUntraced(function*(chunk: Chunk, committing: Committing) {
  const began = yield* Clock.currentTimeMillis
  const committed = yield* lettingFinish(committing.writer.commit(chunk)).pipe(
    Effect.tapError((error) =>
      Effect.andThen(Ref.update(committing.size, afterFailure), committing.onFailure(chunk, error))
    )
  )
  const elapsed = (yield* Clock.currentTimeMillis) - began
  yield* Ref.update(committing.size, (size) => afterCommit(size, chunk.rows, elapsed))
  yield* committing.onCommit(chunk, committed, elapsed)
})
