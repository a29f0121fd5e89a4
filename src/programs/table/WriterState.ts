/** The state of the writing of one table between two events. */
import type { Clock, Effect, Ref } from "effect"
import type { ColumnBatch } from "../../domain/arrow/ColumnBatch.ts"
import { type Chunk, firstChunk, nextChunk } from "../../domain/chain/Chunk.ts"
import type { TableEvent } from "../../domain/chain/TableEvent.ts"
import type { ChunkSize } from "../../domain/ChunkSize.ts"
import { elapsedMillisOf } from "../../domain/elapsed.ts"
import type { RowCursor } from "../../domain/postgres/encode/encodeCopy.ts"
import type { BoundBatch } from "../../domain/postgres/encode/RowEncoder.ts"
import type { Committed, TableWriter, WriteError } from "../../services/TableSink.ts"
import { ChunkTimes } from "./ChunkTimes.ts"
import type { CopyBuffer, CopyBuffers } from "./CopyBuffers.ts"
import type { Permits } from "./Permits.ts"
import type { ReadAhead } from "./ReadAhead.ts"
import type { StageClock } from "./StageClock.ts"
import type { Turn } from "./Turn.ts"

export interface WriteChunksOptions<R> {
  /** Taken before a chunk opens, and kept until the last one is committed. */
  readonly turn: Pick<Turn, "write">
  /** One permit per chunk in flight, shared by all tables. */
  readonly permits: Pick<Permits, "withPermit">
  /** Rows a chunk should have, learnt from one chunk to the next. */
  readonly size: Ref.Ref<ChunkSize>
  readonly buffers: CopyBuffers
  readonly stages: StageClock
  /** Runs for each event, before it is written; undefined where there is nothing to wait for. */
  readonly onEvent: (event: TableEvent) => Effect.Effect<void, never, R> | undefined
  /** What came lately is a backlog: more of it is on its way, whatever waits right now. */
  readonly isBacklog: () => boolean
  /** Runs while nothing waits to be committed, and is interrupted by the next event. */
  readonly whileIdle: Effect.Effect<void, never, R>
  readonly onCommit: (
    chunk: Chunk,
    committed: Committed,
    elapsedMillis: number,
    times: ChunkTimes
  ) => Effect.Effect<void, never, R>
  readonly onFailure: (chunk: Chunk, error: WriteError, times: ChunkTimes) => Effect.Effect<void, never, R>
}

/** The open chunk, the position in the batch that is written, and the buffer that is filled. */
export class WriterState<E, R> {
  readonly writer: TableWriter
  readonly options: WriteChunksOptions<R>
  readonly input: ReadAhead<TableEvent<ColumnBatch>, E>
  chunk: Chunk
  times: ChunkTimes
  /** The transaction of the chunk is open. */
  isOpen = false
  /** Since when there is something to commit. */
  beganAtMillis: number | undefined
  /** Time the chunk waited for the source, and for the turn of its table. */
  waitedMillis = 0
  /** Nothing more is to be expected at once: the range is complete, or it is one of the tip. */
  isSettled = true
  /** Where in the current range the rows stand. */
  cursor: RowCursor | undefined
  /** The batch that is written, and how many of its rows are. */
  batch: { readonly bound: BoundBatch; readonly of: ColumnBatch } | undefined
  from = 0
  buffer: CopyBuffer | undefined
  /** When a partition that no row needs yet is tried again, of the monotonic clock. */
  partitionsAheadAfterMillis = 0
  readonly #clock: Clock.Clock

  constructor(
    writer: TableWriter,
    options: WriteChunksOptions<R>,
    input: ReadAhead<TableEvent<ColumnBatch>, E>,
    clock: Clock.Clock
  ) {
    this.writer = writer
    this.options = options
    this.input = input
    this.chunk = firstChunk(writer.checkpoint)
    this.times = new ChunkTimes(options.stages)
    this.#clock = clock
  }

  /** Of the monotonic clock. */
  nowMillis(): number {
    return elapsedMillisOf(this.#clock)
  }

  /** Of the monotonic clock. */
  nowNanos(): bigint {
    return this.#clock.monotonicTimeNanosUnsafe()
  }

  ageMillis(): number {
    return this.beganAtMillis === undefined ? 0 : this.nowMillis() - this.beganAtMillis
  }

  begins(): void {
    this.beganAtMillis ??= this.nowMillis()
  }

  next(): void {
    this.chunk = nextChunk(this.chunk)
    this.times = new ChunkTimes(this.options.stages)
    this.isOpen = false
    this.beganAtMillis = undefined
    this.waitedMillis = 0
  }
}
