/** The progress of all tables, for the lower part of a terminal. */
import { counted, formatCount } from "../numbers.ts"
import { fit, type Line, plain } from "./Line.ts"
import { progressTable, type Total } from "./progressTable.ts"
import { byUrgency, longestWay, phaseCounts, styleOf, type TableProgress } from "./TableProgress.ts"
import { oneLine } from "./textWidth.ts"
import { wrapWords } from "./wrapWords.ts"

/** Of a terminal, in characters. */
export interface Size {
  readonly columns: number
  readonly rows: number
}

export interface Progress {
  /** Stands above the tables. */
  readonly heading: ReadonlyArray<Line>
  readonly tables: ReadonlyArray<TableProgress>
  /** Rows of all tables per second, and in each of the last seconds. */
  readonly all: Pick<Total, "rowsBySecond" | "rowsPerSecond">
}

/** Reasons that are shown at most, and lines of each. */
const MOST_REASONS = 2
const REASON_LINES = 2
/** Tables that a reason names. */
const NAMED = 3

/** The lines of a view of `size`; none is wider, and there is room for log lines above them. */
export const progressView = ({ all, heading, tables }: Progress, { columns, rows }: Size): ReadonlyArray<Line> => {
  // A line in the last column would make some terminals begin another one.
  const width = Math.max(1, columns - 1)
  const height = Math.max(1, rows - 1 - Math.min(8, Math.floor(rows / 3)))
  const reasons = reasonLines(tables, width)
  const total = tables.length < 2 ? undefined : totalOf(tables, all)
  const needed = 1 + (total === undefined ? 0 : 1)
  // What there is no room for: first the reasons, then the heading.
  const below = needed + 3 + heading.length + reasons.length <= height ? reasons : []
  const rule: Line = [{ text: "─".repeat(width), style: "dim" }]
  const above = needed + 3 + heading.length <= height ? [rule, ...heading] : []
  const room = Math.max(1, height - needed - above.length - below.length)
  const shown = tables.length <= room ? tables : byUrgency(tables).slice(0, Math.max(1, room - 1))
  const lines = tables.length === 0 ? [] : progressTable(shown, total, width)
  const hidden = byUrgency(tables).slice(shown.length)
  const more: ReadonlyArray<Line> = tables.length === shown.length
    ? []
    : [[`  and ${formatCount(hidden.length)} more: `, ...phaseCounts(hidden)]]
  const [ofTables, ofTotal] = total === undefined ? [lines, []] : [lines.slice(0, -1), lines.slice(-1)]
  return [...above, ...ofTables, ...more, ...ofTotal, ...below].slice(-height).map((line) => fit(line, width))
}

const totalOf = (tables: ReadonlyArray<TableProgress>, all: Progress["all"]): Total => ({
  ...all,
  ...longestWay(tables),
  isDone: tables.every(({ status }) => status.phase !== "catching up"),
  tables: tables.length,
  rows: tables.reduce((sum, { status }) => sum + status.rows, 0n),
  reorgs: tables.reduce((sum, { status }) => sum + status.reorgs, 0)
})

/** Why tables are not synced; the same reason of several tables once. */
const reasonLines = (tables: ReadonlyArray<TableProgress>, width: number): ReadonlyArray<Line> => {
  const groups = new Map<string, ReadonlyArray<TableProgress["status"]>>()
  for (const { status } of byUrgency(tables)) {
    if (status.reason === undefined) continue
    const key = `${status.phase} ${status.reason}`
    groups.set(key, [...groups.get(key) ?? [], status])
  }
  return [...groups.values()].slice(0, MOST_REASONS).flatMap((group) => {
    const { phase, reason } = group[0]!
    const names = group.slice(0, NAMED).map(({ table }) => oneLine(table)).join(", ")
    const others = group.length > NAMED ? ` and ${counted(group.length - NAMED, "other")}` : ""
    const [first = "", ...rest] = wrapWords(`  ${phase}: ${names}${others}: ${oneLine(reason ?? "")}`, width)
    const style = styleOf(phase)
    const lines: ReadonlyArray<Line> = [
      style === undefined ? [first] : ["  ", { text: phase, style }, first.slice(2 + phase.length)],
      ...rest.map((line) => [line])
    ]
    const kept = lines.slice(0, REASON_LINES)
    return lines.length === kept.length ? kept : [...kept.slice(0, -1), [`${plain(kept.at(-1)!)} …`]]
  })
}

/** `3 tables: 1 parked, 2 caught up`. */
export const tableCounts = (tables: ReadonlyArray<TableProgress>): Line => [
  `${counted(tables.length, "table")}: `,
  ...phaseCounts(tables)
]
