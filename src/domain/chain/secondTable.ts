/** Decides whether the rows of a second table may take the place of those of a table, and which blocks that changes. */
import type { Checkpoint } from "./Checkpoint.ts"
import { type History, newestBelow } from "./watermarks.ts"

/** Why the second table cannot take the place of the first one yet; undefined where it can. */
export const notReached = (first: Checkpoint, second: Checkpoint): string | undefined => {
  const [wanted, reached] = [first.history.at(-1), second.history.at(-1)]
  if (wanted === undefined) return undefined
  if (reached === undefined || reached.block < wanted.block) {
    return `the second table is complete up to ${
      reached === undefined ? "no block" : `block ${reached.block}`
    }, and the table ` +
      `up to block ${wanted.block}`
  }
  const other = second.history.find(({ block }) => block === wanted.block)
  return other === undefined || other.hash === wanted.hash
    ? undefined
    : `the two tables hold different blocks ${wanted.block}: one of them has not followed a reorg yet`
}

/**
 * The first complete block of a table whose rows change when those of a second one take their place; undefined where none
 * does. `firstPosition` is the lowest position at which their rows differ; with `rangeMode` it is the end of a range.
 */
export const firstReplaced = (
  first: Checkpoint,
  second: Checkpoint,
  firstPosition: bigint | undefined,
  rangeMode: boolean
): bigint | undefined => {
  const watermark = first.history.at(-1)
  if (watermark === undefined) return undefined
  const origin = lowest(first.origin ?? 0n, second.origin)
  const afterCommon = (block: bigint, histories: ReadonlyArray<History>) =>
    histories.map((history) => newestBelow(history, block)?.block).reduce<bigint>(
      (lowestStart, common) => lowest(lowestStart, common === undefined ? origin : common + 1n),
      block
    )
  const byRows = firstPosition === undefined
    ? undefined
    : rangeMode
    ? afterCommon(firstPosition, [first.history, second.history])
    : firstPosition
  const conflict = firstConflict(first.history, second.history)
  const byHash = conflict === undefined ? undefined : afterCommon(conflict, [
    first.history.filter(({ block, hash }) =>
      second.history.some((other) => other.block === block && other.hash === hash)
    )
  ])
  const changed = byRows === undefined ? byHash : lowest(byRows, byHash)
  return changed === undefined || changed > watermark.block ? undefined : changed
}

/**
 * The checkpoint of a second table in the place of that of the first one, with the watermarks of both up to the newest that they
 * have in common: a reorg then rewinds no deeper than before.
 *
 * With `rangeMode` it has those of the second table alone: rows carry the end of its ranges, and end at no other block.
 */
export const joined = (first: Checkpoint, second: Checkpoint, rangeMode: boolean): Checkpoint => {
  const own = new Map(second.history.map(({ block, hash }) => [block, hash]))
  const common = first.history.findLast(({ block, hash }) => own.get(block) === hash)
  if (rangeMode || common === undefined) return second
  const older = first.history.filter(({ block }) => block < common.block && !own.has(block))
  return { ...second, history: [...older, ...second.history].toSorted((a, b) => (a.block < b.block ? -1 : 1)) }
}

/** The lowest block that both recorded with different hashes. */
const firstConflict = (first: History, second: History): bigint | undefined => {
  const hashes = new Map(second.map(({ block, hash }) => [block, hash]))
  return first.find(({ block, hash }) => (hashes.get(block) ?? hash) !== hash)?.block
}

const lowest = (a: bigint, b: bigint | undefined): bigint => (b === undefined || a < b ? a : b)
