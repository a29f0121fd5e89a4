/** Makes the partitions of a table between two chunks, before the rows that need them are written. */
import { Effect } from "effect"
import type { ColumnBatch } from "../../domain/arrow/ColumnBatch.ts"
import type { TableEvent } from "../../domain/chain/TableEvent.ts"
import * as log from "../../domain/logLines.ts"
import { MANY_PARTITIONS } from "../../domain/postgres/table/partitions.ts"
import type { WriteError } from "../../services/TableSink.ts"
import { fail } from "./sendChunk.ts"
import type { WriterState } from "./WriterState.ts"

/** Until the next attempt at a partition that no row needs yet. */
const AHEAD_RETRY_MILLIS = 60_000

/** Whether `event` has rows for which partitions are to be made first. A COPY that is open would not find them. */
export const lacksPartitions = <E, R>(
  writing: WriterState<E, R>,
  event: TableEvent<ColumnBatch> | undefined
): boolean => {
  const { partitions } = writing.writer
  if (partitions === undefined || event?._tag !== "Rows" || partitions.isReady(event.range)) return false
  return !partitions.covers(event.range) || writing.nowMillis() >= writing.partitionsAheadAfterMillis
}

/** Makes the partitions that the next event lacks. Needs a connection of the pool, so none may be held. */
export const makePartitions = Effect.fnUntraced(function*<E, R>(
  writing: WriterState<E, R>
): Effect.fn.Return<void, WriteError, R> {
  const { input, options: { stages }, writer: { partitions } } = writing
  const event = input.peek()
  if (partitions === undefined || event?._tag !== "Rows" || !lacksPartitions(writing, event)) return
  stages.enter("storage")
  const { aheadFailure, lastBlock, made, total } = yield* Effect.catch(
    partitions.make(event.range),
    (error) => fail(writing, writing.chunk, writing.times, error)
  )
  stages.leave()
  const { table } = partitions
  if (made.length > 0) {
    yield* Effect.logInfo(log.partitionsMade(table, made.length, made[0]!.from, made.at(-1)!.to - 1n))
    if (total > MANY_PARTITIONS && total - made.length <= MANY_PARTITIONS) {
      yield* Effect.logWarning(log.manyPartitions(table, total))
    }
  }
  if (aheadFailure === undefined) return
  writing.partitionsAheadAfterMillis = writing.nowMillis() + AHEAD_RETRY_MILLIS
  yield* Effect.logWarning(log.partitionNotMade(table, lastBlock, aheadFailure, AHEAD_RETRY_MILLIS / 1_000))
})
