/** The figures of tables in as many columns as there is room for. */
import { formatCount, formatRoughly, formatShort } from "../numbers.ts"
import { type Cell, columns, type Heading } from "./columns.ts"
import { type Line, lineWidth } from "./Line.ts"
import { sparkline } from "./sparkline.ts"
import { styleOf, type TableProgress } from "./TableProgress.ts"
import { oneLine, truncate, truncateMiddle } from "./textWidth.ts"

/** A row of the figures of several tables. */
export interface Total extends Omit<TableProgress, "status"> {
  /** No table has to catch up. */
  readonly isDone: boolean
  readonly tables: number
  readonly rows: bigint
  readonly reorgs: number
}

type Row = { readonly _tag: "Table"; readonly of: TableProgress } | { readonly _tag: "Total"; readonly of: Total }

/** How much room there is. */
interface Layout {
  /** Columns of a name at most. */
  readonly nameWidth: number
  /** Numbers such as `12.3k`. */
  readonly isShort: boolean
}

interface Column extends Heading {
  readonly cell: (row: Row, layout: Layout) => Cell
}

const BARS = 30

const number = (count: number | bigint, { isShort }: Layout): string =>
  isShort ? formatShort(count) : formatCount(count)

/** What the database has is not read before the first connection. */
const rowsOf = (row: Row): bigint | undefined => {
  if (row._tag === "Total") return row.of.rows
  return row.of.status.hasConnected ? row.of.status.rows : undefined
}

/** Only what is catching up has an end to wait for. */
const timeLeft = (row: Row): string => {
  const isDone = row._tag === "Table" ? row.of.status.phase !== "catching up" : row.of.isDone
  if (isDone) return "-"
  return row.of.secondsLeft === undefined ? "unknown" : formatRoughly(row.of.secondsLeft)
}

const COLUMNS = {
  table: {
    text: "table",
    alignment: "left",
    cell: (row, { nameWidth }) =>
      row._tag === "Table"
        ? { text: truncateMiddle(oneLine(row.of.status.table), nameWidth), style: "bold" }
        : { text: truncate(`total of ${row.of.tables}`, nameWidth), style: "dim" }
  },
  rows: {
    text: "rows",
    alignment: "right",
    leastWidth: 7,
    cell: (row, layout) => {
      const rows = rowsOf(row)
      return { text: rows === undefined ? "-" : number(rows, layout) }
    }
  },
  rate: {
    text: "rows/s",
    alignment: "right",
    leastWidth: 6,
    cell: (row, layout) => ({ text: number(row.of.rowsPerSecond, layout) })
  },
  spark: {
    text: "rows in the last minute",
    alignment: "left",
    leastWidth: BARS,
    cell: (row) => ({ text: sparkline(row.of.rowsBySecond, BARS), style: "dim" })
  },
  watermark: {
    text: "watermark",
    alignment: "right",
    cell: (row, layout) => {
      if (row._tag === "Total") return { text: "" }
      const { hasConnected, watermark } = row.of.status
      return { text: !hasConnected ? "-" : watermark === undefined ? "none" : number(watermark, layout) }
    }
  },
  behind: {
    text: "behind",
    alignment: "right",
    leastWidth: 7,
    cell: ({ of }, layout) => ({ text: of.behind === undefined ? "unknown" : number(of.behind, layout) })
  },
  left: { text: "ETA", alignment: "right", leastWidth: 7, cell: (row) => ({ text: timeLeft(row) }) },
  reorgs: {
    text: "reorgs",
    alignment: "right",
    cell: (row, layout) => ({ text: number(row._tag === "Table" ? row.of.status.reorgs : row.of.reorgs, layout) })
  },
  state: {
    text: "state",
    alignment: "left",
    cell: (row) =>
      row._tag === "Table" ? { text: row.of.status.phase, style: styleOf(row.of.status.phase) } : { text: "" }
  }
} satisfies Readonly<Record<string, Column>>

type ColumnName = keyof typeof COLUMNS

const ALL = Object.keys(COLUMNS) as ReadonlyArray<ColumnName>

/** From the most room to the least: what is left out, and how long a name may be. */
const STEPS: ReadonlyArray<Layout & { readonly without: ReadonlyArray<ColumnName> }> = [
  { without: [], nameWidth: 48, isShort: false },
  { without: ["spark"], nameWidth: 48, isShort: false },
  { without: ["spark", "watermark"], nameWidth: 32, isShort: false },
  { without: ["spark", "watermark"], nameWidth: 20, isShort: false },
  { without: ["spark", "watermark"], nameWidth: 20, isShort: true },
  { without: ["spark", "watermark", "reorgs"], nameWidth: 20, isShort: true },
  { without: ["spark", "watermark", "reorgs"], nameWidth: 14, isShort: true },
  { without: ["spark", "watermark", "reorgs", "rows"], nameWidth: 14, isShort: true },
  { without: ["spark", "watermark", "reorgs", "rows", "rate"], nameWidth: 14, isShort: true },
  { without: ["spark", "watermark", "reorgs", "rows", "rate", "left"], nameWidth: 14, isShort: true },
  { without: ["spark", "watermark", "reorgs", "rows", "rate", "left", "behind"], nameWidth: 14, isShort: true }
]

/** A heading, a line per table and one for all of them; wider than `width` only where even the least is. */
export const progressTable = (
  tables: ReadonlyArray<TableProgress>,
  total: Total | undefined,
  width: number
): ReadonlyArray<Line> => {
  const rows: ReadonlyArray<Row> = [
    ...tables.map((of) => ({ _tag: "Table", of }) as const),
    ...(total === undefined ? [] : [{ _tag: "Total", of: total } as const])
  ]
  let lines: ReadonlyArray<Line> = []
  for (const { without, ...layout } of STEPS) {
    const shown: ReadonlyArray<Column> = ALL.filter((name) => !without.includes(name)).map((name) => COLUMNS[name])
    lines = columns(shown, rows.map((row) => shown.map(({ cell }) => cell(row, layout))))
    if (lines.every((line) => lineWidth(line) <= width)) break
  }
  return lines
}
