/** Decides whether a table makes progress, which resets the count of its failed attempts. */
import type { Chunk } from "./Chunk.ts"
import type { Watermark } from "./watermarks.ts"
import { isSameWatermark } from "./watermarks.ts"

/** How far a table got, over all attempts. */
export interface Progress {
  readonly watermark: Watermark | undefined
  /** The highest position of a committed row. */
  readonly highestRow: bigint | undefined
}

/**
 * The progress after a commit. It is progress when the watermark moved, or when a row higher than any before is durable.
 * Provisional rows that the next attempt deletes and receives again do not count: a stream that breaks in the middle of every
 * range makes none.
 */
export const advanceProgress = (
  { highestRow, watermark }: Progress,
  chunk: Chunk
): { readonly progress: Progress; readonly isProgress: boolean } => {
  const next = chunk.checkpoint.history.at(-1)
  const isHigher = chunk.highestRow !== undefined && (highestRow === undefined || chunk.highestRow > highestRow)
  const isMoved = !isSameWatermark(watermark, next)
  // A reorg replaces the highest rows by lower ones.
  const highest = isHigher || chunk.reorgs.length > 0 ? chunk.highestRow : highestRow
  return { progress: { watermark: next, highestRow: highest }, isProgress: isMoved || isHigher }
}
