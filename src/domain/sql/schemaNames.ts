/**
 * Finds the schemas that a query names before tables, columns and functions, and replaces them.
 *
 * A schema is named before a table after FROM or JOIN, in a column `schema.table.column` of such a table, and before a function.
 * Everything else that has a dot is a column of an alias, a CTE or a struct, and stays.
 */
import { isSymbol, isWord, nameOf, type Token } from "./tokenize.ts"

/** One place in the text that names a schema. */
export interface SchemaName {
  /** As the server reads it: without quotes, and in lower case where it has none. */
  readonly name: string
  readonly isQuoted: boolean
  /** It is named before a function, not before a table. */
  readonly isFunction: boolean
  /** Offsets in UTF-16 units; `end` excludes. */
  readonly start: number
  readonly end: number
}

/** The state of the scan inside of one parenthesis, or outside of all. */
interface Scope {
  /** A SELECT came, so that FROM begins a list of tables: in `extract(year from x)` it does not. */
  hasSelect: boolean
  /** Inside of a list of tables, where a comma is followed by the next one. */
  inFrom: boolean
}

/** All places that name a schema, in the order of the text. */
export const schemaNames = (tokens: ReadonlyArray<Token>): ReadonlyArray<SchemaName> => {
  const tables = tablePlaces(tokens)
  const qualified = new Set(tables.filter(({ hasAlias }) => !hasAlias).map(({ at }) => tableKey(tokens, at)))
  const places = new Map(tables.map(({ at }) => [at, false]))
  for (const at of tokens.keys()) {
    if (isDot(tokens[at - 1]) || !isName(tokens[at]) || !isDot(tokens[at + 1]) || !isName(tokens[at + 2])) continue
    const next = tokens[at + 3]
    const isFunction = next?.kind === "symbol" && next.text === "("
    if (isFunction || (isDot(next) && qualified.has(tableKey(tokens, at)))) places.set(at, isFunction)
  }
  return [...places].toSorted(([a], [b]) => a - b).map(([at, isFunction]) => {
    const token = tokens[at]!
    return { name: nameOf(token), isQuoted: token.kind === "quoted", isFunction, start: token.start, end: token.end }
  })
}

/** Replaces each schema in `sql` with the result of `replacement`; undefined keeps it. */
export const replaceSchemas = (
  sql: string,
  names: ReadonlyArray<SchemaName>,
  replacement: (name: SchemaName) => string | undefined
): string => {
  let text = ""
  let at = 0
  for (const name of names) {
    text += sql.slice(at, name.start) + (replacement(name) ?? sql.slice(name.start, name.end))
    at = name.end
  }
  return text + sql.slice(at)
}

/** Indexes of the first part of every `schema.table` after FROM and JOIN. */
const tablePlaces = (
  tokens: ReadonlyArray<Token>
): ReadonlyArray<{ readonly at: number; readonly hasAlias: boolean }> => {
  const found: Array<{ readonly at: number; readonly hasAlias: boolean }> = []
  const scopes: Array<Scope> = [{ hasSelect: false, inFrom: false }]
  let expectsTable = false
  for (const [at, token] of tokens.entries()) {
    const scope = scopes.at(-1)!
    const expected: boolean = expectsTable
    expectsTable = false
    if (token.kind === "symbol") {
      // A parenthesis in the place of a table holds a query, or a join of tables.
      if (token.text === "(") {
        scopes.push({ hasSelect: false, inFrom: expected })
        expectsTable = expected
      } else if (token.text === ")") scopes.pop()
      else if (token.text === "," && scope.inFrom) expectsTable = true
      continue
    }
    if (token.kind === "word" && !isDot(tokens[at - 1])) {
      if (token.text === "select") {
        scope.hasSelect = true
        scope.inFrom = false
        continue
      }
      if (token.text === "from") {
        const isComparison = isWord(tokens[at - 1], "distinct") && ["is", "not"].includes(tokens[at - 2]?.text ?? "")
        if (scope.hasSelect && !isComparison) expectsTable = scope.inFrom = true
        continue
      }
      if (token.text === "join" && scope.inFrom) {
        expectsTable = true
        continue
      }
      if (expected && ["lateral", "only"].includes(token.text) && !isDot(tokens[at + 1])) {
        expectsTable = true
        continue
      }
      if (endsFrom.has(token.text)) scope.inFrom = false
    }
    if (!expected || !isName(token) || !isDot(tokens[at + 1]) || !isName(tokens[at + 2]) || isDot(tokens[at + 3])) {
      continue
    }
    const next = tokens[at + 3]
    found.push({ at, hasAlias: next?.kind === "quoted" || (next?.kind === "word" && !follows.has(next.text)) })
  }
  return found
}

const endsFrom = new Set(
  "where group having order limit offset fetch union except minus intersect window qualify settings".split(" ")
)

/** Words after a table that are no alias of it. */
const follows = new Set([
  ...endsFrom,
  ..."join inner left right full cross natural semi anti on using tablesample".split(" ")
])

const isDot = (token: Token | undefined): boolean => isSymbol(token, ".")

const isName = (token: Token | undefined): token is Token => token?.kind === "word" || token?.kind === "quoted"

const tableKey = (tokens: ReadonlyArray<Token>, at: number): string =>
  JSON.stringify([nameOf(tokens[at]!), nameOf(tokens[at + 2]!)])
