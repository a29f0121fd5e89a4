/**
 * Splits SQL into tokens, so that words inside strings and comments are never mistaken for clauses.
 *
 * Source: the generic dialect of sqlparser, which the servers parse with: nested comments, E-strings, backticks, dollar quotes.
 */
import { Result } from "effect"

export type TokenKind = "word" | "quoted" | "string" | "number" | "symbol"

/** A token of a query, with its place. */
export interface Token {
  readonly kind: TokenKind
  /** As written; of a word the lower case form, because unquoted names fold on the server. */
  readonly text: string
  /** Offsets in UTF-16 units; `end` excludes. */
  readonly start: number
  readonly end: number
  /** How many parentheses are open around it; a parenthesis itself has the depth outside of it. */
  readonly depth: number
}

export const isWord = (token: Token | undefined, text: string): boolean => token?.kind === "word" && token.text === text

export const isSymbol = (token: Token | undefined, text: string): boolean =>
  token?.kind === "symbol" && token.text === text

/** A name as the server reads it: without quotes, and in lower case where it has none. */
export const nameOf = ({ kind, text }: Token): string => {
  if (kind !== "quoted") return text
  const quote = text.charAt(0)
  return text.slice(1, -1).replaceAll(quote + quote, quote)
}

/** Why a text cannot be split into tokens, as the end of a sentence that begins "the query". */
export type Untokenizable = string

const space = /\s+/y
const lineComment = /--[^\n]*/y
const word = /[\p{L}_@#][\p{L}\p{N}_$@#]*/uy
const number = /(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?/y
const dollarTag = /\$(?:[\p{L}_][\p{L}\p{N}_]*)?\$/uy

/** Splits `sql` into tokens; comments are none. Fails: an open string, comment, quoted name or parenthesis. */
export const tokenize = (sql: string): Result.Result<ReadonlyArray<Token>, Untokenizable> => {
  const tokens: Array<Token> = []
  let depth = 0
  let at = 0
  const match = (pattern: RegExp): number => {
    pattern.lastIndex = at
    return pattern.test(sql) ? pattern.lastIndex : -1
  }
  while (at < sql.length) {
    const skipped = Math.max(match(space), match(lineComment))
    if (skipped > at) {
      at = skipped
      continue
    }
    if (sql.startsWith("/*", at)) {
      const end = blockCommentEnd(sql, at)
      if (end < 0) return Result.fail("has a comment that is never closed")
      at = end
      continue
    }
    const next = quotedAt(sql, at, match) ?? plainAt(sql, at, match)
    if (typeof next === "string") return Result.fail(next)
    if (next.text === ")") depth--
    if (depth < 0) return Result.fail("closes a parenthesis that was never opened")
    tokens.push({ kind: next.kind, text: next.text, start: at, end: next.end, depth })
    if (next.text === "(" && next.kind === "symbol") depth++
    at = next.end
  }
  return depth === 0 ? Result.succeed(tokens) : Result.fail("has a parenthesis that is never closed")
}

type Piece = { readonly kind: TokenKind; readonly text: string; readonly end: number }

/** The string or quoted name that begins here, or why it never ends; undefined where none begins. */
const quotedAt = (sql: string, at: number, match: (pattern: RegExp) => number): Piece | string | undefined => {
  const first = sql.charAt(at)
  const escaped = (first === "E" || first === "e") && sql.charAt(at + 1) === "'"
  if (first === "'" || escaped) {
    const end = quoteEnd(sql, escaped ? at + 1 : at, "'", escaped)
    return end < 0 ? "has a string that is never closed" : { kind: "string", text: sql.slice(at, end), end }
  }
  if (first === "\"" || first === "`") {
    const end = quoteEnd(sql, at, first, false)
    return end < 0 ? "has a quoted name that is never closed" : { kind: "quoted", text: sql.slice(at, end), end }
  }
  const opened = first === "$" ? match(dollarTag) : -1
  if (opened < 0) return undefined
  const tag = sql.slice(at, opened)
  const close = sql.indexOf(tag, opened)
  if (close < 0) return "has a string that is never closed"
  return { kind: "string", text: sql.slice(at, close + tag.length), end: close + tag.length }
}

const plainAt = (sql: string, at: number, match: (pattern: RegExp) => number): Piece => {
  const wordEnd = match(word)
  if (wordEnd > at) return { kind: "word", text: sql.slice(at, wordEnd).toLowerCase(), end: wordEnd }
  const numberEnd = match(number)
  if (numberEnd > at) return { kind: "number", text: sql.slice(at, numberEnd), end: numberEnd }
  return { kind: "symbol", text: sql.charAt(at), end: at + 1 }
}

/** Behind the closing quote; a doubled quote is a quote of the text. -1 where none closes. */
const quoteEnd = (sql: string, at: number, quote: string, backslashes: boolean): number => {
  for (let i = at + 1; i < sql.length; i++) {
    const char = sql.charAt(i)
    if (backslashes && char === "\\") i++
    else if (char === quote && sql.charAt(i + 1) === quote) i++
    else if (char === quote) return i + 1
  }
  return -1
}

const blockCommentEnd = (sql: string, at: number): number => {
  let open = 0
  for (let i = at; i < sql.length - 1; i++) {
    const pair = sql.slice(i, i + 2)
    if (pair === "/*") open++
    else if (pair === "*/") open--
    else continue
    if (open === 0) return i + 2
    i++
  }
  return -1
}
