import type { Approach } from "./approach.ts"
import { resume, settle } from "./approach.ts"
import type { BlockRange } from "./BlockRange.ts"
import type { History, Watermark } from "./watermarks.ts"
import { append, upTo } from "./watermarks.ts"

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

export type Dialect = "nozzle" | "amp"

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
  approach: settle(approach, known.history),
  current: undefined,
  complete: false
})

export const advance = (state: FollowState, events: ReadonlyArray<ChainEvent>): Step => ({
  _tag: "Advance",
  state,
  events,
  completed: undefined
})

/** `range` is what comes now; how the connection was opened has served its purpose. */
export const begin = (state: FollowState, range: BlockRange, events: ReadonlyArray<ChainEvent>): Step =>
  advance({ ...state, network: range.network, current: range, complete: false, approach: resume }, [
    ...events,
    { _tag: "Range", range }
  ])

/** Goes back to `target`, below `range`: everything above it is replaced, beginning with `range`. */
export const rewindTo = (state: FollowState, range: BlockRange, target: Watermark): Step => {
  const history = append(upTo(state.history, target.block), target, state.options.retentionBlocks)
  // A mark at the target stays: it may be the end of a range that was split there, with rows that nobody compared.
  const marked = state.unverifiedFrom !== undefined && state.unverifiedFrom <= target.block
  const unverifiedFrom = marked ? state.unverifiedFrom : undefined
  return begin({ ...state, history, unverifiedFrom }, range, [rewind(state, target.block + 1n, target, range)])
}

/** Everything is replaced, beginning with `range`. */
export const beginAgain = (state: FollowState, range: BlockRange): Step => {
  const events = state.history.length === 0 ? [] : [rewind(state, undefined, undefined, range)]
  return begin({ ...state, origin: range.start, history: [], unverifiedFrom: undefined }, range, events)
}

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

export const withWatermark = (state: FollowState, range: BlockRange): FollowState => ({
  ...state,
  history: append(state.history, { block: range.end, hash: range.hash }, state.options.retentionBlocks)
})

/** Block `block` is passed although nobody could say whether it is canonical. */
export const passedUnverified = <State extends Known>(state: State, block: bigint): State => ({
  ...state,
  unverifiedFrom: state.unverifiedFrom !== undefined && state.unverifiedFrom < block ? state.unverifiedFrom : block
})

export const verify = (watermark: Watermark): Step => ({ _tag: "Verify", watermark })
export const reconnect = (approach: Approach, reason: string): Step => ({ _tag: "Reconnect", approach, reason })
export const breach = (reason: string): Step => ({
  _tag: "Breach",
  reason: `the server breaks the protocol: ${reason}`
})

export const wrongParent = (range: BlockRange, parent: Watermark): Step =>
  breach(
    range.start === parent.block + 1n
      ? `block ${range.start} does not name block ${parent.block} as its parent`
      : `blocks ${parent.block + 1n} to ${range.start - 1n} are missing`
  )

export const formatRange = (range: BlockRange): string => `${range.start}..${range.end}`
