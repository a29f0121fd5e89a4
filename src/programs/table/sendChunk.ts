/** The way of one chunk into the database: its transaction is opened, filled, committed, and its outcome reported. */
import { Effect, Ref } from "effect"
import type { Chunk } from "../../domain/chain/Chunk.ts"
import { afterCommit, afterFailure } from "../../domain/ChunkSize.ts"
import type { ChunkTransactions, Committed, WriteError } from "../../services/TableSink.ts"
import type { ChunkTimes } from "./ChunkTimes.ts"
import type { WriterState } from "./WriterState.ts"

/** Sends what is encoded, and opens the transaction before the first of it. */
export const flush = Effect.fnUntraced(function*<E, R>(writing: WriterState<E, R>, transactions: ChunkTransactions) {
  const { buffer, chunk, options } = writing
  if (buffer === undefined || buffer.end === 0) return
  const from = options.stages.enter("storage")
  writing.buffer = undefined
  if (!writing.isOpen) {
    writing.isOpen = true
    yield* transactions.open(chunk.deleteFrom)
  }
  yield* transactions.copy(buffer.bytes.subarray(0, buffer.end), () => options.buffers.release(buffer))
  writing.times.copied(from, options.stages.leave())
})

/** Sends the COMMIT; the effect that it gives waits for the outcome. */
export const close = Effect.fnUntraced(function*<E, R>(writing: WriterState<E, R>, transactions: ChunkTransactions) {
  const { options: { stages }, times } = writing
  yield* flush(writing, transactions)
  stages.enter("storage")
  const outcome = yield* transactions.close(writing.chunk)
  times.sent(stages.enter("storage"))
  return outcome
})

/** Waits for the outcome of a chunk whose time, without that of waiting for the source, counts from `beganAtMillis`. */
export const settle = <E, R>(
  writing: WriterState<E, R>,
  chunk: Chunk,
  times: ChunkTimes,
  outcome: Effect.Effect<Committed, WriteError>,
  beganAtMillis: number
): Effect.Effect<void, WriteError, R> =>
  Effect.gen(function*() {
    const committed = yield* Effect.catch(outcome, (error) => fail(writing, chunk, times, error))
    times.ended(writing.nowNanos())
    const elapsedMillis = writing.nowMillis() - beganAtMillis
    yield* Ref.update(writing.options.size, (size) => afterCommit(size, chunk.rows, elapsedMillis))
    yield* writing.options.onCommit(chunk, committed, elapsedMillis, times)
  })

/** The first failure of a writer is its last: reports what it means for `chunk`, and lets the next attempt take smaller steps. */
export const fail = Effect.fnUntraced(
  function*<E, R>(writing: WriterState<E, R>, chunk: Chunk, times: ChunkTimes, error: WriteError) {
    const { options, writer } = writing
    const explained = writer.explain(error, chunk)
    times.ended(writing.nowNanos())
    yield* Ref.update(options.size, afterFailure)
    yield* options.onFailure(chunk, explained, times)
    return yield* Effect.fail(explained)
  }
)
