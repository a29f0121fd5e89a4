/** Parsers of single settings: a text in, a value out, or what was found and what is allowed. */
import { Result } from "effect"
import { type DatasetReference, parseDatasetReference } from "./Dataset.ts"
import { MAX_IDENTIFIER_BYTES } from "./postgres/identifiers.ts"
import { tableNameProblem } from "./TableSpec.ts"

export interface InvalidSetting {
  /** Reads on after the name of the setting. */
  readonly found: string
  readonly allowed: string
}

export type Parsed<A> = Result.Result<A, InvalidSetting>

const fail = (found: string, allowed: string): Result.Result<never, InvalidSetting> => Result.fail({ found, allowed })

/** Long values are cut: a message is read by people. */
export const quoted = (text: string): string => JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}...` : text)

/** A whole number in decimal digits, both bounds inclusive. */
export const integerBetween = (min: number, max: number | undefined) => (text: string): Parsed<number> => {
  const value = /^\d{1,15}$/.test(text) ? Number(text) : NaN
  const allowed = max === undefined ? `a whole number of at least ${min}` : `a whole number from ${min} to ${max}`
  return value >= min && value <= (max ?? Number.MAX_SAFE_INTEGER)
    ? Result.succeed(value)
    : fail(`is ${quoted(text)}`, allowed)
}

export const oneOf = <A extends string>(...allowed: ReadonlyArray<A>) => (text: string): Parsed<A> => {
  const value = allowed.find((candidate) => candidate === text.toLowerCase())
  return value === undefined ? fail(`is ${quoted(text)}`, allowed.join(" or ")) : Result.succeed(value)
}

export const trueOrFalse = (text: string): Parsed<boolean> =>
  Result.map(oneOf("true", "false")(text), (value) => value === "true")

/** `http://host:port` or `https://host:port`, a slash at the end tolerated; nothing else that a URL may hold. */
export const httpAddress = (text: string): Parsed<URL> => {
  const allowed = "http://host:port or https://host:port, without a path"
  let url: URL
  try {
    url = new URL(text)
  } catch {
    return fail(`is ${text.includes("@") ? "not a URL" : quoted(text)}`, allowed)
  }
  if (url.username !== "" || url.password !== "") {
    return fail("holds credentials", `${allowed}; a token goes to AMP_AUTH_TOKEN`)
  }
  if (url.protocol !== "http:" && url.protocol !== "https:") return fail(`is ${quoted(text)}`, allowed)
  if (url.pathname !== "/" || url.search !== "" || url.hash !== "") {
    // Behind the host anything may stand, a key for example.
    return fail(`has something behind ${quoted(url.origin)}`, allowed)
  }
  return Result.succeed(new URL(url.origin))
}

/** A schema of PostgreSQL, kept exactly as written. */
export const schemaName = (text: string): Parsed<string> => {
  const allowed = `a name of at most ${MAX_IDENTIFIER_BYTES} bytes that is not one of PostgreSQL's own schemas`
  const tooLong = new TextEncoder().encode(text).length > MAX_IDENTIFIER_BYTES
  return tooLong || text.includes("\0") || text.startsWith("pg_") || text === "information_schema"
    ? fail(`is ${quoted(text)}`, allowed)
    : Result.succeed(text)
}

/** A secret that fits into a HTTP header; nothing of it is repeated. */
export const bearerToken = (text: string): Parsed<string> =>
  /^[\x21-\x7e]+$/.test(text)
    ? Result.succeed(text)
    : fail(
      "holds a blank or a character outside of ASCII",
      "a token without the word Bearer, in visible ASCII characters"
    )

export const datasetReference = (text: string): Parsed<DatasetReference> =>
  Result.mapError(parseDatasetReference(text), ({ expected }) => ({ found: `is ${quoted(text)}`, allowed: expected }))

/** Names separated by commas, blanks around them tolerated; each once. */
export const tableNames = (text: string): Parsed<ReadonlyArray<string>> => {
  const names = text.split(",").map((name) => name.trim())
  const allowed = "different names of tables, separated by commas"
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  if (twice !== undefined && twice !== "") return fail(`names ${quoted(twice)} twice`, allowed)
  const problem = names.map(tableNameProblem).find((found) => found !== undefined)
  return problem === undefined ? Result.succeed(names) : fail(`is ${quoted(text)} and ${problem}`, allowed)
}
