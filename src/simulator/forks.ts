/**
 * Chains as lists of segments: which fork holds which numbers. A million blocks are one segment, a reorg adds one.
 */
import type { BlockId } from "./BlockSource.ts"

/** From block `start` on, until the next segment begins, the blocks are those of `fork`. */
export interface Segment {
  readonly start: bigint
  readonly fork: number
}

/** A snapshot of one chain; it never changes, so a reader may keep it while the chain grows. */
export interface ChainView {
  readonly segments: ReadonlyArray<Segment>
  /** Number of the last block; -1 for a chain without blocks. */
  readonly tip: bigint
}

/** The block of `view` at `number`; none beyond the tip. */
export const blockAt = (view: ChainView, number: bigint): BlockId | undefined => {
  if (number < 0n || number > view.tip) return undefined
  let low = 0
  let high = view.segments.length - 1
  while (low < high) {
    const middle = (low + high + 1) >>> 1
    if (view.segments[middle]!.start <= number) low = middle
    else high = middle - 1
  }
  return { fork: view.segments[low]!.fork, number }
}

/** Whether `block` is part of `view`. */
export const contains = (view: ChainView, block: BlockId): boolean => blockAt(view, block.number)?.fork === block.fork

/** `view` with everything from `start` on replaced by blocks of `fork`, up to `tip`. */
export const replaceFrom = (view: ChainView, start: bigint, fork: number, tip: bigint): ChainView => ({
  segments: [...view.segments.filter((segment) => segment.start < start), { start, fork }],
  tip
})

/** The first number at which the two chains have different blocks; beyond both tips when there is none. */
export const divergence = (a: ChainView, b: ChainView): bigint => {
  const shorter = a.tip < b.tip ? a.tip : b.tip
  for (let i = 0; i < Math.max(a.segments.length, b.segments.length); i += 1) {
    const left = a.segments[i]
    const right = b.segments[i]
    if (left !== undefined && right !== undefined && left.start === right.start && left.fork === right.fork) continue
    const starts = [left, right].flatMap((segment) => segment === undefined ? [] : [segment.start])
    const first = starts.reduce((least, start) => start < least ? start : least)
    return first <= shorter ? first : shorter + 1n
  }
  return shorter + 1n
}
