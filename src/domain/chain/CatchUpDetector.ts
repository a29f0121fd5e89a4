import type { RangeStarted, TableEvent } from "./TableEvent.ts"

/**
 * Whether what a table's stream brings is a backlog or the tip of the chain.
 *
 * Both come in bursts and pauses: a fast chain is never silent for long, and a slow server often is, however much it still
 * has to send. What tells them apart is how many blocks come at once. Out of a backlog a range has as many as the server puts
 * into one, 1,000 or 100,000; at the tip it has those that came into being since the one before. Silence is the case of none.
 */
export interface CatchUpDetector {
  /** Undefined as long as nothing tells. */
  readonly caughtUp: boolean | undefined
  /** There is something to be caught up with: a server that never sent anything is waited for. */
  readonly begun: boolean
  /** Blocks that came lately: a bucket that holds `TIP_BLOCKS` and loses as many per second. */
  readonly level: number
  readonly levelAtMillis: number
  /** The range in progress. */
  readonly range: { readonly isLong: boolean; readonly endIsDeclared: boolean } | undefined
  /** When something last came that no tip brings. */
  readonly backlogAtMillis: number
  /** When all that had come was committed, and more was waited for. */
  readonly drainedAtMillis: number
}

/** More blocks than these, in one range or in one second, are a backlog: a chain of ten blocks a second brings a tenth. */
const TIP_BLOCKS = 100
/** How long nothing but a tip, or nothing at all, must have come. */
const SETTLES_MILLIS = 1_000
/** The same in a long range of which nobody will say that it is complete: queries over 100,000 blocks have their pauses. */
const LONG_RANGE_MILLIS = 3_000
/** What was not waited for in so long arrives faster than it is committed, however slowly that may be. */
const LATE_MILLIS = 5_000

/** At the begin of a connection; `begun` where something came on an earlier one. */
export const startDetector = (begun: boolean, nowMillis: number): CatchUpDetector => ({
  caughtUp: undefined,
  begun,
  level: 0,
  levelAtMillis: nowMillis,
  range: undefined,
  backlogAtMillis: nowMillis,
  drainedAtMillis: nowMillis
})

/** After `event` was taken from the stream. */
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
      // One that is not declared comes with the range after it, and tells nothing about now.
      return range?.isLong === true && range.endIsDeclared
    case "Reorg":
      return false
  }
}

/** While everything that came is committed and more is waited for. */
export const onIdle = (detector: CatchUpDetector, nowMillis: number): CatchUpDetector => ({
  ...detector,
  drainedAtMillis: nowMillis
})

/** When the table has caught up if nothing more comes, in Unix milliseconds; undefined where that is not enough. */
export const caughtUpAt = ({ backlogAtMillis, begun, range }: CatchUpDetector): number | undefined => {
  if (!begun) return undefined
  if (range === undefined) return backlogAtMillis + SETTLES_MILLIS
  // The rest of it is still to come, however long the server works at it.
  if (range.endIsDeclared) return undefined
  return backlogAtMillis + (range.isLong ? LONG_RANGE_MILLIS : SETTLES_MILLIS)
}

/** It was waited for until `caughtUpAt`. */
export const onSettled = (detector: CatchUpDetector): CatchUpDetector => ({ ...detector, caughtUp: true })
