/** The rules for the first range of a connection, and for a stream that sends none. */
import type { Dialect } from "../manifest/Dataset.ts"
import type { BlockRange } from "./BlockRange.ts"
import type { ChainMismatch, FollowState, ReconnectFrom, Step, Verdict } from "./FollowState.ts"
import { beginRange, passedUnverified, reconnect, replaceAll, rewindTo, verify, wrongParent } from "./FollowState.ts"
import { acceptCandidate, cursorOf, rejectCandidate, restart, skipCandidate } from "./resumeStrategy.ts"
import type { Watermark } from "./watermarks.ts"
import { newestBelow } from "./watermarks.ts"

/** Follows the first range of a connection: it must continue from the cursor that was sent, or prove what it replaces. */
export const firstRange = (
  state: FollowState,
  range: BlockRange,
  dialect: Dialect,
  verdict: Verdict | undefined
): Step => {
  const cursor = cursorOf(state.strategy, state.history)
  if (cursor === undefined) return losesBlocks(state, range, dialect) ?? replaceAll(state, range)
  if (range.start <= (state.origin ?? 0n)) {
    return reset(state, `the blocks after ${cursor.block} were requested, but it began again at block ${range.start}`)
  }
  if (range.start <= cursor.block) return replacing(state, range, cursor)
  if (range.prevHash === cursor.hash) return accepted(state, range, cursor)
  if (dialect === "amp") return wrongParent(range, cursor)
  if (range.prevHash !== undefined && range.start === cursor.block + 1n) return tryOlder(state, range, cursor)
  // Microbatches without rows are not sent in this dialect: a gap proves nothing, and a reorg may hide in it.
  if (verdict === undefined) return verify(cursor)
  if (verdict === "canonical") return accepted(state, range, cursor)
  return verdict === "orphaned" ? tryOlder(state, range, cursor) : unverified(state, range, cursor)
}

/**
 * Rejects a range that would replace all rows while the server's first block is above the stored one: the blocks that it no longer has
 * would be lost. A nozzle server sends no range without rows, so its first range does not show its first block.
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
 * The range begins at or below the cursor. Invariant I2: only a stored hash that it names as its parent proves what it replaces.
 *
 * That the server walked back from the cursor proves what it replaces, not what it keeps: a walk that meets an orphan which
 * the server has lost ends there, above the fork, and nozzle ranges without rows before it were not sent. So the entry below
 * is tried on a connection of its own, which costs a part of one stored range, once.
 */
const replacing = (state: FollowState, range: BlockRange, cursor: Watermark): Step => {
  const below = newestBelow(state.history, range.start)
  if (below !== undefined && below.hash === range.prevHash) return rewindTo(state, range, below)
  const knewCursor = range.start < cursor.block
  if (below !== undefined) {
    const contradicted = below.block === range.start - 1n && range.prevHash !== undefined
    if (contradicted) return tryOlder(state, range, below)
    return tryOlder(state, range, state.history.find((entry) => entry.block >= range.start)!, knewCursor)
  }
  // A server without even the oldest of several entries has another chain.
  if (!knewCursor && state.history.length > 1) return tryOlder(state, range, cursor)
  return readFirstRangeAgain(state, range, knewCursor)
}

/**
 * No entry is older than the first stored range, so all of it is replaced: blocks before `range` may be orphaned as well,
 * where they had rows and their successors have none.
 */
const readFirstRangeAgain = (state: FollowState, range: BlockRange, knewCursor: boolean): Step => {
  const reason =
    `the server replaced blocks of the first stored range from ${range.start} on, and nothing older is stored`
  const resets = resetsOf(state)
  // A server that does not have the block may get it again soon: only the second such response counts.
  return knewCursor || resets > 0
    ? reconnect(restart(state.history), reason)
    : reconnect({ kind: "resume", resets: resets + 1 }, reason)
}

/** The cursor is canonical: go on from it, unless a newer entry may be canonical too. */
const accepted = (state: FollowState, range: BlockRange, cursor: Watermark): Step => {
  if (state.strategy.kind === "resume") return beginRange(state, range, [])
  const next = acceptCandidate(state.strategy, state.history)
  return next === undefined
    ? rewindTo(state, range, cursor)
    : reconnect(next, `block ${cursor.block} is canonical; searching for the newest stored block that is`)
}

/** The source cannot confirm the cursor: go on and mark it as unverified, unless an older entry is known to be canonical. */
const unverified = (state: FollowState, range: BlockRange, cursor: Watermark): Step => {
  if (state.strategy.kind === "resume") return beginRange(passedUnverified(state, cursor.block), range, [])
  const known = state.strategy.kind === "probe" && state.strategy.accepted !== undefined
  return known ? tryOlder(state, range, cursor) : markUnverified(rewindTo(state, range, cursor), cursor.block)
}

const markUnverified = (step: Step, block: bigint): Step =>
  step._tag === "Advance" ? { ...step, state: passedUnverified(step.state, block) } : step

/** `rejected` and what is newer is not canonical, and nothing proves which entry is: reconnect from an older one. */
const tryOlder = (state: FollowState, range: BlockRange, rejected: Watermark, byOne = false): Step => {
  const reason = `the server replaced blocks from ${range.start} on, and no stored hash confirms where the chains meet`
  return reconnectFromOlder(state, rejected, byOne, reason)
}

const reconnectFromOlder = (state: FollowState, rejected: Watermark, byOne: boolean, reason: string) => {
  const next = rejectCandidate(state.strategy, state.history, rejected, byOne)
  return next === undefined
    ? reset(state, `not even block ${state.history[0]?.block}, the oldest one stored, is in its chain`)
    : reconnect(next, reason)
}

/** The source shows that `cursor`, from which this connection was opened, is orphaned, and the stream has sent nothing. */
export const rejectedBySource = (state: FollowState, cursor: Watermark): ReconnectFrom | ChainMismatch =>
  reconnectFromOlder(state, cursor, false, `the source no longer has block ${cursor.block}`)

/** The stream opened from `cursor` has sent nothing, and the source cannot confirm that `cursor` is canonical. */
export const unanswered = (state: FollowState, cursor: Watermark): ReconnectFrom & { readonly isFailure: boolean } => {
  const reason = `the server sends nothing after block ${cursor.block}, which may lie below its first block`
  const next = skipCandidate(state.strategy, state.history)
  if (next !== undefined) return { ...reconnect(next, reason), isFailure: false }
  const resets = resetsOf(state)
  const all = `${reason}, and every newer stored block is orphaned`
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

/** Whether all rows may be replaced: the config allows it, or the table is so young that nothing is lost. */
const mayStartAgain = ({ history, options, origin }: FollowState): boolean =>
  options.onChainReset === "resync" || (history.at(-1)?.block ?? 0n) - (origin ?? 0n) < BigInt(options.retentionBlocks)

/** The server's chain and the stored one seem to have nothing in common. */
const reset = (state: FollowState, reason: string): ReconnectFrom | ChainMismatch => {
  const resets = resetsOf(state)
  // The first time the resume header may have been lost on the way; a second connection with the same result is proof enough.
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
