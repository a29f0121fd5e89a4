import { Cause, Clock, Effect, Exit, Option, Queue, Ref, Stream } from "effect"
import type { Duration, Scope, Semaphore } from "effect"
import type { SqlError } from "effect/sql"
import type { BatchSize } from "../domain/BatchSize.ts"
import { afterCommit, afterFailure, MAX_CHUNK_BYTES } from "../domain/BatchSize.ts"
import type { Chunk, Part } from "../domain/chain/Chunk.ts"
import { addPart, closesGroup, firstChunk, isFull, isWorthCommitting, nextChunk } from "../domain/chain/Chunk.ts"
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
  /** The newest range is committed and nothing has come for a moment. */
  readonly onIdle: Effect.Effect<void>
}

/** Pieces decoded and encoded ahead while a chunk commits: enough to keep PostgreSQL busy, no more in memory. */
const PIECES_AHEAD = 4
/** How long a chunk of a long range waits for more, so that a backlog never commits in crumbs. */
const LINGER = "20 millis"
const LONG_RANGE_BLOCKS = 16n
/** Ranges with few rows or none never fill a chunk, and its permit is not for one table alone. */
const MAX_AGE_MILLIS = 1_000
const SILENCE = "1 second"

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
  let chunk: Chunk = firstChunk(known)
  let next: Option.Option<Part> = Option.none()
  let received = false
  while (true) {
    // A server that never sent anything is waited for, not caught up with.
    const onIdle = received || known.history.length > 0 ? committing.onIdle : Effect.void
    const first = Option.isSome(next) ? Exit.succeed(next.value) : yield* Effect.exit(takeNext(queue, onIdle))
    next = Option.none()
    if (Exit.isFailure(first)) {
      return yield* Effect.failCause(first.cause).pipe(Effect.catchIf(isDone, () => Effect.void)) as Effect.Effect<
        void,
        E
      >
    }
    received = true
    const filled = yield* fill(queue, chunk, first.value, committing).pipe(committing.permits.withPermit)
    chunk = filled.chunk
    next = filled.next
  }
})

const isDone = <E>(error: E | Cause.Done): error is Cause.Done => Cause.isDone(error)

const takeNext = <E>(queue: Queue.Dequeue<Part, E | Cause.Done>, onIdle: Effect.Effect<void>) =>
  comesWithin(queue, SILENCE).pipe(
    Effect.flatMap((came) => (came ? Effect.void : onIdle)),
    Effect.andThen(Queue.take(queue))
  )

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
  committing: Committing
) {
  let chunk = start
  let part: Option.Option<Part> = Option.some(first)
  let waits = false
  const began = yield* Clock.currentTimeMillis
  while (Option.isSome(part)) {
    if (closesGroup(chunk, part.value)) break
    chunk = addPart(chunk, part.value)
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
