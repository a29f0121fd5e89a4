import type { BlockRange } from "./BlockRange.ts"
import type { ChainMismatch, Dialect, FollowState, ReconnectFrom, Step, Verdict } from "./FollowState.ts"
import { begin, beginAgain, passedUnverified, reconnect, rewindTo, verify, wrongParent } from "./FollowState.ts"
import { acceptCandidate, cursorOf, rejectCandidate, restart, skipCandidate } from "./resumeStrategy.ts"
import type { Watermark } from "./watermarks.ts"
import { newestBelow } from "./watermarks.ts"

/** The first range of a connection: does it continue from the cursor that was sent? */
export const firstRange = (
  state: FollowState,
  range: BlockRange,
  dialect: Dialect,
  verdict: Verdict | undefined
): Step => {
  const cursor = cursorOf(state.strategy, state.history)
  if (cursor === undefined) return losesBlocks(state, range, dialect) ?? beginAgain(state, range)
  if (range.start <= (state.origin ?? 0n)) {
    return reset(state, `asked for what follows block ${cursor.block}, it began again at block ${range.start}`)
  }
  if (range.start <= cursor.block) return replacing(state, range, cursor)
  if (range.prevHash === cursor.hash) return accepted(state, range, cursor)
  if (dialect === "amp") return wrongParent(range, cursor)
  if (range.prevHash !== undefined && range.start === cursor.block + 1n) return doubt(state, range, cursor)
  // Microbatches without rows are invisible in this dialect: a gap proves nothing, and a reorg may hide in it.
  if (verdict === undefined) return verify(cursor)
  if (verdict === "canonical") return accepted(state, range, cursor)
  return verdict === "orphaned" ? doubt(state, range, cursor) : unknown(state, range, cursor)
}

/**
 * Everything is to be replaced, but the server's first block is above ours: what it no longer has would be gone for ever.
 * A nozzle server sends no range without rows, so that its first one tells nothing of its first block.
 */
const losesBlocks = (state: FollowState, range: BlockRange, dialect: Dialect): Step | undefined => {
  const { history, options, origin = 0n } = state
  const isLoss = dialect === "amp" && history.length > 0 && range.start > origin && options.onChainReset === "park"
  return isLoss
    ? {
      _tag: "ChainMismatch",
      reason:
        `the table has to be filled again, but the server begins at block ${range.start} now and no longer has blocks from ` +
        `${origin} on; ON_CHAIN_RESET=resync gives them up`
    }
    : undefined
}

/**
 * The range begins at or below the cursor. Invariant I2: only a stored hash that it names as its parent proves from where on.
 *
 * That the server walked back from our hash proves what it replaces, not what it leaves: a walk that meets an orphan which
 * the server has lost ends there, above the fork, and nozzle ranges without rows may have gone before, unseen. So the
 * entry below is asked on a connection of its own, which costs a part of one stored range, once.
 */
const replacing = (state: FollowState, range: BlockRange, cursor: Watermark): Step => {
  const below = newestBelow(state.history, range.start)
  if (below !== undefined && below.hash === range.prevHash) return rewindTo(state, range, below)
  const knew = range.start < cursor.block
  if (below !== undefined) {
    const contradicted = below.block === range.start - 1n && range.prevHash !== undefined
    if (contradicted) return doubt(state, range, below)
    return doubt(state, range, state.history.find((entry) => entry.block >= range.start)!, knew)
  }
  // A server that knows not even the oldest of several entries has another chain.
  if (!knew && state.history.length > 1) return doubt(state, range, cursor)
  return readFirstRangeAgain(state, range, knew)
}

/**
 * Nothing older than the first stored range can be asked, so all of it is replaced: blocks before `range` may be orphaned as
 * well, where they had rows and their successors have none.
 */
const readFirstRangeAgain = (state: FollowState, range: BlockRange, knew: boolean): Step => {
  const reason =
    `the server replaced blocks of the first stored range from ${range.start} on, and nothing older is stored`
  const resets = resetsOf(state)
  // A server that lost our block may be about to find it: the second answer is believed.
  return knew || resets > 0
    ? reconnect(restart(state.history), reason)
    : reconnect({ kind: "resume", resets: resets + 1 }, reason)
}

/** The entry we asked from is canonical: go on from it, unless a newer one may be canonical too. */
const accepted = (state: FollowState, range: BlockRange, cursor: Watermark): Step => {
  if (state.strategy.kind === "resume") return begin(state, range, [])
  const next = acceptCandidate(state.strategy, state.history)
  return next === undefined
    ? rewindTo(state, range, cursor)
    : reconnect(next, `block ${cursor.block} is canonical; looking for the newest block that is`)
}

/** Nobody can say whether the cursor is canonical: go on and say so, unless an older entry is known to be. */
const unknown = (state: FollowState, range: BlockRange, cursor: Watermark): Step => {
  if (state.strategy.kind === "resume") return begin(passedUnverified(state, cursor.block), range, [])
  const known = state.strategy.kind === "probe" && state.strategy.accepted !== undefined
  return known ? doubt(state, range, cursor) : flagged(rewindTo(state, range, cursor), cursor.block)
}

const flagged = (step: Step, block: bigint): Step =>
  step._tag === "Advance" ? { ...step, state: passedUnverified(step.state, block) } : step

/** `rejected` and what is newer is not canonical, and nothing proves what is: ask from an older entry. */
const doubt = (state: FollowState, range: BlockRange, rejected: Watermark, near = false): Step => {
  const reason = `the server replaced blocks from ${range.start} on, and no stored hash confirms where the chains meet`
  return askOlder(state, rejected, near, reason)
}

const askOlder = (state: FollowState, rejected: Watermark, near: boolean, reason: string) => {
  const next = rejectCandidate(state.strategy, state.history, rejected, near)
  return next === undefined
    ? reset(state, `not even block ${state.history[0]?.block}, the oldest one we remember, is in its chain`)
    : reconnect(next, reason)
}

/** The source shows that the block this connection asked from is orphaned, and nothing has come of the stream. */
export const rejectedBySource = (state: FollowState, asked: Watermark): ReconnectFrom | ChainMismatch =>
  askOlder(state, asked, false, `the source no longer has block ${asked.block}`)

/** Nothing has come of a stream that asked from `asked`, and nobody can say whether that block is canonical. */
export const unanswered = (state: FollowState, asked: Watermark): ReconnectFrom & { readonly isFailure: boolean } => {
  const reason = `the server sends nothing after block ${asked.block}, which may lie below its first block`
  const next = skipCandidate(state.strategy, state.history)
  if (next !== undefined) return { ...reconnect(next, reason), isFailure: false }
  const resets = resetsOf(state)
  const all = `${reason}, and every newer block we remember is orphaned`
  if (resets > 0 && mayStartAgain(state)) {
    return { ...reconnect(restart(state.history), `${all}; starting again from the first block`), isFailure: false }
  }
  const strategy = { kind: "resume", resets: resets + 1 } as const
  return {
    ...reconnect(strategy, `${all}; ON_CHAIN_RESET=resync rebuilds the table from the server's chain`),
    isFailure: true
  }
}

const resetsOf = ({ strategy }: FollowState): number => strategy.kind === "restart" ? 0 : strategy.resets

/** A table that is asked for, or so young that nothing is lost by it. */
const mayStartAgain = ({ history, options, origin }: FollowState): boolean =>
  options.onChainReset === "resync" || (history.at(-1)?.block ?? 0n) - (origin ?? 0n) < BigInt(options.retentionBlocks)

/** Our chain and the server's seem to have nothing in common. */
const reset = (state: FollowState, reason: string): ReconnectFrom | ChainMismatch => {
  const resets = resetsOf(state)
  // Once may be a header lost on the way; a second fresh connection that says the same is believed.
  if (resets < 1) return reconnect({ kind: "resume", resets: resets + 1 }, reason)
  if (mayStartAgain(state)) {
    return reconnect(restart(state.history), `${reason}; starting again from the first block`)
  }
  return {
    _tag: "ChainMismatch",
    reason:
      `the server has another chain than the one stored up to block ${
        state.history.at(-1)?.block ?? 0n
      }, or ignores the resume header: ${reason}; ` +
      "ON_CHAIN_RESET=resync rebuilds the table from the server's chain"
  }
}
