/** The chain rules as one pure function: (state, frame) -> (state, events). */
import type { Dialect } from "../manifest/Dataset.ts"
import type { BlockRange } from "./BlockRange.ts"
import type { Checkpoint } from "./Checkpoint.ts"
import { firstRange } from "./firstRange.ts"
import type { Advance, ChainEvent, FollowState, Rejection, Step, Verdict } from "./FollowState.ts"
import { advance, formatRange, violation, withWatermark } from "./FollowState.ts"
import { laterRange } from "./laterRange.ts"
import { cursorOf } from "./resumeStrategy.ts"
import type { StreamMetadata } from "./StreamMetadata.ts"
import type { RowBatch, TableEvent } from "./TableEvent.ts"

export type { FollowOptions, FollowState, Rejection, Verdict } from "./FollowState.ts"
export { startFollowing } from "./FollowState.ts"

/** One message of a stream: its metadata and its rows. */
export interface Frame<Batch extends RowBatch> {
  /** Undefined on schema and dictionary messages. */
  readonly metadata: StreamMetadata | undefined
  readonly batch: Batch | undefined
}

/** The result of a frame that is accepted. */
export interface Followed<Batch extends RowBatch> {
  readonly _tag: "Followed"
  readonly state: FollowState
  readonly events: ReadonlyArray<TableEvent<Batch>>
}

/**
 * Follows the chain through one frame.
 *
 * Invariant I2: a `Reorg` is returned only when it is proved that everything from its `start` on is replaced: by a stored hash,
 * or because the server demonstrably had the block of our position and no stored hash contradicts it. Otherwise an older
 * watermark is tried, on a connection of its own.
 */
export const followFrame = <Batch extends RowBatch>(
  state: FollowState,
  { batch, metadata }: Frame<Batch>,
  verdict?: Verdict
): Followed<Batch> | Rejection => {
  const rows = batch?.rows ?? 0
  const step = stepOf(state, metadata, rows, verdict)
  if (step._tag !== "Advance") return step
  const checkpoint = checkpointOf(step.state)
  const endIsDeclared = metadata?.complete !== undefined
  const events: Array<TableEvent<Batch>> = step.events.map((event) => eventOf(event, checkpoint, endIsDeclared))
  if (batch !== undefined && rows > 0) events.push({ _tag: "Rows", batch, range: step.state.current! })
  if (step.completed === undefined) return { _tag: "Followed", state: step.state, events }
  const { range, state: completed } = step.completed
  events.push({ _tag: "Watermark", range, checkpoint: checkpointOf(completed) })
  return { _tag: "Followed", state: completed, events }
}

const checkpointOf = ({ history, network, origin, unverifiedFrom }: FollowState): Checkpoint => ({
  history,
  network,
  origin,
  unverifiedFrom
})

const eventOf = (event: ChainEvent, checkpoint: Checkpoint, endIsDeclared: boolean): TableEvent<never> =>
  event._tag === "RangeStarted" ? { ...event, checkpoint, endIsDeclared } : { ...event, checkpoint }

const stepOf = (
  state: FollowState,
  metadata: StreamMetadata | undefined,
  rows: number,
  verdict: Verdict | undefined
): Step => {
  if (metadata === undefined) {
    return rows === 0 ? advance(state, []) : violation("it sent rows without metadata, so their blocks are unknown")
  }
  const [range, second] = metadata.ranges
  if (range === undefined) {
    // A table without data files yet. It declares no block, so it must never become a watermark.
    return rows === 0 ? advance(state, []) : violation("it sent rows without a block range")
  }
  if (second !== undefined) {
    return violation(`it sent several ranges at once: ${named(range)} and ${named(second)}`)
  }
  if (state.network !== undefined && state.network !== range.network) {
    return violation(`it sent a range of network ${range.network}, this table is on ${state.network}`)
  }
  const dialect: Dialect = metadata.complete === undefined ? "nozzle" : "amp"
  if (dialect === "amp" && range.prevHash === undefined && hasKnownParent(state, range)) {
    return violation(`it sent the range ${formatRange(range)} without the hash of the block before`)
  }
  const step = state.current !== undefined && same(state.current, range)
    ? continueRange(state, range, rows)
    : state.current === undefined
    ? firstRange(state, range, dialect, verdict)
    : laterRange(state, state.current, range, dialect, verdict)
  return metadata.complete === true && step._tag === "Advance" && !step.state.complete ? completed(step, range) : step
}

/**
 * Whether the block before `range` was received. Nothing comes before the first block of a chain, and not every chain numbers
 * that block 0.
 */
const hasKnownParent = (state: FollowState, range: BlockRange): boolean =>
  (state.current !== undefined || cursorOf(state.strategy, state.history) !== undefined)
  && range.start > (state.origin ?? 0n)

/** One more message of the range in progress. */
const continueRange = (state: FollowState, range: BlockRange, rows: number): Step =>
  state.complete && rows > 0
    ? violation(`it sent rows of the range ${formatRange(range)} after declaring it complete`)
    : advance(state, [])

const completed = (step: Advance, range: BlockRange): Step => ({
  ...step,
  completed: { range, state: { ...withWatermark(step.state, range), complete: true } }
})

const same = (a: BlockRange, b: BlockRange): boolean =>
  a.start === b.start && a.end === b.end && a.hash === b.hash && a.prevHash === b.prevHash && a.network === b.network

const named = (range: BlockRange): string => `${formatRange(range)} of network ${range.network}`
