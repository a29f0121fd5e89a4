/** Splits SQL into tokens. */
import { Result } from "effect"

/** One word of a query. `text` of an unquoted identifier is folded to lower case, that of a quoted one is kept. */
export interface Token {
  readonly kind: "identifier" | "quoted" | "string" | "number" | "symbol" | "end"
  readonly text: string
  /** The text in the query with its place, as the parser of the servers prints it. */
  readonly found: string
}

const PATTERN =
  /\s+|--[^\n]*|(?<quoted>"(?:[^"]|"")*")|(?<string>'(?:[^']|'')*')|(?<number>\d+)|(?<identifier>[A-Za-z_][A-Za-z0-9_$]*)|(?<symbol><=|>=|<>|!=|[=<>%*(),.;[\]])/y

/** The tokens of `sql` and an end marker. Fails: text that is no token. */
export const tokenize = (sql: string): Result.Result<ReadonlyArray<Token>, string> => {
  const tokens: Array<Token> = []
  const push = (kind: Token["kind"], text: string, at: number) =>
    tokens.push({ kind, text, found: `${sql.slice(at, PATTERN.lastIndex)} at ${placeOf(sql, at)}` })
  PATTERN.lastIndex = 0
  while (PATTERN.lastIndex < sql.length) {
    const at = PATTERN.lastIndex
    const groups = PATTERN.exec(sql)?.groups
    if (groups === undefined) {
      return Result.fail(`Unexpected text at ${placeOf(sql, at)}: ${sql.slice(at, at + 20)}`)
    }
    if (groups["quoted"] !== undefined) push("quoted", groups["quoted"].slice(1, -1).replaceAll(`""`, `"`), at)
    else if (groups["string"] !== undefined) push("string", groups["string"].slice(1, -1).replaceAll(`''`, `'`), at)
    else if (groups["number"] !== undefined) push("number", groups["number"], at)
    else if (groups["identifier"] !== undefined) push("identifier", groups["identifier"].toLowerCase(), at)
    else if (groups["symbol"] !== undefined) push("symbol", groups["symbol"], at)
  }
  tokens.push({ kind: "end", text: "EOF", found: "EOF" })
  return Result.succeed(tokens)
}

const placeOf = (sql: string, at: number): string => {
  const lines = sql.slice(0, at).split("\n")
  return `Line: ${lines.length}, Column: ${lines.at(-1)!.length + 1}`
}
