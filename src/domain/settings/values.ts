/**
 * The kinds of values of settings: each is a schema from text, and the phrase that describes the accepted values.
 *
 * A schema adds a message only where "is" and the text would not be enough; the message continues after the variable's name.
 */
import { Effect, type Redacted, Result, Schema, SchemaGetter, SchemaIssue, SchemaTransformation } from "effect"
import { type DatasetReference, parseDatasetReference } from "../manifest/Dataset.ts"
import { tableNameProblem } from "../manifest/TableSpec.ts"
import { MAX_IDENTIFIER_BYTES } from "../postgres/table/identifiers.ts"
import { type LogFilter, logLevels, parseLogFilter } from "./logFilter.ts"
import type { Setting } from "./Setting.ts"

export type Value<A> = Pick<Setting<A>, "accepts" | "schema">

/** Quotes a text for a message, cut to 80 characters. */
export const quoted = (text: string): string => JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}...` : text)

/** A schema from a parser; its failure continues after the name of the variable. */
export const parsedBy = <A>(parse: (text: string) => Result.Result<A, string>): Schema.Codec<A, string> =>
  Schema.String.pipe(Schema.decodeTo(
    Schema.declare((_): _ is A => true),
    SchemaTransformation.makeTransformation({
      decode: SchemaGetter.transformEffect<A, string>((text) =>
        Effect.mapError(Effect.fromResult(parse(text)), (message) => new SchemaIssue.InvalidValue({ message }))
      ),
      encode: SchemaGetter.forbiddenEncoding
    })
  ))

/** Any text. */
export const text = (accepts: string): Value<string> => ({ schema: Schema.String, accepts })

/** A whole number in decimal digits, both bounds inclusive. */
export const wholeNumber = (minimum: number, maximum?: number): Value<number> => ({
  schema: Schema.String.check(Schema.isPattern(/^\d{1,15}$/)).pipe(
    Schema.decodeTo(Schema.Int, SchemaTransformation.numberFromString)
  ).check(Schema.isBetween({ minimum, maximum: maximum ?? Number.MAX_SAFE_INTEGER })),
  accepts: maximum === undefined
    ? `a whole number of at least ${minimum}`
    : `a whole number from ${minimum} to ${maximum}`
})

/** One of a few words, in any case. */
export const oneOf = <const A extends string>(...words: ReadonlyArray<A>): Value<A> => ({
  schema: Schema.String.pipe(
    Schema.decodeTo(Schema.String, SchemaTransformation.toLowerCase()),
    Schema.refine((word): word is A => words.some((candidate) => candidate === word))
  ),
  accepts: words.join(" or ")
})

export const trueOrFalse: Value<boolean> = {
  schema: oneOf("true", "false", "1", "0").schema.pipe(
    Schema.decodeTo(
      Schema.Boolean,
      SchemaTransformation.transform({
        decode: (word) => word === "true" || word === "1",
        encode: (value) => value ? "true" as const : "false" as const
      })
    )
  ),
  accepts: "true or false (1 or 0)"
}

/** Quotes an address up to its host: the text after it may be a secret, such as a key, and so may that before an @. */
export const quotedHost = (text: string): string => {
  if (text.includes("@")) return "not a URL"
  const host = /^(?:[^/?#]*:\/\/)?[^/?#]*/.exec(text)?.[0] ?? ""
  return quoted(host === text ? text : `${host}...`)
}

/** An address over HTTP without credentials in it; `belong` completes the sentence about them. */
export const parseHttpUrl = (text: string, belong: string): Result.Result<URL, string> => {
  let url: URL
  try {
    url = new URL(text)
  } catch {
    return Result.fail(`is ${quotedHost(text)}`)
  }
  if (url.username !== "" || url.password !== "") return Result.fail(`contains credentials (${belong})`)
  return url.protocol !== "http:" && url.protocol !== "https:"
    ? Result.fail(`is ${quotedHost(text)}`)
    : Result.succeed(url)
}

/** `http://host:port` or `https://host:port`, with or without a slash at the end, and no other part of a URL. */
export const httpAddress: Value<URL> = {
  schema: parsedBy((text) =>
    Result.flatMap(
      parseHttpUrl(text, "a token belongs in AMP_AUTH_TOKEN"),
      (url) =>
        url.pathname !== "/" || url.search !== "" || url.hash !== ""
          ? Result.fail(`has a path, a query or a fragment after ${quoted(url.origin)}`)
          : Result.succeed(new URL(url.origin))
    )
  ),
  accepts: "http://host:port or https://host:port, without a path"
}

/** A schema of PostgreSQL, kept exactly as written. */
export const schemaName: Value<string> = {
  schema: Schema.String.check(
    Schema.makeFilter((name: string) =>
      new TextEncoder().encode(name).length <= MAX_IDENTIFIER_BYTES && !name.includes("\0") && !name.startsWith("pg_")
      && name !== "information_schema"
    )
  ),
  accepts: `a name of at most ${MAX_IDENTIFIER_BYTES} bytes that is not one of PostgreSQL's own schemas`
}

/** A publication of PostgreSQL, kept exactly as written. */
export const publicationName: Value<string> = {
  schema: Schema.String.check(
    Schema.makeFilter((name: string) =>
      name !== "" && new TextEncoder().encode(name).length <= MAX_IDENTIFIER_BYTES && !name.includes("\0")
    )
  ),
  accepts: `a name of at most ${MAX_IDENTIFIER_BYTES} bytes`
}

/** A secret that fits into an HTTP header. */
export const bearerToken: Value<Redacted.Redacted<string>> = {
  schema: Schema.String.check(
    Schema.makeFilter((token: string) =>
      /^[\x21-\x7e]+$/.test(token) || "contains a blank or a character outside of ASCII"
    )
  ).pipe(Schema.RedactedFromValue),
  accepts: "a token without the word Bearer, in visible ASCII characters"
}

export const datasetReference: Value<DatasetReference> = {
  schema: parsedBy((text) =>
    Result.mapError(parseDatasetReference(text), ({ expected }) => `is ${quoted(text)} instead of ${expected}`)
  ),
  accepts: "[namespace/]name[@revision]"
}

/** Names separated by commas, with or without blanks around them; each once. */
export const tableNames: Value<ReadonlyArray<string>> = {
  schema: parsedBy((text) => {
    const names = text.split(",").map((name) => name.trim())
    const twice = names.find((name, index) => names.indexOf(name) !== index)
    if (twice !== undefined && twice !== "") return Result.fail(`names ${quoted(twice)} twice`)
    const problem = names.map(tableNameProblem).find((found) => found !== undefined)
    return problem === undefined ? Result.succeed(names) : Result.fail(`is ${quoted(text)} and ${problem}`)
  }),
  accepts: "different names of tables, separated by commas"
}

export const logFilter: Value<LogFilter> = {
  schema: parsedBy((text) => Result.mapError(parseLogFilter(text), (problem) => `is ${quoted(text)} and ${problem}`)),
  accepts: `${logLevels.join(", ")}, or a list such as info,ampsync=debug`
}
