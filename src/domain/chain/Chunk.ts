/** What one transaction will do (delete, copy, record), collected while its rows arrive. It holds counts and positions, no rows. */
import type { BlockRange } from "./BlockRange.ts"
import type { Checkpoint } from "./Checkpoint.ts"
import type { Reorg, RowBatch, Rows, TableEvent } from "./TableEvent.ts"
import type { Watermark } from "./watermarks.ts"
import { isSameWatermark } from "./watermarks.ts"

/** One entry of the reorg log. */
export interface ReorgRecord {
  readonly firstBlock: bigint
  /** The newest block known before, where one was. */
  readonly replaced: Watermark | undefined
  /** Hash of the last block of the range that replaced it; undefined where an operator removed it, to be read again. */
  readonly newHash: string | undefined
}

/** Blocks that a reorg replaced; 0 where none was known before. */
export const reorgDepth = ({ firstBlock, replaced }: ReorgRecord): bigint =>
  replaced === undefined ? 0n : replaced.block - firstBlock + 1n

/** The content of one transaction on a table. */
export interface Chunk {
  /** Rows at and above this block are deleted first; "all" deletes every row, undefined none. */
  readonly deleteFrom: bigint | "all" | undefined
  readonly reorgs: ReadonlyArray<ReorgRecord>
  readonly rows: number
  /** Bytes of COPY data. */
  readonly sizeBytes: number
  /** Rows of this chunk above the watermark it ends with. */
  readonly provisionalRows: number
  /** The position of its last row. */
  readonly highestRow: bigint | undefined
  /** First and last block of the ranges in this chunk. */
  readonly firstBlock: bigint | undefined
  readonly lastBlock: bigint | undefined
  /** The range that rows added now belong to. */
  readonly range: BlockRange | undefined
  /** What was durable before, and what is durable once this chunk is committed. */
  readonly before: Checkpoint
  readonly checkpoint: Checkpoint
  /** The newest complete range in it. */
  readonly completed: BlockRange | undefined
}

/** An empty chunk after `checkpoint` became durable. */
export const emptyChunk = (checkpoint: Checkpoint, deleteFrom?: bigint | "all"): Chunk => ({
  deleteFrom,
  reorgs: [],
  rows: 0,
  sizeBytes: 0,
  provisionalRows: 0,
  highestRow: undefined,
  firstBlock: undefined,
  lastBlock: undefined,
  range: undefined,
  before: checkpoint,
  checkpoint,
  completed: undefined
})

/** An empty chunk after `chunk` became durable; a range may continue from one chunk to the next. */
export const nextChunk = (chunk: Chunk): Chunk => ({ ...emptyChunk(chunk.checkpoint), range: chunk.range })

/**
 * The first chunk of a connection. It carries the deferred deletion of everything above the watermark, because the server
 * delivers those rows again.
 */
export const firstChunk = (checkpoint: Checkpoint): Chunk => {
  const watermark = checkpoint.history.at(-1)
  return emptyChunk(checkpoint, watermark === undefined ? "all" : watermark.block + 1n)
}

/** Whether the chunk has reached `rows` rows or `sizeBytes` bytes. */
export const isFull = (chunk: Chunk, rows: number, sizeBytes: number): boolean =>
  chunk.rows >= rows || chunk.sizeBytes >= sizeBytes

/** Whether there is something to commit. A deletion alone waits for the rows after it, so that readers never see a gap. */
export const isWorthCommitting = (chunk: Chunk): boolean =>
  chunk.rows > 0 || (chunk.completed !== undefined && (chunk.reorgs.length > 0 || watermarkMoves(chunk)))

const watermarkMoves = ({ before, checkpoint }: Chunk): boolean =>
  !isSameWatermark(before.history.at(-1), checkpoint.history.at(-1))

/** Whether `event` must not share a transaction with the present content of `chunk`. */
export const closesGroup = (chunk: Chunk, event: TableEvent): boolean =>
  event._tag === "Reorg" && isWorthCommitting(chunk)

/** Adds `rows` rows of the range in progress, written as `sizeBytes` bytes, the last one at position `highestRow`. */
export const addRows = (chunk: Chunk, rows: number, sizeBytes: number, highestRow: bigint | undefined): Chunk => ({
  ...chunk,
  highestRow,
  firstBlock: chunk.firstBlock ?? chunk.range?.start,
  lastBlock: chunk.lastBlock ?? chunk.range?.end,
  rows: chunk.rows + rows,
  provisionalRows: chunk.provisionalRows + rows,
  sizeBytes: chunk.sizeBytes + sizeBytes
})

/** Adds an event that carries no rows. */
export const addEvent = (chunk: Chunk, event: Exclude<TableEvent, Rows<RowBatch>>): Chunk => {
  switch (event._tag) {
    case "RangeStarted":
      return {
        ...chunk,
        checkpoint: event.checkpoint,
        range: event.range,
        firstBlock: chunk.firstBlock ?? event.range.start,
        lastBlock: event.range.end
      }
    case "Watermark":
      return {
        ...chunk,
        checkpoint: event.checkpoint,
        provisionalRows: 0,
        completed: event.range,
        firstBlock: chunk.firstBlock ?? event.range.start,
        lastBlock: chunk.lastBlock ?? event.range.end
      }
    case "Reorg":
      return {
        ...chunk,
        checkpoint: event.checkpoint,
        completed: undefined,
        firstBlock: undefined,
        lastBlock: undefined,
        deleteFrom: lower(chunk.deleteFrom, event.deleteFrom ?? "all"),
        reorgs: [...chunk.reorgs, recordOf(event)]
      }
  }
}

const lower = (a: Chunk["deleteFrom"], b: bigint | "all"): bigint | "all" =>
  a === "all" || b === "all" ? "all" : a === undefined || b < a ? b : a

const recordOf = ({ deleteFrom, range, replaced }: Reorg): ReorgRecord => ({
  firstBlock: deleteFrom ?? range.start,
  replaced,
  newHash: range.hash
})
