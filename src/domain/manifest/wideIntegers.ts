/** Finds the columns of a query that are integers of more than 126 bits out of decoded logs, which servers send as text. */
import { isSymbol, isWord, nameOf, type Token, tokenize } from "../sql/tokenize.ts"

/** Wider ones do not fit into 38 digits, and come as decimal text or with 76 digits. */
const NARROW_BITS = 126

/**
 * The columns `event['value'] AS value` of a query whose only event signature gives that input such a type.
 *
 * This is a guess from the text of the query: a column that is neither text nor a decimal by its schema is not treated so.
 */
export const wideIntegers = (sql: string): ReadonlyArray<string> => {
  const read = tokenize(sql)
  if (read._tag === "Failure") return []
  const tokens = read.success
  const signatures = new Set(tokens.flatMap((token, at) => {
    const isCall = isWord(token, "evm_decode_log") && isSymbol(tokens[at + 1], "(")
    return isCall ? [signatureArgument(tokens, at + 1)] : []
  }))
  const [signature] = signatures
  if (signature === undefined || signatures.size !== 1) return []
  const wide = wideInputs(signature)
  return tokens.flatMap((token, at) => {
    const [open, field, close, as, alias] = tokens.slice(at, at + 5)
    const isSelected = token.text === "[" && open !== undefined && field?.kind === "string" && close?.text === "]" &&
      isWord(as, "as") && alias !== undefined
    return isSelected && wide.has(stringOf(field)) ? [nameOf(alias)] : []
  })
}

/** The last string before the parenthesis that closes the call. */
const signatureArgument = (tokens: ReadonlyArray<Token>, open: number): string | undefined => {
  const depth = tokens[open]!.depth
  const close = tokens.findIndex((token, at) => at > open && token.depth === depth && token.text === ")")
  const last = tokens[close - 1]
  return last?.kind === "string" ? stringOf(last) : undefined
}

/** `Transfer(address indexed from, uint256 value)` -> `value`. Inputs inside of tuples are no columns. */
const wideInputs = (signature: string): ReadonlySet<string> => {
  const inputs = signature.slice(signature.indexOf("(") + 1, signature.lastIndexOf(")"))
  return new Set(
    inputs.split(",").flatMap((input) => {
      const [, bits = "256", name] = /^\s*u?int(\d{0,3})\s+(?:indexed\s+)?([\p{L}\p{N}_$]+)\s*$/u.exec(input) ?? []
      return name !== undefined && Number(bits || "256") > NARROW_BITS ? [name] : []
    })
  )
}

const stringOf = ({ text }: Token): string => text.slice(1, -1).replaceAll("''", "'")
