/** The ranges of a stream: where it resumes, and its next range. */
import type { BlockId } from "./BlockSource.ts"
import type { Chain } from "./Chain.ts"
import { blockAt } from "./forks.ts"

/** The last block that a reader has completely received. */
export interface StreamPosition {
  readonly number: bigint
  /** `0x` and 64 lower-case digits. */
  readonly hash: string
}

/**
 * The first block of a stream that resumes, whether or not it exists yet.
 *
 * Without a position: `origin`. After a canonical one: the next block. After an orphaned one that is remembered: the lowest
 * orphaned block of its branch. After an unknown one: that very number. The same rule holds at the start of a
 * connection and between two ranges of it.
 */
const nextStart = (chain: Chain, origin: bigint, position: StreamPosition | undefined): bigint => {
  if (position === undefined) return origin
  const block = chain.find(position.number, position.hash)
  if (block === undefined) return position.number
  if (chain.isCanonical(block)) return position.number + 1n
  return lowestOrphan(chain, origin, block).number
}

const lowestOrphan = (chain: Chain, origin: bigint, orphan: BlockId): BlockId => {
  let lowest = orphan
  for (;;) {
    const parent = chain.parentOf(lowest)
    if (parent === undefined || parent.number < origin) return lowest
    if (chain.isCanonical(parent) || !chain.remembers(parent)) return lowest
    lowest = parent
  }
}

/** A range that is about to be streamed. */
export interface NextRange {
  readonly start: bigint
  readonly end: bigint
  /** Hash of the block before `start`; the zero hash for block 0. */
  readonly prevHash: string
  readonly hash: string
  readonly timestampSeconds: number
}

/**
 * The next range of at most `maxBlocks` blocks; none while the chain does not reach its start.
 *
 * After a position below `origin` there is never one: the server waits for a block that its tables do not contain.
 */
export const nextRange = (
  chain: Chain,
  origin: bigint,
  maxBlocks: number,
  position: StreamPosition | undefined
): NextRange | undefined => {
  if (position !== undefined && position.number < origin) return undefined
  const start = nextStart(chain, origin, position)
  const limit = start + BigInt(maxBlocks) - 1n
  const end = chain.tip < limit ? chain.tip : limit
  const first = blockAt(chain.view, start)
  const last = blockAt(chain.view, end)
  if (first === undefined || last === undefined || end < start) return undefined
  return {
    start,
    end,
    prevHash: chain.parentHashOf(first),
    hash: chain.hashOf(last),
    timestampSeconds: chain.timestampSecondsOf(last)
  }
}
