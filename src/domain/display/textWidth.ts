/** How many columns a text takes on a terminal. */

/** Two columns wide: East Asian wide and full-width characters, and emoji. Source: Unicode, UAX 11. */
const WIDE =
  /[\p{Script=Han}\p{Script=Hangul}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Bopomofo}\p{Emoji_Presentation}\ufe0f\u3000-\u303e\uff01-\uff60\uffe0-\uffe6]/u
/** Nothing but marks and invisible characters. */
const ZERO_WIDTH = /^[\p{Mark}\p{Default_Ignorable_Code_Point}]+$/u
/** Latin, punctuation, lines and bars: a column each, and nothing to look up. */
const NARROW = /^[\x20-\x7e\u00a1-\u00ac\u00ae-\u02ff\u2010-\u2027\u2500-\u259f]*$/

/** Marks, joiners, flags and skin tones: characters that are one with those before them. */
const COMBINING = /[\p{Mark}\p{Default_Ignorable_Code_Point}\p{Regional_Indicator}\p{Emoji_Modifier}]/u

const segmenter = new Intl.Segmenter(undefined, { granularity: "grapheme" })

/** What a reader takes for characters; most texts have one per code point, which is found much faster. */
const graphemesOf = (text: string): ReadonlyArray<string> =>
  COMBINING.test(text) ? Array.from(segmenter.segment(text), ({ segment }) => segment) : [...text]

const graphemeWidth = (grapheme: string): number => WIDE.test(grapheme) ? 2 : ZERO_WIDTH.test(grapheme) ? 0 : 1

/** The columns of `text`, which has no control characters. */
export const textWidth = (text: string): number => {
  if (NARROW.test(text)) return text.length
  let width = 0
  for (const grapheme of graphemesOf(text)) width += graphemeWidth(grapheme)
  return width
}

/** The first characters of `text` that take at most `columns` columns, none of them cut in two. */
export const firstColumns = (text: string, columns: number): string => {
  if (NARROW.test(text)) return text.slice(0, Math.max(0, columns))
  let [kept, room] = ["", columns]
  for (const grapheme of graphemesOf(text)) {
    room -= graphemeWidth(grapheme)
    if (room < 0) break
    kept += grapheme
  }
  return kept
}

/** `text`, or its beginning with an ellipsis where it is wider than `columns`. */
export const truncate = (text: string, columns: number): string =>
  textWidth(text) <= columns ? text : columns < 1 ? "" : `${firstColumns(text, columns - 1).trimEnd()}…`

/** `text`, or its beginning and its end with an ellipsis between them: names often differ in what comes last. */
export const truncateMiddle = (text: string, columns: number): string => {
  if (textWidth(text) <= columns) return text
  const last = Math.floor((columns - 1) / 3)
  let end = ""
  for (const grapheme of graphemesOf(text).toReversed()) {
    if (textWidth(end) + graphemeWidth(grapheme) > last) break
    end = grapheme + end
  }
  return columns < 1 ? "" : `${firstColumns(text, columns - 1 - textWidth(end))}…${end}`
}

/** `text` in exactly `columns` columns, as long as it is no wider. */
export const pad = (text: string, columns: number, alignment: "left" | "right"): string => {
  const spaces = " ".repeat(Math.max(0, columns - textWidth(text)))
  return alignment === "left" ? text + spaces : spaces + text
}

/** `text` on one line: messages of a server or a database may contain line breaks and control characters. */
// oxlint-disable-next-line eslint/no-control-regex
export const oneLine = (text: string): string => text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, " ").trim()
