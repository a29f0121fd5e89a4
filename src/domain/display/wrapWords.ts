/** Breaks lines between words. */
import { textWidth } from "./textWidth.ts"

/** SGR sequences, which take no column. Source: ECMA-48, 8.3.117. */
// oxlint-disable-next-line eslint/no-control-regex
const SGR = /\u001b\[[\d;]*m/g
/** Other control characters may move the cursor: such a line is left alone. */
// oxlint-disable-next-line eslint/no-control-regex
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/

/** What follows a break, beside the spaces that the line begins with. */
const INDENT = "    "

/**
 * `line`, without a line break in it, as lines of at most `columns` columns. A word that is wider stays whole, so that it can be
 * copied: the terminal breaks it.
 */
export const wrapWords = (line: string, columns: number): ReadonlyArray<string> => {
  const bare = line.replaceAll(SGR, "")
  if (CONTROL.test(bare) || textWidth(bare) <= columns) return [line]
  const indent = `${/^ */.exec(bare)![0]}${INDENT}`
  const lines: Array<string> = []
  let current = ""
  let width = 0
  for (const [piece, spaces = "", word = ""] of line.matchAll(/( *)([^ ]+)/g)) {
    const wordWidth = textWidth(word.replaceAll(SGR, ""))
    if (width > 0 && width + spaces.length + wordWidth > columns) {
      lines.push(current)
      current = `${indent}${word}`
      width = indent.length + wordWidth
    } else {
      current += piece
      width += spaces.length + wordWidth
    }
  }
  return [...lines, current]
}
