/**
 * Turns the events of a table into transactions: when one opens, what it contains, and when it commits.
 *
 * A chunk is an open transaction. Rows are encoded straight into its COPY, under the back-pressure of the socket, and only
 * while the table holds one of the permits that all tables share (I8). While a COMMIT is on its way the next events gather:
 * that makes chunks large under a backlog and small at the tip.
 */
import { Clock, Effect, Fiber, Ref, type Stream } from "effect"
import type { SqlError } from "effect/sql"
import type { ColumnBatch } from "../../domain/arrow/ColumnBatch.ts"
import { addEvent, addRows, closesGroup, isFull, isWorthCommitting } from "../../domain/chain/Chunk.ts"
import type { Rows, TableEvent } from "../../domain/chain/TableEvent.ts"
import { MAX_CHUNK_BYTES } from "../../domain/ChunkSize.ts"
import type { EncodeError } from "../../domain/postgres/encode/encodeCopy.ts"
import type { ChunkTransactions, TableWriter, WriteError } from "../../services/TableSink.ts"
import { newBuffer } from "./CopyBuffers.ts"
import { lacksPartitions, makePartitions } from "./makePartitions.ts"
import { makeReadAhead } from "./ReadAhead.ts"
import { close, fail, flush, settle } from "./sendChunk.ts"
import { type WriteChunksOptions, WriterState } from "./WriterState.ts"

/** Bytes of frames that may wait while the table holds a permit. Measured: more costs garbage collection, and gains nothing. */
const READ_AHEAD_BYTES = 2 * 1024 * 1024
/** So many waiting bytes are worth a transaction behind a COMMIT that is not answered yet. */
const PIPELINE_BYTES = 1024 * 1024
/** How long a chunk of a backlog waits for more events: chunks become large, and latency does not matter there. */
const LINGER_MILLIS = 30
/** A chunk commits at this age, and a table gives its permit to others. */
const MAX_AGE_MILLIS = 1_000
/** Ranges of more blocks belong to a backlog: more are on the way, whatever waits right now. */
const LONG_RANGE_BLOCKS = 16n

/** Writes what `events` bring until they end; what came before a failure is committed before the failure is passed on. */
export const writeChunks = <R>(writer: TableWriter, options: WriteChunksOptions<R>) =>
<E, R2>(
  events: Stream.Stream<TableEvent<ColumnBatch>, E, R2>
): Effect.Effect<void, E | SqlError.SqlError | WriteError | EncodeError, R | R2> =>
  Effect.gen(function*() {
    const input = yield* makeReadAhead(events, sizeOf)
    const writing = new WriterState(writer, options, input, yield* Clock.Clock)
    let waitsSince = 0
    const write = Effect.gen(function*() {
      if (writing.beganAtMillis !== undefined) writing.waitedMillis += writing.nowMillis() - waitsSince
      yield* makePartitions(writing)
      // A permit is free again once a chunk of another table is committed.
      options.stages.enter("storage")
      yield* writeBacklog(writing).pipe(
        Effect.scoped,
        options.permits.withPermit,
        Effect.ensuring(Effect.sync(() => input.limit(0)))
      )
    })
    while (yield* takeWithoutRows(writing)) {
      options.stages.enter("storage")
      waitsSince = writing.nowMillis()
      yield* options.turn.write(write)
    }
    return yield* input.end
  }).pipe(Effect.scoped)

const sizeOf = (event: TableEvent<ColumnBatch>): number => (event._tag === "Rows" ? event.batch.sizeBytes : 0)

/** Takes events until there is something to write; false at the end. Needs neither permit nor connection. */
const takeWithoutRows = Effect.fnUntraced(function*<E, R>(writing: WriterState<E, R>) {
  const { input, options } = writing
  for (;;) {
    const event = input.peek()
    if (event === undefined) {
      if (isWorthCommitting(writing.chunk)) return true
      if (input.isEnded()) return false
      options.stages.enter("source")
      yield* Effect.raceFirst(input.arrival, Effect.andThen(options.whileIdle, Effect.never))
      options.stages.leave()
      continue
    }
    if (event._tag === "Rows" || closesGroup(writing.chunk, event)) return true
    const noted = takeEvent(writing, event)
    if (noted !== undefined) yield* noted
    if (writing.ageMillis() >= MAX_AGE_MILLIS) return true
  }
})

/** Adds an event without rows to the chunk. */
const takeEvent = <E, R>(writing: WriterState<E, R>, event: Exclude<TableEvent<ColumnBatch>, Rows<ColumnBatch>>) => {
  const noted = writing.options.onEvent(event)
  writing.times.received(writing.options.stages.leave())
  writing.chunk = addEvent(writing.chunk, event)
  if (isWorthCommitting(writing.chunk)) writing.begins()
  if (event._tag === "RangeStarted") {
    writing.cursor = undefined
    const { end, start } = event.range
    writing.isSettled = !event.endIsDeclared && end - start < LONG_RANGE_BLOCKS
  }
  if (event._tag === "Watermark") writing.isSettled = true
  writing.input.drop()
  return noted
}

/** Commits one chunk after the other on one connection for as long as there is a backlog. */
const writeBacklog = Effect.fnUntraced(function*<E, R>(writing: WriterState<E, R>) {
  const { input, options: { stages } } = writing
  const transactions = yield* writing.writer.transactions
  stages.leave()
  const until = writing.nowMillis() + MAX_AGE_MILLIS
  let committing: Fiber.Fiber<void, WriteError> | undefined
  const answered = Effect.suspend(() => (committing === undefined ? Effect.void : Fiber.join(committing)))
  // Where the transaction before this one failed, that is the cause.
  const behind = <A>(effect: Effect.Effect<A, WriteError, R>) =>
    Effect.catch(effect, (error) => Effect.andThen(answered, fail(writing, writing.chunk, writing.times, error)))
  const mayGoOn = () =>
    !(writing.nowMillis() >= until ? input.isShort() : input.isEmpty()) && !lacksPartitions(writing, input.peek())
  input.limit(READ_AHEAD_BYTES)
  do {
    const rejected = yield* behind(fill(writing, transactions))
    if (isWorthCommitting(writing.chunk)) {
      const { beganAtMillis, chunk, times, waitedMillis } = writing
      const outcome = yield* behind(close(writing, transactions))
      writing.next()
      yield* answered
      const began = (beganAtMillis ?? 0) + waitedMillis
      committing = yield* Effect.forkScoped(settle(writing, chunk, times, outcome, began))
    }
    if (rejected !== undefined) return yield* Effect.andThen(answered, Effect.fail(rejected))
    stages.enter("storage")
    // Nothing is opened behind an unanswered COMMIT but for a backlog: otherwise chunks would become crumbs.
    yield* transactions.mayOverlap ? Effect.raceFirst(answered, input.backlog(PIPELINE_BYTES)) : answered
    stages.leave()
    if (writing.nowMillis() >= until) input.limit(0)
  } while (mayGoOn())
  stages.enter("storage")
  yield* answered
  stages.leave()
})

/** Fills the chunk until it is to be committed; gives the row that could not be encoded, where one ended it. */
const fill = Effect.fnUntraced(function*<E, R>(
  writing: WriterState<E, R>,
  transactions: ChunkTransactions
): Effect.fn.Return<EncodeError | undefined, WriteError, R> {
  const { input, options } = writing
  for (;;) {
    const event = input.peek()
    if (event === undefined) {
      if (writing.chunk.rows === 0 || input.isEnded()) return undefined
      if (writing.isSettled && !options.isBacklog()) return undefined
      // What is encoded already must not wait for what is not here yet.
      yield* flush(writing, transactions)
      const began = writing.nowMillis()
      options.stages.enter("source")
      const left = Math.max(0, MAX_AGE_MILLIS - writing.ageMillis())
      yield* input.arrivesWithin(writing.isSettled ? Math.min(left, LINGER_MILLIS) : left)
      options.stages.leave()
      writing.waitedMillis += writing.nowMillis() - began
      if (writing.isSettled && input.isEmpty()) return undefined
    } else if (closesGroup(writing.chunk, event) || lacksPartitions(writing, event)) {
      return undefined
    } else if (event._tag === "Rows") {
      const rejected = yield* writeRows(writing, transactions, event)
      if (rejected !== undefined) return rejected
    } else {
      const noted = takeEvent(writing, event)
      if (noted !== undefined) yield* noted
    }
    const { rows } = Ref.getUnsafe(options.size)
    if (isFull(writing.chunk, rows, MAX_CHUNK_BYTES) || writing.ageMillis() >= MAX_AGE_MILLIS) return undefined
  }
})

/** Encodes rows of the event until they, or the rows a chunk may have, are used up. */
const writeRows = Effect.fnUntraced(function*<E, R>(
  writing: WriterState<E, R>,
  transactions: ChunkTransactions,
  event: Rows<ColumnBatch>
): Effect.fn.Return<EncodeError | undefined, WriteError, R> {
  const { input, options, writer } = writing
  if (writing.batch?.of !== event.batch) {
    const noted = options.onEvent(event)
    if (noted !== undefined) yield* noted
    const now = options.stages.enter("encode")
    writing.times.received(now)
    writing.times.encoding(now)
    const bound = writer.encoder.bind(event.batch)
    writing.times.encoded(options.stages.leave())
    if (bound._tag === "Failure") return bound.failure
    writing.batch = { bound: bound.success, of: event.batch }
    writing.from = 0
  }
  const { bound } = writing.batch
  const { rows: most } = Ref.getUnsafe(options.size)
  writing.begins()
  while (writing.from < event.batch.rows && !isFull(writing.chunk, most, MAX_CHUNK_BYTES)) {
    const buffer = (writing.buffer ??= options.buffers.take())
    const { cursor, from } = writing
    const to = Math.min(event.batch.rows, from + most - writing.chunk.rows)
    writing.times.encoding(options.stages.enter("encode"))
    const written = bound.write(buffer, buffer.end, { from, to, range: event.range, cursor })
    writing.times.encoded(options.stages.leave())
    if (written._tag === "Failure") return written.failure
    const { end, rows } = written.success
    if (rows > 0) {
      writing.cursor = written.success.cursor
      writing.chunk = addRows(writing.chunk, rows, end - buffer.end, writing.cursor?.position)
      writing.from += rows
      buffer.end = end
    } else if (buffer.end === 0) {
      const bytes = bound.bound(from, event.range)
      if (bytes._tag === "Failure") return bytes.failure
      options.buffers.release(buffer)
      writing.buffer = newBuffer(bytes.success)
      continue
    }
    if (writing.from < to) yield* flush(writing, transactions)
  }
  if (writing.from === event.batch.rows) {
    writing.batch = undefined
    input.drop()
  }
  return undefined
})
