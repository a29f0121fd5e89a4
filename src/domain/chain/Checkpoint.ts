/** The durable progress of one table: everything an attempt needs before it opens a stream. */
import type { History } from "./watermarks.ts"

/** Source: the rows of one table in `_ampsync_checkpoints` and `_ampsync_watermarks`. */
export interface Checkpoint {
  readonly network: string | undefined
  /** The first block ever received. */
  readonly origin: bigint | undefined
  /** Ascending; its last entry is the watermark. */
  readonly history: History
  /** The oldest watermark that was passed without verifying its hash. */
  readonly unverifiedFrom: bigint | undefined
}

/** The checkpoint of a table that has received nothing yet. */
export const emptyCheckpoint: Checkpoint = {
  network: undefined,
  origin: undefined,
  history: [],
  unverifiedFrom: undefined
}

/**
 * Returns the watermarks from the first unverified one on. Once all of them are canonical at the same time, none is in doubt.
 *
 * Returns none where the history may have been thinned since: watermarks that were dropped cannot be verified.
 */
export const watermarksInDoubt = ({ history, unverifiedFrom }: Checkpoint, retentionBlocks: number): History => {
  const newest = history.at(-1)
  if (unverifiedFrom === undefined || newest === undefined) return []
  const isWhole = newest.block - unverifiedFrom <= BigInt(retentionBlocks)
  const doubted = isWhole ? history.filter(({ block }) => block >= unverifiedFrom) : []
  return doubted[0]?.block === unverifiedFrom ? doubted : []
}
