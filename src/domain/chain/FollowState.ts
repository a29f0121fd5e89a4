/** The state of one connection, and the steps that the rules of `firstRange.ts` and `laterRange.ts` return. */
import type { BlockRange } from "./BlockRange.ts"
import type { Checkpoint } from "./Checkpoint.ts"
import type { ResumeStrategy } from "./resumeStrategy.ts"
import { resume, validStrategy } from "./resumeStrategy.ts"
import type { RangeCompleted, RangeStarted, Reorg } from "./TableEvent.ts"
import type { Watermark } from "./watermarks.ts"
import { append, upTo } from "./watermarks.ts"

/** The settings that the chain rules depend on. */
export interface FollowOptions {
  /** Rows carry only the end of their range, so a stored range cannot be split. */
  readonly rangeMode: boolean
  readonly retentionBlocks: number
  /** What to do when the server's chain and the stored one have nothing in common. */
  readonly onChainReset: "park" | "resync"
}

/** The checkpoint as it will be once every event so far is committed, and the position of this connection. */
export interface FollowState extends Checkpoint {
  readonly options: FollowOptions
  readonly strategy: ResumeStrategy
  /** The range in progress, or the last one received. */
  readonly current: BlockRange | undefined
  readonly complete: boolean
}

/** A `TableEvent` without its checkpoint, which `followFrame` adds. */
export type ChainEvent =
  | Omit<Reorg, "checkpoint">
  | Omit<RangeCompleted, "checkpoint">
  | Omit<RangeStarted, "checkpoint" | "endIsDeclared">

/** Whether a block with a certain hash is in the server's canonical chain; `unknown` where the server shows neither. */
export type Verdict = "canonical" | "orphaned" | "unknown"

/** The message is accepted: `events` come before its rows, for which `state` holds; after them, `completed` does. */
export interface Advance {
  readonly _tag: "Advance"
  readonly state: FollowState
  readonly events: ReadonlyArray<ChainEvent>
  readonly completed: { readonly range: BlockRange; readonly state: FollowState } | undefined
}

/** Nothing of the message may be used. */
export type Rejection =
  /** The same message must be followed again with a verdict on this block. */
  | { readonly _tag: "Verify"; readonly watermark: Watermark }
  | ReconnectFrom
  | { readonly _tag: "Violation"; readonly reason: string }
  | ChainMismatch

/** Another connection must be opened, as `strategy` describes. */
export interface ReconnectFrom {
  readonly _tag: "ReconnectFrom"
  readonly strategy: ResumeStrategy
  readonly reason: string
}

/** The server's chain and the stored one have nothing in common. */
export interface ChainMismatch {
  readonly _tag: "ChainMismatch"
  readonly reason: string
}

/** The outcome of one message. */
export type Step = Advance | Rejection

/** The state at the start of a connection that `strategy` opens. */
export const startFollowing = (
  checkpoint: Checkpoint,
  options: FollowOptions,
  strategy: ResumeStrategy
): FollowState => ({
  network: checkpoint.network,
  origin: checkpoint.origin,
  history: checkpoint.history,
  unverifiedFrom: checkpoint.unverifiedFrom,
  options,
  strategy: validStrategy(strategy, checkpoint.history),
  current: undefined,
  complete: false
})

/** Accepts the message without completing its range. */
export const advance = (state: FollowState, events: ReadonlyArray<ChainEvent>): Step => ({
  _tag: "Advance",
  state,
  events,
  completed: undefined
})

/** Begins `range`. From here on the stream is an ordinary one, whatever strategy opened it. */
export const beginRange = (state: FollowState, range: BlockRange, events: ReadonlyArray<ChainEvent>): Step =>
  advance({ ...state, network: range.network, current: range, complete: false, strategy: resume }, [
    ...events,
    { _tag: "RangeStarted", range }
  ])

/** Rewinds to `target`, below `range`: everything above it is replaced, beginning with `range`. */
export const rewindTo = (state: FollowState, range: BlockRange, target: Watermark): Step => {
  const history = append(upTo(state.history, target.block), target, state.options.retentionBlocks)
  // A mark at the target stays: it may be the end of a range that was split there, whose rows were never compared.
  const marked = state.unverifiedFrom !== undefined && state.unverifiedFrom <= target.block
  const unverifiedFrom = marked ? state.unverifiedFrom : undefined
  return beginRange({ ...state, history, unverifiedFrom }, range, [reorg(state, target.block + 1n, target, range)])
}

/** Replaces all rows, beginning with `range`. */
export const replaceAll = (state: FollowState, range: BlockRange): Step => {
  const events = state.history.length === 0 ? [] : [reorg(state, undefined, undefined, range)]
  return beginRange({ ...state, origin: range.start, history: [], unverifiedFrom: undefined }, range, events)
}

const reorg = (
  state: FollowState,
  deleteFrom: bigint | undefined,
  watermark: Watermark | undefined,
  range: BlockRange
): ChainEvent => {
  const replaced = state.current === undefined
    ? state.history.at(-1)
    : { block: state.current.end, hash: state.current.hash }
  return { _tag: "Reorg", deleteFrom, watermark, replaced, range }
}

/** The state once all rows up to the end of `range` were received. */
export const withWatermark = (state: FollowState, range: BlockRange): FollowState => ({
  ...state,
  history: append(state.history, { block: range.end, hash: range.hash }, state.options.retentionBlocks)
})

/** Marks `block` as passed although the server could not confirm that it is canonical. */
export const passedUnverified = <State extends Checkpoint>(state: State, block: bigint): State => ({
  ...state,
  unverifiedFrom: state.unverifiedFrom !== undefined && state.unverifiedFrom < block ? state.unverifiedFrom : block
})

/** Requests a verdict on the block of `watermark`. */
export const verify = (watermark: Watermark): Step => ({ _tag: "Verify", watermark })
/** Requests another connection with `strategy`. */
export const reconnect = (strategy: ResumeStrategy, reason: string): ReconnectFrom => ({
  _tag: "ReconnectFrom",
  strategy,
  reason
})
/** Rejects a message that breaks the protocol. */
export const violation = (reason: string): Step => ({
  _tag: "Violation",
  reason: `the server violates the protocol: ${reason}`
})

/** The violation of a range that follows `parent` without naming it. */
export const wrongParent = (range: BlockRange, parent: Watermark): Step =>
  violation(
    range.start === parent.block + 1n
      ? `block ${range.start} does not name block ${parent.block} as its parent`
      : `blocks ${parent.block + 1n} to ${range.start - 1n} are missing`
  )

/** `start..end`, for messages. */
export const formatRange = (range: BlockRange): string => `${range.start}..${range.end}`
