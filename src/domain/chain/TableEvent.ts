/** The events of one table's stream after the chain rules have been applied to it. */
import type { BlockRange } from "./BlockRange.ts"
import type { Checkpoint } from "./Checkpoint.ts"
import type { Watermark } from "./watermarks.ts"

/** What the chain rules need to know of a record batch. */
export interface RowBatch {
  readonly rows: number
}

/** Rows at and above a block are replaced, beginning with those of `range`. */
export interface Reorg {
  readonly _tag: "Reorg"
  /** Rows at and above this block are deleted; all rows where it is absent. */
  readonly deleteFrom: bigint | undefined
  /** The watermark afterwards. */
  readonly watermark: Watermark | undefined
  /** The newest block known before. */
  readonly replaced: Watermark | undefined
  readonly range: BlockRange
  readonly checkpoint: Checkpoint
}

/** The rows that follow belong to this range. */
export interface RangeStarted {
  readonly _tag: "RangeStarted"
  readonly range: BlockRange
  readonly checkpoint: Checkpoint
  /** A message of its own declares the range complete (amp); otherwise only the next range shows it (nozzle). */
  readonly endIsDeclared: boolean
}

/** Every row up to the end of this range was received. */
export interface RangeCompleted {
  readonly _tag: "Watermark"
  readonly range: BlockRange
  readonly checkpoint: Checkpoint
}

/** Rows of a range. */
export interface Rows<Batch extends RowBatch> {
  readonly _tag: "Rows"
  readonly batch: Batch
  readonly range: BlockRange
}

/** `checkpoint` is what is durable once everything up to this event is committed. */
export type TableEvent<Batch extends RowBatch = RowBatch> = Reorg | RangeStarted | Rows<Batch> | RangeCompleted
