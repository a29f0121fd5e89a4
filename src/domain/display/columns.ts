/** Lays text out in columns. */
import type { Line, Style } from "./Line.ts"
import { pad, textWidth } from "./textWidth.ts"

/** A cell of a table of text; numbers stand at the right of their column. */
export interface Cell {
  readonly text: string
  readonly style?: Style | undefined
}

const GAP = "  "

export interface Heading {
  readonly text: string
  readonly alignment: "left" | "right"
  /** Keeps a column from moving while its numbers grow. */
  readonly leastWidth?: number
}

/** Lines of equal columns, as wide as their widest cell, with a dim heading; no line ends in spaces. */
export const columns = (
  headings: ReadonlyArray<Heading>,
  rows: ReadonlyArray<ReadonlyArray<Cell>>
): ReadonlyArray<Line> => {
  const widths = headings.map(({ leastWidth = 0, text }, i) =>
    Math.max(leastWidth, textWidth(text), ...rows.map((row) => textWidth(row[i]?.text ?? "")))
  )
  const lineOf = (cells: ReadonlyArray<Cell>): Line => {
    const last = cells.findLastIndex(({ text }) => text !== "")
    return headings.slice(0, last + 1).flatMap(({ alignment }, i) => {
      const { style, text } = cells[i] ?? { text: "" }
      const padded = i === last && alignment === "left" ? text : pad(text, widths[i]!, alignment)
      return [GAP, style === undefined ? padded : { text: padded, style }]
    })
  }
  return [lineOf(headings.map(({ text }) => ({ text, style: "dim" }))), ...rows.map(lineOf)]
}
