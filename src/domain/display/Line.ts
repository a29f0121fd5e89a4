/** One line of terminal output: pieces of text, some of them with a style. */
import { textWidth, truncate } from "./textWidth.ts"

export type Style = "bold" | "dim" | "green" | "yellow" | "red"

export interface Styled {
  readonly text: string
  readonly style: Style
}

/** Holds no control characters. */
export type Line = ReadonlyArray<string | Styled>

/** SGR parameters on and off. Source: ECMA-48, 8.3.117. */
const codes: Record<Style, readonly [on: number, off: number]> = {
  bold: [1, 22],
  dim: [2, 22],
  green: [32, 39],
  yellow: [33, 39],
  red: [31, 39]
}

const textOf = (span: string | Styled): string => typeof span === "string" ? span : span.text

/** The line without its styles. */
export const plain = (line: Line): string => line.map(textOf).join("")

/** The columns that the line takes. */
export const lineWidth = (line: Line): number => textWidth(plain(line))

/** The line as a terminal understands it. */
export const paint = (line: Line): string =>
  line.map((span) => {
    if (typeof span === "string") return span
    const [on, off] = codes[span.style]
    return `\u001b[${on}m${span.text}\u001b[${off}m`
  }).join("")

/** The line in at most `columns` columns, with an ellipsis where it was wider: one that wraps could not be drawn again. */
export const fit = (line: Line, columns: number): Line => {
  if (lineWidth(line) <= columns) return line
  const kept: Array<string | Styled> = []
  let room = columns
  for (const span of line) {
    const width = textWidth(textOf(span))
    // Room for the ellipsis, which the last piece gets.
    const isLast = width >= room
    const text = isLast ? truncate(`${textOf(span)} `, room) : textOf(span)
    kept.push(typeof span === "string" ? text : { text, style: span.style })
    room -= width
    if (isLast) break
  }
  return kept
}
