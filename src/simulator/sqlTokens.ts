import { Result } from "effect"

/** One word of a query. `text` of an unquoted identifier is folded to lower case, that of a quoted one is kept. */
export interface Token {
  readonly kind: "identifier" | "quoted" | "string" | "number" | "symbol" | "end"
  readonly text: string
}

const PATTERN =
  /\s+|--[^\n]*|(?<quoted>"(?:[^"]|"")*")|(?<string>'(?:[^']|'')*')|(?<number>\d+)|(?<identifier>[A-Za-z_][A-Za-z0-9_$]*)|(?<symbol><=|>=|<>|!=|[=<>%*(),.;])/y

/** The words of `sql` and an end marker. Fails: what it cannot read. */
export const tokenize = (sql: string): Result.Result<ReadonlyArray<Token>, string> => {
  const tokens: Array<Token> = []
  PATTERN.lastIndex = 0
  while (PATTERN.lastIndex < sql.length) {
    const at = PATTERN.lastIndex
    const groups = PATTERN.exec(sql)?.groups
    if (groups === undefined) {
      return Result.fail(`sql parser error: Unexpected text at column ${at + 1}: ${sql.slice(at, at + 20)}`)
    }
    if (groups["quoted"] !== undefined) {
      tokens.push({ kind: "quoted", text: groups["quoted"].slice(1, -1).replaceAll(`""`, `"`) })
    } else if (groups["string"] !== undefined) {
      tokens.push({ kind: "string", text: groups["string"].slice(1, -1).replaceAll(`''`, `'`) })
    } else if (groups["number"] !== undefined) tokens.push({ kind: "number", text: groups["number"] })
    else if (groups["identifier"] !== undefined) {
      tokens.push({ kind: "identifier", text: groups["identifier"].toLowerCase() })
    } else if (groups["symbol"] !== undefined) tokens.push({ kind: "symbol", text: groups["symbol"] })
  }
  tokens.push({ kind: "end", text: "EOF" })
  return Result.succeed(tokens)
}
