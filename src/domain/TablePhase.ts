/** The phase of one table as a pure state machine. */

/**
 * `caught up`: every row the source has is committed. `building indexes`: so it was, and the keys that the table was created
 * without are to be built, or are being built, for which new rows wait. `catching up`: there is a backlog, or it is not known yet
 * that there is none. `searching`: the newest blocks are orphaned, and older ones are tried until one is canonical. `diverged`: the stream is
 * silent and the source no longer has the block of the watermark. `stalled`: several attempts without progress; it keeps
 * trying. `parked`: it waits for a change of the config. `standby`: another process writes this table.
 */
export const phases = [
  "starting",
  "catching up",
  "building indexes",
  "caught up",
  "searching",
  "diverged",
  "retrying",
  "stalled",
  "parked",
  "standby"
] as const

export type Phase = (typeof phases)[number]

/** The phase of a table, with its reason. */
export interface TablePhase {
  readonly phase: Phase
  /** Why it is not catching up or caught up. */
  readonly reason: string | undefined
  /** Another process writes the table, and this one is configured to take over when that one falls silent. */
  readonly isReserve: boolean
  /** The phase apart from a build of keys that is at work; undefined where none is. */
  readonly beneath: Phase | undefined
}

/** Whether every row the source has is committed, or was before the table began to build its keys. */
export const isAtTip = ({ beneath, phase }: Pick<TablePhase, "beneath" | "phase">): boolean => {
  const apart = beneath ?? phase
  return apart === "caught up" || apart === "building indexes"
}

/** An event that may change the phase. */
export type PhaseEvent =
  | { readonly _tag: "Started" }
  /** The start waits for something; `reason` names it. */
  | { readonly _tag: "Waiting"; readonly reason: string }
  /** The stream is open; that alone is no progress. */
  | { readonly _tag: "Connected" }
  /** `isProgress`: rows or a watermark that were never committed before are among it. */
  | { readonly _tag: "Committed"; readonly isProgress: boolean }
  /** `isDeferred`: the table has no keys yet; absent where it has. */
  | { readonly _tag: "CaughtUp"; readonly isDeferred?: boolean }
  /** A build of the keys is at work, and rows wait until it has ended. */
  | { readonly _tag: "BuildBegan" }
  | { readonly _tag: "BuildEnded" }
  /** The build of the keys waits for something; `reason` names it. Undefined: not any more. */
  | { readonly _tag: "BuildWaits"; readonly reason: string | undefined }
  /** The table has no keys any more. */
  | { readonly _tag: "KeysLost" }
  /** The keys that were missing are built. */
  | { readonly _tag: "KeysBuilt" }
  | { readonly _tag: "FellBehind" }
  | { readonly _tag: "Searching"; readonly reason: string }
  | { readonly _tag: "Diverged"; readonly reason: string }
  /** `attempts` without progress so far, this one included. */
  | { readonly _tag: "Failed"; readonly attempts: number; readonly reason: string }
  /** `isReserve`: as configured. */
  | { readonly _tag: "StandingBy"; readonly reason: string; readonly isReserve: boolean }
  | { readonly _tag: "Parked"; readonly reason: string }

/** Attempts without progress after which a table is stalled. */
export const MAX_FAILED_ATTEMPTS = 5

/** The phase after `event`. */
export const nextPhase = (current: TablePhase, event: PhaseEvent): TablePhase => {
  const { beneath } = current
  switch (event._tag) {
    case "BuildBegan":
      return whileBuilding(current)
    case "BuildEnded":
      if (beneath === undefined) return current
      return { ...current, phase: beneath, beneath: undefined, ...(beneath === "building indexes" ? {} : NO_REASON) }
    case "BuildWaits":
      // The reason of any other phase is about the sync.
      return current.phase === "building indexes" ? { ...current, reason: event.reason } : current
    case "Started":
    case "StandingBy":
    case "Parked":
      return phaseOfSync(current, event)
    default:
      return beneath === undefined
        ? phaseOfSync(current, event)
        : whileBuilding(phaseOfSync({ ...current, phase: beneath, beneath: undefined }, event))
  }
}

/** A sync without rows to write is hidden by the build; what went wrong with it is not. */
const whileBuilding = (apart: TablePhase): TablePhase => ({
  ...apart,
  phase: apart.phase === "catching up" || isAtTip(apart) ? "building indexes" : apart.phase,
  beneath: apart.phase
})

const phaseOfSync = (
  current: TablePhase,
  event: Exclude<PhaseEvent, { readonly _tag: "BuildBegan" | "BuildEnded" | "BuildWaits" }>
): TablePhase => {
  switch (event._tag) {
    case "Started":
      return as("starting")
    case "Waiting":
      return { ...current, reason: event.reason }
    case "Connected":
    case "FellBehind":
      // Only progress, or having caught up, ends a stall.
      return current.phase === "stalled" ? current : as("catching up")
    case "Committed":
      if (current.phase === "stalled" && !event.isProgress) return current
      // What a build waits for is no matter of a block.
      if (current.phase === "building indexes") return current
      // A table that has caught up stays so from block to block, until it falls behind.
      return as(isAtTip(current) ? current.phase : "catching up")
    case "CaughtUp":
      return as(event.isDeferred === true ? "building indexes" : "caught up")
    case "KeysLost":
      return current.phase === "caught up" ? as("building indexes") : current
    case "KeysBuilt":
      return current.phase === "building indexes" ? as("caught up") : current
    case "Searching":
      return current.phase === "stalled" ? current : as("searching", event.reason)
    case "Diverged":
      return as("diverged", event.reason)
    case "Failed":
      return as(event.attempts < MAX_FAILED_ATTEMPTS ? "retrying" : "stalled", event.reason)
    case "StandingBy":
      return { ...as("standby", event.reason), isReserve: event.isReserve }
    case "Parked":
      return as("parked", event.reason)
  }
}

const NO_REASON = { reason: undefined }

const as = (phase: Phase, reason?: string): TablePhase => ({
  phase,
  reason,
  isReserve: false,
  beneath: undefined
})
