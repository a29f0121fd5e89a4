/** Lays text out in columns. */
import type { Line, Style } from "./Line.ts"

/** A cell of a table of text; numbers stand at the right of their column. */
export interface Cell {
  readonly text: string
  readonly style?: Style
}

const GAP = "  "

export interface Heading {
  readonly text: string
  readonly alignment: "left" | "right"
  /** Keeps a column from moving while its numbers grow. */
  readonly leastWidth?: number
}

/** Lines of equal columns, as wide as their widest cell, with a dim heading. */
export const columns = (
  headings: ReadonlyArray<Heading>,
  rows: ReadonlyArray<ReadonlyArray<Cell>>
): ReadonlyArray<Line> => {
  const widths = headings.map(({ leastWidth = 0, text }, i) =>
    Math.max(leastWidth, text.length, ...rows.map((row) => row[i]?.text.length ?? 0))
  )
  const lineOf = (cells: ReadonlyArray<Cell>): Line =>
    headings.flatMap(({ alignment }, i) => {
      const { style, text } = cells[i] ?? { text: "" }
      const padded = alignment === "left" ? text.padEnd(widths[i]!) : text.padStart(widths[i]!)
      return [GAP, style === undefined ? padded : { text: padded, style }]
    })
  return [lineOf(headings.map(({ text }) => ({ text, style: "dim" }))), ...rows.map(lineOf)]
}
