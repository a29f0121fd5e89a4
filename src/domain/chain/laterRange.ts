import type { BlockRange } from "./BlockRange.ts"
import type { Dialect, FollowState, Step, Verdict } from "./FollowState.ts"
import {
  begin,
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

/** A range after another one on the same connection. */
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

/** The plain successor: the range before it is complete, said (amp) or by this very fact (nozzle). */
const successor = (state: FollowState, current: BlockRange, range: BlockRange): Step =>
  state.complete
    ? begin(state, range, [])
    : begin(withWatermark(state, current), range, [{ _tag: "Watermark", range: current }])

/**
 * A range that replaces blocks received on this connection; it completes nothing.
 *
 * Invariant I2: it is accepted by a stored hash that it names as its parent. In amp also by the connection: every range of it
 * was seen, and blocks that were canonical a moment ago are not lost yet, so the server walked back to the fork itself and
 * the stored range is split there. In nozzle ranges without rows go by unseen, with reorgs of their own, so what
 * lies between our newest entry below and `range` is anybody's guess, provisional rows included: ask again.
 */
const replacing = (state: FollowState, current: BlockRange, range: BlockRange, dialect: Dialect): Step => {
  if (dialect === "amp" && range.prevHash === current.hash) {
    return violation(`it went back to block ${range.start} naming the end of ${formatRange(current)} as its parent`)
  }
  const below = newestBelow(state.history, range.start)
  if (below !== undefined && below.hash === range.prevHash) return rewindTo(state, range, below)
  const contradicted = below?.block === range.start - 1n
  // A server that lost our block begins again exactly there, and knows nothing of what lies below.
  const knewUs = dialect === "amp" && range.start !== current.end
  const splits = knewUs && !state.options.rangeMode && range.start > (state.origin ?? 0n) && !contradicted
  if (!splits || range.prevHash === undefined) {
    return reconnect(
      resume,
      `the server replaced blocks from ${range.start} on, and no stored hash confirms where the chains meet`
    )
  }
  return rewindTo(state, range, { block: range.start - 1n, hash: range.prevHash })
}
