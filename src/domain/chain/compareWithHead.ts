/** Compares a stream with the head of the source's chain, to decide whether a silent stream is at the head or stalled. */
import type { HeadReport } from "./sourceHead.ts"

/** What is known of a stream at the moment of a check. */
export interface StreamPosition {
  /** Everything up to this block was received; undefined before the first range. */
  readonly received: bigint | undefined
  /** A message declares ranges complete (amp). Otherwise ranges without rows are not sent, and `received` is only a lower bound. */
  readonly declaresEnds: boolean
  /** A range was begun and not declared complete: the server is working on it. */
  readonly isInRange: boolean
  /** Messages received so far: the same number at two checks means silence between them. */
  readonly messages: number
}

/** The check before, to compare with. */
export interface EarlierCheck {
  readonly messages: number
  readonly head: bigint | undefined
  readonly wasBehind: boolean
  readonly wasOrphaned: boolean
  /** The first of the checks in a row that found the same, with no message between them. Elapsed milliseconds. */
  readonly sinceMillis: number
}

/** The result of a comparison. */
export type Finding =
  /** Nothing that is committed is missing. */
  | { readonly _tag: "AtHead" }
  /** More is to come. It is late where the check before expected it already. */
  | { readonly _tag: "Behind"; readonly isLate: boolean }
  /** The stream was silent from one check to the next, and for long enough, although the source had more. */
  | { readonly _tag: "Silent"; readonly head: bigint }
  /** The stream was silent from one check to the next, and for long enough, although the source no longer has the stored block. */
  | { readonly _tag: "Diverged" }

/** A reorg that the `blocks` table shows may take a while to come over the stream. */
const DIVERGED_MILLIS = 10_000
/** Two checks. Datasets that a job derives from others get their blocks later than the `blocks` table. */
const BETWEEN_RANGES_MILLIS = 30_000
/** A server that has sent nothing yet may take long to plan the query. */
const FIRST_RANGE_MILLIS = 60_000
/** A working server sends a message every 30 seconds or so. Source: amp, `keep_alive_interval`. */
const IN_RANGE_MILLIS = 120_000
/** Servers that declare no ends do not send ranges without rows: only a long silence is worth a new connection. */
const INVISIBLE_MILLIS = 5 * 60_000

/** Compares `position` with `report`; `check` is the `earlier` of the next call. */
export const compareWithHead = (
  position: StreamPosition,
  report: HeadReport,
  earlier: EarlierCheck | undefined,
  nowMillis: number
): { readonly finding: Finding; readonly check: EarlierCheck } => {
  const { head, verdict } = report
  const isBehind = head !== undefined && (position.received === undefined || head.block > position.received)
  const isOrphaned = verdict === "orphaned"
  const wasSilent = earlier !== undefined && earlier.messages === position.messages
  const isSame = wasSilent && (isOrphaned ? earlier.wasOrphaned : isBehind && earlier.wasBehind && !earlier.wasOrphaned)
  const sinceMillis = isSame ? earlier.sinceMillis : nowMillis
  const check = {
    messages: position.messages,
    head: head?.block,
    wasBehind: isBehind,
    wasOrphaned: isOrphaned,
    sinceMillis
  }
  const isSilentFor = (millis: number) => isSame && nowMillis - sinceMillis >= millis
  // A reorg on its way gives the same picture at first: its range is about to come.
  if (isOrphaned && isSilentFor(DIVERGED_MILLIS)) return { finding: { _tag: "Diverged" }, check }
  if (!isBehind && !isOrphaned) return { finding: { _tag: "AtHead" }, check }
  const isLate = earlier?.head !== undefined && (position.received ?? -1n) < earlier.head
  const behind = { finding: { _tag: "Behind", isLate }, check } as const
  if (isOrphaned) return behind
  if (isSilentFor(silenceLimitMillis(position))) return { finding: { _tag: "Silent", head: head!.block }, check }
  return position.declaresEnds ? behind : { finding: { _tag: "AtHead" }, check }
}

const silenceLimitMillis = ({ declaresEnds, isInRange, received }: StreamPosition): number => {
  if (!declaresEnds) return INVISIBLE_MILLIS
  if (isInRange) return IN_RANGE_MILLIS
  return received === undefined ? FIRST_RANGE_MILLIS : BETWEEN_RANGES_MILLIS
}
