/** Literals for statements that are sent without parameters. */

/**
 * Writes `text` as a string literal; a NUL character, which PostgreSQL cannot store in a text, becomes U+FFFD.
 *
 * It means the same under every `standard_conforming_strings`: a text with a backslash is written as an escape string.
 * Source: PostgreSQL, doc "Lexical Structure", "String Constants with C-Style Escapes".
 */
export const textLiteral = (text: string | undefined): string => {
  if (text === undefined) return "NULL"
  const quoted = text.replaceAll("\0", "\ufffd").replaceAll("'", "''")
  return quoted.includes("\\") ? ` E'${quoted.replaceAll("\\", "\\\\")}'` : `'${quoted}'`
}

export const numberLiteral = (value: bigint | number | undefined): string =>
  value === undefined ? "NULL" : String(value)

/** An array of block numbers. */
export const blocksLiteral = (blocks: ReadonlyArray<bigint>): string => `'{${blocks.join(",")}}'::bigint[]`

/** An array of texts. */
export const textsLiteral = (texts: ReadonlyArray<string>): string =>
  `ARRAY[${texts.map(textLiteral).join(",")}]::text[]`
