import { cursorOf, prove, refute, restart } from "./approach.ts"
import type { BlockRange } from "./BlockRange.ts"
import type { Dialect, FollowState, Step, Verdict } from "./FollowState.ts"
import { begin, beginAgain, passedUnverified, reconnect, rewindTo, verify, wrongParent } from "./FollowState.ts"
import type { Watermark } from "./watermarks.ts"
import { newestBelow } from "./watermarks.ts"

/** The first range of a connection: does it continue from the cursor that was sent? */
export const firstRange = (
  state: FollowState,
  range: BlockRange,
  dialect: Dialect,
  verdict: Verdict | undefined
): Step => {
  const cursor = cursorOf(state.approach, state.history)
  if (cursor === undefined) return beginAgain(state, range)
  if (range.start <= (state.origin ?? 0n)) {
    return reset(state, `asked for what follows block ${cursor.block}, it began again at block ${range.start}`)
  }
  if (range.start <= cursor.block) return replacing(state, range, cursor, dialect)
  if (range.prevHash === cursor.hash) return proved(state, range, cursor)
  if (dialect === "amp") return wrongParent(range, cursor)
  if (range.prevHash !== undefined && range.start === cursor.block + 1n) return doubt(state, range, cursor)
  // Microbatches without rows are invisible in this dialect: a gap proves nothing, and a reorg may hide in it.
  if (verdict === undefined) return verify(cursor)
  if (verdict === "canonical") return proved(state, range, cursor)
  return verdict === "orphaned" ? doubt(state, range, cursor) : unknown(state, range, cursor)
}

/**
 * The range begins at or below the cursor. Invariant I2: only a stored hash that it names as its parent proves from where on.
 *
 * That the server walked back from our hash proves what it replaces, not what it leaves: a walk that meets an orphan which
 * the server has lost ends there, above the fork, and nozzle ranges without rows may have gone before, unseen. So the
 * entry below is asked on a connection of its own, which costs a part of one stored range, once.
 */
const replacing = (state: FollowState, range: BlockRange, cursor: Watermark, dialect: Dialect): Step => {
  const below = newestBelow(state.history, range.start)
  if (below !== undefined && below.hash === range.prevHash) return rewindTo(state, range, below)
  const knew = range.start < cursor.block
  if (below !== undefined) {
    const contradicted = below.block === range.start - 1n && range.prevHash !== undefined
    if (contradicted) return doubt(state, range, below)
    return doubt(state, range, state.history.find((entry) => entry.block >= range.start)!, knew)
  }
  if (!knew) return doubt(state, range, cursor)
  if (dialect === "amp") {
    return reconnect(
      restart(state.history),
      `it replaced blocks of our first range from ${range.start} on; asking for all of it`
    )
  }
  if (state.options.rangeMode || range.prevHash === undefined) {
    return reset(state, `it replaced blocks of our first range, from ${range.start} on`)
  }
  // Nothing older can be asked: go on from the parent it names, and say that the blocks below were not checked.
  const target = { block: range.start - 1n, hash: range.prevHash }
  return flagged(rewindTo(state, range, target), target.block)
}

/** The entry we asked from is canonical: go on from it, unless a newer one may be canonical too. */
const proved = (state: FollowState, range: BlockRange, cursor: Watermark): Step => {
  if (state.approach.kind === "resume") return begin(state, range, [])
  const next = prove(state.approach, state.history)
  return next === undefined
    ? rewindTo(state, range, cursor)
    : reconnect(next, `block ${cursor.block} is canonical; looking for the newest block that is`)
}

/** Nobody can say whether the cursor is canonical: go on and say so, unless an older entry is known to be. */
const unknown = (state: FollowState, range: BlockRange, cursor: Watermark): Step => {
  if (state.approach.kind === "resume") return begin(passedUnverified(state, cursor.block), range, [])
  const known = state.approach.kind === "probe" && state.approach.proved !== undefined
  return known ? doubt(state, range, cursor) : flagged(rewindTo(state, range, cursor), cursor.block)
}

const flagged = (step: Step, block: bigint): Step =>
  step._tag === "Advance" ? { ...step, state: passedUnverified(step.state, block) } : step

/** `refuted` and what is newer is not canonical, and nothing proves what is: ask from an older entry. */
const doubt = (state: FollowState, range: BlockRange, refuted: Watermark, near = false): Step => {
  const next = refute(state.approach, state.history, refuted, near)
  return next === undefined
    ? reset(state, `not even block ${state.history[0]?.block}, the oldest one we remember, is in its chain`)
    : reconnect(next, `it replaced blocks from ${range.start} on without proof; asking from an older block`)
}

/** Our chain and the server's seem to have nothing in common. */
const reset = (state: FollowState, reason: string): Step => {
  const watermark = state.history.at(-1)?.block ?? 0n
  const depth = watermark - (state.origin ?? 0n)
  const resets = state.approach.kind === "restart" ? 0 : state.approach.resets
  // Once may be a header lost on the way; a second fresh connection that says the same is believed.
  if (resets < 1) return reconnect({ kind: "resume", resets: resets + 1 }, reason)
  if (state.options.onChainReset === "resync" || depth < BigInt(state.options.retentionBlocks)) {
    return reconnect(restart(state.history), `${reason}; starting again from the first block`)
  }
  return {
    _tag: "AnotherChain",
    reason:
      `the server has another chain than the one stored up to block ${watermark}, or ignores the resume header: ${reason}; ` +
      "ON_CHAIN_RESET=resync rebuilds the table from the server's chain"
  }
}
