/** One line of terminal output: pieces of text, some of them with a style. */

export type Style = "bold" | "dim" | "green" | "yellow" | "red"

export interface Styled {
  readonly text: string
  readonly style: Style
}

/** Holds no control characters and only characters that are one column wide. */
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

/** The line as a terminal understands it. */
export const paint = (line: Line): string =>
  line.map((span) => {
    if (typeof span === "string") return span
    const [on, off] = codes[span.style]
    return `\u001b[${on}m${span.text}\u001b[${off}m`
  }).join("")

/** The first `columns` columns of the line: one that wraps would count as two when it is drawn again. */
export const fit = (line: Line, columns: number): Line => {
  const kept: Array<string | Styled> = []
  let room = columns
  for (const span of line) {
    if (room <= 0) break
    const text = textOf(span).slice(0, room)
    room -= text.length
    kept.push(typeof span === "string" ? text : { text, style: span.style })
  }
  return kept
}
