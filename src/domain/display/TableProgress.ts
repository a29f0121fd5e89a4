/** What is shown of one table. */
import type { Phase } from "../TablePhase.ts"
import type { TableStatus } from "../TableStatus.ts"
import type { Line, Style } from "./Line.ts"

/** A table with its rates, which are not part of its status. */
export interface TableProgress {
  readonly status: Pick<
    TableStatus,
    "hasConnected" | "lastBlock" | "phase" | "reason" | "reorgs" | "rows" | "table" | "watermark"
  >
  readonly rowsPerSecond: number
  /** Rows of each of the last seconds, oldest first. */
  readonly rowsBySecond: ReadonlyArray<number>
  /** Blocks behind the source; undefined where that is not known. */
  readonly behind: bigint | undefined
  /** Seconds until it has caught up; undefined where that is not known. */
  readonly secondsLeft: number | undefined
}

/** Phases in the order in which they need somebody's attention, each with its color. */
const PHASES: ReadonlyArray<readonly [Phase, Style | undefined]> = [
  ["parked", "red"],
  ["stalled", "red"],
  ["diverged", "red"],
  ["retrying", "yellow"],
  ["searching", "yellow"],
  ["standby", "yellow"],
  ["starting", undefined],
  ["catching up", undefined],
  ["building indexes", undefined],
  ["caught up", "green"]
]

const rankOf = (phase: Phase): number => PHASES.findIndex(([other]) => other === phase)

export const styleOf = (phase: Phase): Style | undefined => PHASES[rankOf(phase)]?.[1]

/** Powers of two, so that the order does not change with every block. */
const lagRank = ({ behind }: TableProgress): number => behind === undefined ? 64 : behind.toString(2).length

/** The tables that matter first in front; others in their own order. */
export const byUrgency = (tables: ReadonlyArray<TableProgress>): ReadonlyArray<TableProgress> =>
  tables.toSorted((a, b) => rankOf(a.status.phase) - rankOf(b.status.phase) || lagRank(b) - lagRank(a))

/** `1 parked, 3 catching up`, the most urgent first. */
export const phaseCounts = (tables: ReadonlyArray<TableProgress>): Line =>
  PHASES.flatMap(([phase, style]) => {
    const count = tables.filter(({ status }) => status.phase === phase).length
    const text = `${count} ${phase}`
    return count === 0 ? [] : [style === undefined ? text : { text, style }]
  }).flatMap((span, i) => i === 0 ? [span] : [", ", span])

/** The way of the table that has the longest one; a figure is undefined where that of one table is. */
export const longestWay = (tables: ReadonlyArray<TableProgress>): Pick<TableProgress, "behind" | "secondsLeft"> => ({
  behind: largest(tables.map(({ behind }) => behind)),
  secondsLeft: largest(
    tables.filter(({ behind, status }) => status.phase === "catching up" && behind !== 0n).map(({ secondsLeft }) =>
      secondsLeft
    )
  )
})

const largest = <A extends bigint | number>(values: ReadonlyArray<A | undefined>): A | undefined =>
  values.reduce(
    (most, value) => most === undefined || value === undefined ? undefined : value > most ? value : most,
    values[0]
  )
