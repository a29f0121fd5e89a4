import type { Approach } from "./approach.ts"
import { cursorOf, prove, refute, restart, resume } from "./approach.ts"
import type { BlockRange } from "./BlockRange.ts"
import type { StreamMetadata } from "./StreamMetadata.ts"
import type { History, Watermark } from "./watermarks.ts"
import { append, newestBelow, upTo } from "./watermarks.ts"

/** What must be known of a table before a connection, all of it from its checkpoint. */
export interface Known {
  readonly network: string | undefined
  /** The first block ever received. */
  readonly origin: bigint | undefined
  readonly history: History
  /** The oldest watermark that was passed without a check of its hash. */
  readonly unverifiedFrom: bigint | undefined
}

export interface FollowOptions {
  /** Rows say only the end of their range: a stored range cannot be split. */
  readonly rangeMode: boolean
  readonly retentionBlocks: number
  /** What to do when the server's chain and ours have nothing in common. */
  readonly onChainReset: "park" | "resync"
}

/** `Known` as it will be once everything said so far is committed, and where this connection stands. */
export interface FollowState extends Known {
  readonly options: FollowOptions
  readonly approach: Approach
  /** The range in progress, or the last one received. */
  readonly current: BlockRange | undefined
  readonly complete: boolean
  /** First block of the ranges above the watermark that this connection delivered. */
  readonly openFrom: bigint | undefined
}

export interface Rewind {
  readonly _tag: "Rewind"
  /** Rows at and above this block go; all rows where it is absent. */
  readonly deleteFrom: bigint | undefined
  /** The watermark afterwards. */
  readonly watermark: Watermark | undefined
  /** The newest block known before, and the range that replaces it. */
  readonly replaced: Watermark | undefined
  readonly range: BlockRange
}

/** Every row up to the end of this range was received. */
export interface Completed {
  readonly _tag: "Watermark"
  readonly range: BlockRange
}

export type ChainEvent =
  | Rewind
  | Completed
  /** The rows that follow belong to this range. */
  | { readonly _tag: "Range"; readonly range: BlockRange }

/** Whether a block with a certain hash is in the server's canonical chain; no answer is `unknown`. */
export type Verdict = "canonical" | "orphaned" | "unknown"

export type Step =
  /** `events` come before the rows of the message, for which `state` holds; after them, `completed` does. */
  | {
    readonly _tag: "Advance"
    readonly state: FollowState
    readonly events: ReadonlyArray<ChainEvent>
    readonly completed: { readonly range: BlockRange; readonly state: FollowState } | undefined
  }
  /** The same message again, please, with a verdict on this block. */
  | { readonly _tag: "Verify"; readonly watermark: Watermark }
  /** Nothing of this message may be used: open another connection. */
  | { readonly _tag: "Reconnect"; readonly approach: Approach; readonly reason: string }
  | { readonly _tag: "Breach"; readonly reason: string }
  | { readonly _tag: "AnotherChain"; readonly reason: string }

export const startFollowing = (known: Known, options: FollowOptions, approach: Approach): FollowState => ({
  network: known.network,
  origin: known.origin,
  history: known.history,
  unverifiedFrom: known.unverifiedFrom,
  options,
  approach,
  current: undefined,
  complete: false,
  openFrom: undefined
})

/**
 * Follows the chain through the metadata of one message.
 *
 * Invariant I2: a `Rewind` that reaches below the watermark is said only when the claim "from `start` on everything is
 * replaced" is proved: by a stored hash, or because the server demonstrably knew our position and no stored hash
 * contradicts it. Otherwise an older watermark is asked, on a connection of its own.
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
    return breach(`it sent ranges of two networks at once: ${range.network} and ${second.network}`)
  }
  if (state.network !== undefined && state.network !== range.network) {
    return breach(`it sent a range of network ${range.network}, this table is on ${state.network}`)
  }
  const dialect: Dialect = metadata.complete === undefined ? "nozzle" : "amp"
  if (dialect === "amp" && range.start > 0n && range.prevHash === undefined) {
    return breach(`it sent the range ${format(range)} without the hash of the block before`)
  }
  const step = state.current !== undefined && same(state.current, range)
    ? again(state, range, rows)
    : state.current === undefined
    ? first(state, range, dialect, verdict)
    : later(state, state.current, range, dialect, verdict)
  return metadata.complete === true && step._tag === "Advance" && !step.state.complete ? completed(step, range) : step
}

type Dialect = "nozzle" | "amp"

/** One more message of the range in progress. */
const again = (state: FollowState, range: BlockRange, rows: number): Step =>
  state.complete && rows > 0
    ? breach(`it sent rows of the range ${format(range)} after declaring it complete`)
    : advance(state, [])

/** The first range of a connection: does it continue from the cursor that was sent? */
const first = (state: FollowState, range: BlockRange, dialect: Dialect, verdict: Verdict | undefined): Step => {
  const cursor = cursorOf(state.approach, state.history)
  if (cursor === undefined) {
    if (state.history.length === 0) return begin({ ...state, origin: range.start }, range, [])
    return begin({ ...state, origin: range.start, history: [], unverifiedFrom: undefined }, range, [
      rewind(state, undefined, undefined, range)
    ])
  }
  if (range.start <= (state.origin ?? 0n)) {
    return reset(state, `asked for what follows block ${cursor.block}, it began again at block ${range.start}`)
  }
  if (range.start <= cursor.block) {
    const target = rewindTarget(state, range, range.start < cursor.block)
    return target === undefined ? doubt(state, range) : rewindTo(state, range, target)
  }
  if (range.prevHash === cursor.hash) return proved(state, range, cursor)
  if (dialect === "amp") return wrongParent(range, cursor)
  if (range.prevHash !== undefined && range.start === cursor.block + 1n) return doubt(state, range)
  // Microbatches without rows are invisible in this dialect: a gap proves nothing, and a reorg may hide in it.
  if (verdict === undefined) return { _tag: "Verify", watermark: cursor }
  if (verdict === "canonical") return proved(state, range, cursor)
  if (verdict === "orphaned" || state.approach.kind === "probe") return doubt(state, range)
  return begin(unverified(state, cursor.block), range, [])
}

/** A range after another one on the same connection, so from a server that knows where we stand. */
const later = (
  state: FollowState,
  current: BlockRange,
  range: BlockRange,
  dialect: Dialect,
  verdict: Verdict | undefined
): Step => {
  if (dialect === "amp" && !state.complete) {
    return breach(`it began the range ${format(range)} before completing ${format(current)}`)
  }
  if (range.start <= current.end) return replaced(state, current, range, dialect)
  const end: Watermark = { block: current.end, hash: current.hash }
  if (range.prevHash === current.hash) return successor(state, current, range)
  if (dialect === "amp") return wrongParent(range, end)
  if (range.prevHash !== undefined && range.start === current.end + 1n) {
    return reconnect(resume, `block ${range.start} does not follow the block ${current.end} received before it`)
  }
  if (verdict === undefined) return { _tag: "Verify", watermark: end }
  if (verdict === "orphaned") return reconnect(resume, `block ${current.end} is no longer canonical`)
  return successor(verdict === "unknown" ? unverified(state, current.end) : state, current, range)
}

/** The plain successor: the range before it is complete, said (amp) or by this very fact (nozzle). */
const successor = (state: FollowState, current: BlockRange, range: BlockRange): Step =>
  state.complete
    ? begin(state, range, [])
    : begin(withWatermark(state, current), range, [{ _tag: "Watermark", range: current }])

/** A range that replaces blocks received on this connection; it completes nothing. */
const replaced = (state: FollowState, current: BlockRange, range: BlockRange, dialect: Dialect): Step => {
  if (dialect === "amp" && range.prevHash === current.hash) {
    return breach(`it went back to block ${range.start} naming the end of ${format(current)} as its parent`)
  }
  const watermark = state.history.at(-1)
  if (watermark !== undefined && range.start <= watermark.block) {
    const target = range.start > (state.origin ?? 0n) ? rewindTarget(state, range, true) : undefined
    return target === undefined
      ? reconnect(resume, `it replaced everything from block ${range.start}, which nothing we know confirms`)
      : rewindTo(state, range, target)
  }
  // Only provisional rows are concerned: they may go without proof, but what stays must be told apart.
  const contradicted = watermark?.block === range.start - 1n && range.prevHash !== undefined &&
    range.prevHash !== watermark.hash
  const splits = state.options.rangeMode && state.openFrom !== undefined && state.openFrom < range.start
  if (contradicted || splits) return reconnect(resume, `blocks from ${range.start} on were replaced`)
  const origin = state.origin !== undefined && state.origin < range.start ? state.origin : range.start
  return begin({ ...state, origin }, range, [rewind(state, range.start, watermark, range)])
}

/** The watermark to rewind to when the claim of `range` is proved; `knew`: the server knew our position. */
const rewindTarget = (state: FollowState, range: BlockRange, knew: boolean): Watermark | undefined => {
  const below = newestBelow(state.history, range.start)
  if (below !== undefined && below.hash === range.prevHash) return below
  const contradicted = below?.block === range.start - 1n
  if (!knew || contradicted || range.prevHash === undefined || state.options.rangeMode) return undefined
  return { block: range.start - 1n, hash: range.prevHash }
}

const rewindTo = (state: FollowState, range: BlockRange, target: Watermark): Step => {
  const history = append(upTo(state.history, target.block), target, state.options.retentionBlocks)
  const unverifiedFrom = state.unverifiedFrom !== undefined && state.unverifiedFrom < target.block
    ? state.unverifiedFrom
    : undefined
  return begin({ ...state, history, unverifiedFrom, openFrom: undefined }, range, [
    rewind(state, target.block + 1n, target, range)
  ])
}

/** The entry we asked from is canonical: go on from it, unless a newer one may be canonical too. */
const proved = (state: FollowState, range: BlockRange, cursor: Watermark): Step => {
  if (state.approach.kind === "resume") return begin(state, range, [])
  const next = prove(state.approach, state.history)
  return next === undefined
    ? rewindTo(state, range, cursor)
    : reconnect(next, `block ${cursor.block} is canonical; looking for the newest block that is`)
}

/** The entry we asked from is not canonical, and nothing proves how deep the difference is: ask from an older one. */
const doubt = (state: FollowState, range: BlockRange): Step => {
  const next = refute(state.approach, state.history)
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
    return reconnect(restart, `${reason}; starting again from the first block`)
  }
  return {
    _tag: "AnotherChain",
    reason:
      `the server has another chain than the one stored up to block ${watermark}, or ignores the resume header: ${reason}`
  }
}

const begin = (state: FollowState, range: BlockRange, events: ReadonlyArray<ChainEvent>): Step => {
  const openFrom = state.openFrom !== undefined && state.openFrom < range.start ? state.openFrom : range.start
  return advance({ ...state, network: range.network, current: range, complete: false, openFrom, approach: resume }, [
    ...events,
    { _tag: "Range", range }
  ])
}

const completed = (step: Extract<Step, { _tag: "Advance" }>, range: BlockRange): Step => ({
  ...step,
  completed: { range, state: { ...withWatermark(step.state, range), complete: true } }
})

const withWatermark = (state: FollowState, range: BlockRange): FollowState => ({
  ...state,
  history: append(state.history, { block: range.end, hash: range.hash }, state.options.retentionBlocks),
  openFrom: undefined
})

const unverified = (state: FollowState, block: bigint): FollowState => ({
  ...state,
  unverifiedFrom: state.unverifiedFrom ?? block
})

const rewind = (
  state: FollowState,
  deleteFrom: bigint | undefined,
  watermark: Watermark | undefined,
  range: BlockRange
): Rewind => {
  const replaced = state.current === undefined
    ? state.history.at(-1)
    : { block: state.current.end, hash: state.current.hash }
  return { _tag: "Rewind", deleteFrom, watermark, replaced, range }
}

const advance = (state: FollowState, events: ReadonlyArray<ChainEvent>): Step => ({
  _tag: "Advance",
  state,
  events,
  completed: undefined
})

const reconnect = (approach: Approach, reason: string): Step => ({ _tag: "Reconnect", approach, reason })
const breach = (reason: string): Step => ({ _tag: "Breach", reason: `the server breaks the protocol: ${reason}` })

const wrongParent = (range: BlockRange, parent: Watermark): Step =>
  breach(
    range.start === parent.block + 1n
      ? `block ${range.start} does not name block ${parent.block} as its parent`
      : `blocks ${parent.block + 1n} to ${range.start - 1n} are missing`
  )

const same = (a: BlockRange, b: BlockRange): boolean =>
  a.start === b.start && a.end === b.end && a.hash === b.hash && a.prevHash === b.prevHash && a.network === b.network

const format = (range: BlockRange): string => `${range.start}..${range.end}`
