import type { Dialect } from "../manifest/Dataset.ts"
import type { BlockRange } from "./BlockRange.ts"
import type { FollowState, Step, Verdict } from "./FollowState.ts"
import {
  beginRange,
  formatRange,
  passedUnverified,
  reconnect,
  rewindTo,
  verify,
  violation,
  withWatermark,
  wrongParent
} from "./FollowState.ts"
import { resume } from "./resumeStrategy.ts"
import type { Watermark } from "./watermarks.ts"
import { newestBelow } from "./watermarks.ts"

/** Follows a range that comes after another one on the same connection. */
export const laterRange = (
  state: FollowState,
  current: BlockRange,
  range: BlockRange,
  dialect: Dialect,
  verdict: Verdict | undefined
): Step => {
  if (dialect === "amp" && !state.complete) {
    return violation(`it began the range ${formatRange(range)} before completing ${formatRange(current)}`)
  }
  if (range.start <= current.end) return replacing(state, current, range, dialect)
  const end: Watermark = { block: current.end, hash: current.hash }
  if (range.prevHash === current.hash) return successor(state, current, range)
  if (dialect === "amp") return wrongParent(range, end)
  if (range.prevHash !== undefined && range.start === current.end + 1n) {
    return reconnect(resume, `block ${range.start} does not follow the block ${current.end} received before it`)
  }
  if (verdict === undefined) return verify(end)
  if (verdict === "orphaned") return reconnect(resume, `block ${current.end} is no longer canonical`)
  return successor(verdict === "unknown" ? passedUnverified(state, current.end) : state, current, range)
}

/** The plain successor: the range before it is complete, either declared so (amp) or because a successor came (nozzle). */
const successor = (state: FollowState, current: BlockRange, range: BlockRange): Step =>
  state.complete
    ? beginRange(state, range, [])
    : beginRange(withWatermark(state, current), range, [{ _tag: "Watermark", range: current }])

/**
 * A range that replaces blocks received on this connection; it completes nothing.
 *
 * Invariant I2: it is accepted if it names a stored hash as its parent. From an amp server also without one: it sent every
 * range of this connection, and still has blocks that were canonical a moment ago, so it walked back to the fork itself and
 * the stored range is split there. A nozzle server does not send ranges without rows, nor their reorgs, so nothing is known of
 * the blocks between the newest entry below and `range`, provisional rows included: reconnect.
 */
const replacing = (state: FollowState, current: BlockRange, range: BlockRange, dialect: Dialect): Step => {
  if (dialect === "amp" && range.prevHash === current.hash) {
    return violation(`it went back to block ${range.start} naming the end of ${formatRange(current)} as its parent`)
  }
  const below = newestBelow(state.history, range.start)
  if (below !== undefined && below.hash === range.prevHash) return rewindTo(state, range, below)
  const contradicted = below?.block === range.start - 1n
  // A server that lost the newest block begins again exactly there, without comparing any block below.
  const knewCurrent = dialect === "amp" && range.start !== current.end
  const splits = knewCurrent && !state.options.rangeMode && range.start > (state.origin ?? 0n) && !contradicted
  if (!splits || range.prevHash === undefined) {
    return reconnect(
      resume,
      `the server replaced blocks from ${range.start} on, and no stored hash confirms where the chains meet`
    )
  }
  return rewindTo(state, range, { block: range.start - 1n, hash: range.prevHash })
}
