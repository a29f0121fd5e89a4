/** Finds the clauses at the end of a query, and distinguishes a clause from a column of the same name. */
import type { Token } from "./tokenize.ts"

/** Words that need an operand after them: the next word is a name, not a clause. */
const expectsOperand = new Set(
  ("select distinct all from where and or not by on as in is like ilike between case when then else having using join " +
    "union except intersect with over settings").split(" ")
)

/** Words that begin or continue a clause, so that a word before them is an alias and not a clause. */
const continues = new Set(
  ("from where group having order limit offset fetch union except intersect and or not as on join left right inner outer " +
    "full cross using settings qualify window is in like between then when else end").split(" ")
)

/** True where a complete expression ends with this token, as before every clause. */
export const endsOperand = (tokens: ReadonlyArray<Token>, index: number): boolean => {
  const token = tokens[index]
  if (token === undefined) return false
  if (token.text === "*" && token.kind === "symbol") {
    const before = tokens[index - 1]?.text
    return before === "." || before === "," || before === "select" || before === "distinct" || before === "all"
  }
  if (token.kind === "symbol") return token.text === ")" || token.text === "]"
  return token.kind !== "word" || !expectsOperand.has(token.text) || tokens[index - 1]?.text === "."
}

/** True where an expression may begin with this token. */
const beginsOperand = (token: Token | undefined): boolean => {
  if (token === undefined) return false
  if (token.kind === "symbol") return ["(", "$", "?", ":", "-", "+"].includes(token.text)
  return token.kind !== "word" || !continues.has(token.text)
}

/** `LIMIT`, `OFFSET` or `FETCH` outside of every parenthesis, as written in upper case. */
export const rowLimit = (tokens: ReadonlyArray<Token>, depth: number): "LIMIT" | "OFFSET" | "FETCH" | undefined => {
  for (const [index, token] of tokens.entries()) {
    if (token.depth !== depth || token.kind !== "word" || !endsOperand(tokens, index - 1)) continue
    const next = tokens[index + 1]
    if (token.text === "limit" && beginsOperand(next)) return "LIMIT"
    if (token.text === "offset" && beginsOperand(next)) return "OFFSET"
    if (token.text === "fetch" && (next?.text === "first" || next?.text === "next")) return "FETCH"
  }
  return undefined
}

/** Index of the `SETTINGS name = value` clause, or -1. */
export const settingsIndex = (tokens: ReadonlyArray<Token>, depth: number): number =>
  tokens.findIndex((token, index) =>
    token.kind === "word" && token.text === "settings" && token.depth === depth && endsOperand(tokens, index - 1) &&
    (tokens[index + 1]?.kind === "word" || tokens[index + 1]?.kind === "quoted") && tokens[index + 2]?.text === "="
  )

/** Index of the `ORDER BY` at the end of the query, or -1; one before a set operation does not count. */
export const orderByIndex = (tokens: ReadonlyArray<Token>, depth: number): number => {
  const index = tokens.findIndex((token, at) =>
    token.kind === "word" && token.text === "order" && token.depth === depth && tokens[at + 1]?.text === "by" &&
    endsOperand(tokens, at - 1)
  )
  const operators = ["union", "except", "intersect"]
  const followed = tokens.some((token, at) =>
    at > index && token.kind === "word" && token.depth === depth && operators.includes(token.text)
  )
  return followed ? -1 : index
}
