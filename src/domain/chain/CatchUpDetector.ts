/** Detects when a table has caught up with the chain, as a pure function of its events and the time. */
import type { RangeStarted, TableEvent } from "./TableEvent.ts"

/**
 * Decides whether a table's stream delivers a backlog or the tip of the chain.
 *
 * Both come in bursts and pauses: a fast chain is never silent for long, and a slow server often is, however much it still
 * has to send. They differ in the number of blocks that come at once. A range of a backlog has as many as the server puts
 * into one, 1,000 or 100,000; a range at the tip has the blocks produced since the one before. Silence is the case of none.
 */
export interface CatchUpDetector {
  /** Undefined until enough was received to decide. */
  readonly caughtUp: boolean | undefined
  /** Something was received: a table does not catch up with a server that never sent anything. */
  readonly begun: boolean
  /** Blocks received lately: a bucket that holds `TIP_BLOCKS` and loses as many per second. */
  readonly level: number
  readonly levelAtMillis: number
  /** The range in progress. */
  readonly range: { readonly isLong: boolean; readonly endIsDeclared: boolean } | undefined
  /** When the last event of a backlog came. */
  readonly backlogAtMillis: number
  /** When everything received was last committed and the stream was idle. */
  readonly drainedAtMillis: number
}

/** More blocks than these, in one range or in one second, are a backlog: a chain of ten blocks a second has a tenth of them. */
const TIP_BLOCKS = 100
/** How long nothing but blocks of the tip, or nothing at all, must have come. */
const SETTLES_MILLIS = 1_000
/** The same in a long range that the server does not declare complete: queries over 100,000 blocks have their pauses. */
const LONG_RANGE_MILLIS = 3_000
/** A stream that was not idle for so long delivers faster than its rows are committed. */
const LATE_MILLIS = 5_000

/** The detector of a new connection; `begun` where something was received on an earlier one. */
export const startDetector = (begun: boolean, nowMillis: number): CatchUpDetector => ({
  caughtUp: undefined,
  begun,
  level: 0,
  levelAtMillis: nowMillis,
  range: undefined,
  backlogAtMillis: nowMillis,
  drainedAtMillis: nowMillis
})

/** Updates the detector with an event of the stream. */
export const onEvent = (detector: CatchUpDetector, event: TableEvent, nowMillis: number): CatchUpDetector => {
  const next = event._tag === "RangeStarted" ? beginRange(detector, event, nowMillis) : detector
  const isBacklog = nowMillis - detector.drainedAtMillis > LATE_MILLIS || exceedsTip(next, event)
  return {
    ...next,
    begun: true,
    level: Math.min(next.level, TIP_BLOCKS),
    range: event._tag === "Watermark" ? undefined : next.range,
    ...(isBacklog ? { caughtUp: false, backlogAtMillis: nowMillis } : {})
  }
}

const beginRange = (
  detector: CatchUpDetector,
  { endIsDeclared, range }: RangeStarted,
  nowMillis: number
): CatchUpDetector => {
  const blocks = Number(range.end - range.start + 1n)
  const lost = (nowMillis - detector.levelAtMillis) * TIP_BLOCKS / 1_000
  return {
    ...detector,
    level: Math.max(0, detector.level - lost) + blocks,
    levelAtMillis: nowMillis,
    range: { isLong: blocks > TIP_BLOCKS, endIsDeclared }
  }
}

const exceedsTip = ({ level, range }: CatchUpDetector, event: TableEvent): boolean => {
  switch (event._tag) {
    case "RangeStarted":
      return level > TIP_BLOCKS
    case "Rows":
      return range?.isLong === true
    case "Watermark":
      // A watermark that is not declared comes with the range after it, so its time means nothing.
      return range?.isLong === true && range.endIsDeclared
    case "Reorg":
      return false
  }
}

/** Records that everything received is committed and the stream is idle. */
export const onIdle = (detector: CatchUpDetector, nowMillis: number): CatchUpDetector => ({
  ...detector,
  drainedAtMillis: nowMillis
})

/** The time at which the table has caught up if nothing more comes, in elapsed milliseconds; undefined where silence does not prove it. */
export const caughtUpAt = ({ backlogAtMillis, begun, range }: CatchUpDetector): number | undefined => {
  if (!begun) return undefined
  if (range === undefined) return backlogAtMillis + SETTLES_MILLIS
  // The rest of the range is still to come, however long the server takes.
  if (range.endIsDeclared) return undefined
  return backlogAtMillis + (range.isLong ? LONG_RANGE_MILLIS : SETTLES_MILLIS)
}

/** Records that nothing came until `caughtUpAt`, or that the head of the source proves that nothing is missing. */
export const onSettled = (detector: CatchUpDetector): CatchUpDetector => ({ ...detector, caughtUp: true })
