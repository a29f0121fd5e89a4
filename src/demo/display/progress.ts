/** The progress of tables as text. */
import { counted, formatCount } from "../../domain/numbers.ts"
import { type Cell, columns, type Heading } from "./columns.ts"
import type { Line, Style } from "./Line.ts"

/** The progress of one table. */
export interface TableProgress {
  readonly table: string
  readonly rows: bigint
  readonly blocks: bigint
  readonly rowsPerSecond: number
  /** The last block known to be complete. */
  readonly watermark: bigint | undefined
  readonly reorgs: number
  readonly state: string
  /** Why it is not synced, where it is not. */
  readonly reason: string | undefined
}

const headings: ReadonlyArray<Heading> = [
  { text: "table", alignment: "left" },
  { text: "rows", alignment: "right", leastWidth: 9 },
  { text: "blocks", alignment: "right", leastWidth: 7 },
  { text: "rows/s", alignment: "right", leastWidth: 7 },
  { text: "watermark", alignment: "right" },
  { text: "reorgs", alignment: "right" },
  { text: "state", alignment: "left" }
]

const styleOf = (state: string): Style | undefined => {
  if (state === "caught up" || state === "at the tip") return "green"
  if (state === "stalled" || state === "parked") return "red"
  return state === "retrying" || state === "standby" ? "yellow" : undefined
}

/** Messages of a server or a database may contain line breaks and control characters. */
// oxlint-disable-next-line eslint/no-control-regex
const oneLine = (text: string): string => text.replace(/[\u0000-\u001f\u007f-\u009f]+/g, " ")

const stateOf = ({ reason, state }: TableProgress): string =>
  reason === undefined ? state : `${state}: ${oneLine(reason)}`

const cells = (progress: TableProgress): ReadonlyArray<Cell> => {
  const style = styleOf(progress.state)
  const text = stateOf(progress)
  return [
    { text: progress.table, style: "bold" },
    { text: formatCount(progress.rows) },
    { text: formatCount(progress.blocks) },
    { text: formatCount(progress.rowsPerSecond) },
    { text: progress.watermark === undefined ? "-" : formatCount(progress.watermark) },
    { text: formatCount(progress.reorgs) },
    style === undefined ? { text } : { text, style }
  ]
}

/** A heading, and a line per table. */
export const progressTable = (tables: ReadonlyArray<TableProgress>): ReadonlyArray<Line> =>
  columns(headings, tables.map(cells))

/** The same of one table as a sentence for a log. */
export const progressSentence = (progress: TableProgress): string => {
  const watermark = progress.watermark === undefined ? "none yet" : formatCount(progress.watermark)
  return `${progress.table}: ${counted(progress.rows, "row")}, ${counted(progress.blocks, "block")}, `
    + `${formatCount(progress.rowsPerSecond)} rows/s, watermark ${watermark}, `
    + `${counted(progress.reorgs, "reorg")}, ${stateOf(progress)}`
}
