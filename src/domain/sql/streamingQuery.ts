/**
 * Checks a user's query and adds the setting with which the server streams it.
 *
 * It rejects queries that can never be synced; whether a query is incremental is decided by the server.
 */
import { Result } from "effect"
import { endsOperand, orderByIndex, rowLimit, settingsIndex } from "./clauses.ts"
import { isSymbol, isWord, type Token, tokenize } from "./tokenize.ts"

/** A checked query in the forms that are sent. */
export interface StreamingQuery {
  /** As the user wrote it, trimmed, without a semicolon at its end. */
  readonly sql: string
  /** The query that is sent to follow the chain; ends with `SETTINGS stream = true`. */
  readonly streaming: string
  /** The query for the rows that the server has now. */
  readonly batch: string
  /** Changes to the text that do not change the rows, one sentence each. */
  readonly notes: ReadonlyArray<string>
  /** Equal for queries that differ only in layout, comments and the case of words. */
  readonly normalized: string
}

/** A query that cannot be synced. */
export interface InvalidQuery {
  readonly _tag: "InvalidQuery"
  /** A sentence: the problem, and what to do. */
  readonly reason: string
}

/** Fails with the first reason that applies. */
export const streamingQuery = (sql: string): Result.Result<StreamingQuery, InvalidQuery> =>
  Result.gen(function*() {
    const all = yield* Result.mapError(tokenize(sql), (problem) => invalid(`the query ${problem}`))
    const statement = yield* singleStatement(all)
    yield* checkVerb(statement)
    const settings = settingsIndex(statement, 0)
    if (settings >= 0) yield* checkSettings(statement.slice(settings + 1))
    const body = settings < 0 ? statement : statement.slice(0, settings)
    const depth = wrappingParentheses(body)
    const inner = body.slice(depth, body.length - depth)
    yield* checkClauses(inner, depth)
    // Appended to an incomplete expression, SETTINGS would become a part of it.
    if (!endsOperand(body, body.length - 1)) return yield* reject("the query ends in the middle of an expression")
    const ordered = orderByIndex(inner, depth)
    if (ordered >= 0) yield* checkUnsorted(inner, depth)
    const kept = ordered < 0 ? body : body.slice(0, depth + ordered)
    // The text ends with a token, so that no comment after it can swallow the appended setting.
    const batch = sql.slice(body[0]?.start, kept.at(-1)?.end) + (ordered < 0 ? "" : ")".repeat(depth))
    return {
      sql: sql.slice(0, statement.at(-1)?.end).trim(),
      streaming: streamed(batch),
      batch,
      notes: ordered < 0 ? [] : [orderByNote],
      normalized: kept.map((token) => token.text).join(" ") + (ordered < 0 ? "" : " )".repeat(depth))
    }
  })

/** Adds the setting to a query without SETTINGS, as it is sent to follow the chain. */
export const streamed = (batch: string): string => `${batch} SETTINGS stream = true`

const orderByNote = "ORDER BY was left out: the rows of a table have no order, and a stream cannot be sorted"

const invalid = (reason: string): InvalidQuery => ({ _tag: "InvalidQuery", reason })

const reject = (reason: string): Result.Result<never, InvalidQuery> => Result.fail(invalid(reason))

/** The tokens without the semicolons that end them. */
const singleStatement = (tokens: ReadonlyArray<Token>): Result.Result<ReadonlyArray<Token>, InvalidQuery> => {
  let length = tokens.length
  while (isSymbol(tokens[length - 1], ";")) length--
  const statement = tokens.slice(0, length)
  if (length === 0) return reject("the query is empty; write a SELECT")
  if (statement.some((token) => isSymbol(token, ";"))) {
    return reject("the query has several statements; a table is filled by exactly one SELECT")
  }
  return Result.succeed(statement)
}

const checkVerb = (tokens: ReadonlyArray<Token>): Result.Result<void, InvalidQuery> => {
  const start = tokens.findIndex((token) => !isSymbol(token, "("))
  const first = tokens[start]
  if (isWord(first, "select")) return Result.void
  const notSelect = "the query is not a SELECT; a table is filled by a query that begins with SELECT or WITH"
  if (!isWord(first, "with")) return reject(notSelect)
  const verb = tokens.find((token, index) =>
    index > start && token.depth === first?.depth && token.kind === "word" && verbs.includes(token.text)
  )
  return verb === undefined || verb.text === "select" ? Result.void : reject(notSelect)
}

const verbs = ["select", "insert", "update", "delete", "merge"]

/** How many pairs of parentheses enclose the whole text. */
const wrappingParentheses = (tokens: ReadonlyArray<Token>): number => {
  let depth = 0
  for (;;) {
    const last = tokens.length - 1 - depth
    const closes = tokens.findIndex((token) => isSymbol(token, ")") && token.depth === depth)
    if (!isSymbol(tokens[depth], "(") || closes !== last) return depth
    depth++
  }
}

const checkSettings = (tokens: ReadonlyArray<Token>): Result.Result<void, InvalidQuery> => {
  for (let at = 0; at < tokens.length; at += 4) {
    const [name, equals, value, comma] = tokens.slice(at, at + 4)
    if (!isSymbol(equals, "=") || value === undefined || (comma !== undefined && !isSymbol(comma, ","))) {
      return reject("the SETTINGS clause cannot be read; write SETTINGS stream = true, or leave it out")
    }
    if (name?.text.replaceAll("\"", "").toLowerCase() !== "stream") {
      return reject(`SETTINGS ${name?.text} is not supported; the only setting of a table is stream = true`)
    }
    if (!isWord(value, "true")) {
      return reject(
        "SETTINGS stream must be true: with any other value the query ends at the present head, and the table would get no more rows"
      )
    }
    if (comma !== undefined && tokens[at + 4] === undefined) return reject("the SETTINGS clause ends with a comma")
  }
  return Result.void
}

const checkClauses = (tokens: ReadonlyArray<Token>, depth: number): Result.Result<void, InvalidQuery> => {
  const limit = rowLimit(tokens, depth)
  if (limit !== undefined) {
    return reject(
      `${limit} is not possible: which rows come first changes while the chain grows; ` +
        "remove it, and choose rows with WHERE (a range of block numbers, for example)"
    )
  }
  return depth > 0 && settingsIndex(tokens, depth) >= 0
    ? reject("SETTINGS is inside of the parentheses; move it to the end of the query, or leave it out")
    : Result.void
}

const checkUnsorted = (tokens: ReadonlyArray<Token>, depth: number): Result.Result<void, InvalidQuery> =>
  tokens.some((token, at) => token.depth === depth && isWord(token, "distinct") && isWord(tokens[at + 1], "on"))
    ? reject("ORDER BY decides which rows DISTINCT ON keeps, and a stream cannot be sorted; remove ORDER BY")
    : Result.void
