/** What a publication waits for, how often it is tried again, and when that is reported. */
import type { RecordedProblem } from "../../../domain/health/SyncRecord.ts"

/** Between two reads of tables that have not caught up. */
const POLL_MILLIS = 1_000
/** Between two attempts where the schema that readers see is a block ahead: the next block may come any moment. */
const AHEAD_MILLIS = 250
/** Between two attempts where transactions read the views, for each of which new readers wait. */
const HELD_MILLIS = [1_000, 2_000, 4_000, 5_000]
/** Between two lines about the same. */
const REPORT_MILLIS = 10_000

/** What is not ready yet: `kind` decides how soon it is tried again. */
export interface Waiting {
  readonly kind: "problem" | "behind" | "ahead" | "held" | "database"
  readonly reason: string
  /** Of a problem: the tables and their states. */
  readonly states?: string
}

/** The last one that was reported. */
export interface Reported extends Waiting {
  readonly atMillis: number
}

/** No waiting helps: a parked table needs another config or a start, and a schema without tables a sync. */
export const endsAtOnce = ({ code }: RecordedProblem): boolean => code === "parked" || code === "no tables"

/** Whether `waiting` is reported: a problem once for as long as the same tables have it, all else now and then. */
export const isNews = ({ kind, states }: Waiting, reported: Reported | undefined, nowMillis: number): boolean =>
  reported === undefined || reported.kind !== kind || reported.states !== states ||
  (kind !== "problem" && nowMillis - reported.atMillis >= REPORT_MILLIS)

/** Milliseconds until the next attempt; `attempts` have failed because of a lock. */
export const pauseOf = ({ kind }: Waiting, attempts: number): number =>
  kind === "ahead"
    ? AHEAD_MILLIS
    : kind === "held"
    ? HELD_MILLIS[Math.min(attempts, HELD_MILLIS.length) - 1]!
    : POLL_MILLIS
