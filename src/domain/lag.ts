/** How far a table is, and how far behind its source. */
import { isAtTip } from "./TablePhase.ts"
import type { TableStatus } from "./TableStatus.ts"

/**
 * The block up to which rows are committed, complete or not; undefined before the first. A range may be as long as the chain, so
 * that its end counts only once all that the source has is committed.
 */
export const committedBlock = (status: TableStatus): bigint | undefined => {
  const { lastBlock, lastRow, watermark } = status
  const last = isAtTip(status) ? lastBlock : lastRow
  return last === undefined || (watermark !== undefined && watermark > last) ? watermark : last
}

/**
 * Blocks between what is committed and the newest one that has its confirmations, which is the source's head where none are
 * needed; undefined where the head is not known, or where it is that of a chain that lacks what is committed.
 */
export const lagBlocks = (status: TableStatus): bigint | undefined => {
  const { confirmations, sourceHead } = status
  if (sourceHead === undefined || status.sourceBehindSinceMillis !== undefined) return undefined
  const committed = committedBlock(status) ?? -1n
  const newest = sourceHead.block - BigInt(confirmations)
  return newest > committed ? newest - committed : 0n
}

/**
 * Seconds between the times of the table's watermark and of the newest block that has its confirmations, at the mean pace of
 * the blocks between the watermark and the source's head; undefined as `lagBlocks`, and where one of their times is not
 * known.
 */
export const lagSeconds = (status: TableStatus): number | undefined => {
  const lag = lagBlocks(status)
  if (lag === undefined) return undefined
  if (lag === 0n) return 0
  const { confirmations, sourceHead, watermark, watermarkAtSeconds } = status
  if (sourceHead?.atSeconds === undefined || watermarkAtSeconds === undefined || watermark === undefined) {
    return undefined
  }
  const seconds = Math.max(0, sourceHead.atSeconds - watermarkAtSeconds)
  const blocks = Number(sourceHead.block - watermark)
  return confirmations === 0 || blocks <= 0 ? seconds : seconds * Math.max(0, blocks - confirmations) / blocks
}
