import type { BlockRange } from "./BlockRange.ts"
import { firstRange } from "./firstRange.ts"
import type { Dialect, FollowState, Step, Verdict } from "./FollowState.ts"
import { advance, breach, formatRange, withWatermark } from "./FollowState.ts"
import { laterRange } from "./laterRange.ts"
import type { StreamMetadata } from "./StreamMetadata.ts"

export { startFollowing } from "./FollowState.ts"
export type { ChainEvent, Completed, FollowOptions, FollowState, Known, Rewind, Step, Verdict } from "./FollowState.ts"

/**
 * Follows the chain through the metadata of one message.
 *
 * Invariant I2: a `Rewind` is said only when the claim "from `start` on everything is replaced" is proved, by a stored hash
 * or because the server demonstrably knew our position and no stored hash contradicts it. Otherwise an older watermark is
 * asked, on a connection of its own.
 */
export const follow = (
  state: FollowState,
  metadata: StreamMetadata | undefined,
  rows: number,
  verdict?: Verdict
): Step => {
  if (metadata === undefined) {
    return rows === 0 ? advance(state, []) : breach("it sent rows without saying which blocks they belong to")
  }
  const [range, second] = metadata.ranges
  if (range === undefined) {
    // A table without data files yet: a promise of nothing, which must never become a watermark.
    return rows === 0 ? advance(state, []) : breach("it sent rows without a block range")
  }
  if (second !== undefined) {
    return breach(`it sent several ranges at once: ${named(range)} and ${named(second)}`)
  }
  if (state.network !== undefined && state.network !== range.network) {
    return breach(`it sent a range of network ${range.network}, this table is on ${state.network}`)
  }
  const dialect: Dialect = metadata.complete === undefined ? "nozzle" : "amp"
  if (dialect === "amp" && range.start > 0n && range.prevHash === undefined) {
    return breach(`it sent the range ${formatRange(range)} without the hash of the block before`)
  }
  const step = state.current !== undefined && same(state.current, range)
    ? again(state, range, rows)
    : state.current === undefined
    ? firstRange(state, range, dialect, verdict)
    : laterRange(state, state.current, range, dialect, verdict)
  return metadata.complete === true && step._tag === "Advance" && !step.state.complete ? completed(step, range) : step
}

/** One more message of the range in progress. */
const again = (state: FollowState, range: BlockRange, rows: number): Step =>
  state.complete && rows > 0
    ? breach(`it sent rows of the range ${formatRange(range)} after declaring it complete`)
    : advance(state, [])

const completed = (step: Extract<Step, { _tag: "Advance" }>, range: BlockRange): Step => ({
  ...step,
  completed: { range, state: { ...withWatermark(step.state, range), complete: true } }
})

const same = (a: BlockRange, b: BlockRange): boolean =>
  a.start === b.start && a.end === b.end && a.hash === b.hash && a.prevHash === b.prevHash && a.network === b.network

const named = (range: BlockRange): string => `${formatRange(range)} of network ${range.network}`
