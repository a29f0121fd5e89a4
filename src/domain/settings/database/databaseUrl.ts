/** The syntax of a PostgreSQL connection URL, without the meaning of its parameters. */
import { Result } from "effect"
import type { InvalidDatabaseTarget } from "./target.ts"

/** The parts of a connection URL. */
export interface ParsedDatabaseUrl {
  readonly user: string | undefined
  readonly password: string | undefined
  readonly host: string | undefined
  readonly port: number | undefined
  readonly database: string | undefined
  /** Decoded, in the order of the text. */
  readonly parameters: ReadonlyArray<readonly [key: string, value: string]>
}

export const urlForm =
  "postgresql://user:password@host:5432/database, with : / ? # @ % in user and password percent-encoded"

export const invalid = (found: string, allowed: string = urlForm): InvalidDatabaseTarget => ({
  _tag: "InvalidDatabaseTarget",
  found,
  allowed
})

/**
 * Splits a URL the way libpq does, which is more lenient than RFC 3986: hosts may be percent-encoded paths, and every
 * part may be missing.
 *
 * Source: PostgreSQL, src/interfaces/libpq/fe-connect.c, `conninfo_uri_parse_options`.
 */
export const parseDatabaseUrl = (url: string): Result.Result<ParsedDatabaseUrl, InvalidDatabaseTarget> =>
  Result.gen(function*() {
    const scheme = /^postgres(?:ql)?:\/\//i.exec(url)
    if (scheme === null) return yield* Result.fail(invalid("does not begin with postgres:// or postgresql://"))
    const text = url.slice(scheme[0].length)
    if (isAmbiguous(text)) return yield* Result.fail(ambiguous)
    const [credentials, rest] = splitCredentials(text)
    const [place, query] = splitAt(rest, rest.indexOf("?"))
    const [authority, path] = splitAt(place, place.indexOf("/"))
    const [user, password] = splitAt(credentials ?? "", (credentials ?? "").indexOf(":"))
    const [host, port] = yield* splitPort(authority)
    return {
      user: yield* decodePart("user", user),
      password: yield* decodePart("password", password),
      host: yield* decodePart("host", host),
      port: yield* parsePort(port),
      database: yield* decodePart("database", path),
      parameters: yield* parseQuery(query ?? "")
    }
  })

/**
 * Whether an `@` comes after a `/` or `?` that may belong to a password: then the end of the credentials is ambiguous, and a
 * wrong guess would take a part of the password for the host.
 */
const isAmbiguous = (text: string): boolean => {
  const end = text.search(/[/?]|$/)
  return /[:@]/.test(text.slice(0, end)) && text.slice(end).includes("@")
}

const ambiguous = invalid(
  "has an unencoded @ after a / or ?, so that it is not clear where the password ends",
  `${urlForm}: / is %2F, ? is %3F, @ is %40`
)

/** The text before the `@` that ends the credentials: the last one, because no host contains one. */
const splitCredentials = (text: string): readonly [string | undefined, string] => {
  const authorityEnd = text.search(/[/?]|$/)
  const last = text.slice(0, authorityEnd).lastIndexOf("@")
  if (last < 0) return [undefined, text]
  return [text.slice(0, last), text.slice(last + 1)]
}

const splitAt = (text: string, index: number): readonly [string, string | undefined] =>
  index < 0 ? [text, undefined] : [text.slice(0, index), text.slice(index + 1)]

const splitPort = (
  authority: string
): Result.Result<readonly [string, string | undefined], InvalidDatabaseTarget> => {
  if (authority.includes(",")) return Result.fail(invalid("names several hosts", "exactly one host"))
  if (!authority.startsWith("[")) return Result.succeed(splitAt(authority, authority.indexOf(":")))
  const match = /^\[([^\]]+)\](?::(.*))?$/.exec(authority)
  return match === null
    ? Result.fail(invalid("has an IPv6 address without its closing bracket"))
    : Result.succeed([`[${match[1]}]`, match[2]])
}

/** Parses a port from 1 to 65535; undefined where there is none. */
export const parsePort = (text: string | undefined): Result.Result<number | undefined, InvalidDatabaseTarget> => {
  if (text === undefined || text === "") return Result.succeed(undefined)
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0
  return port >= 1 && port <= 65535
    ? Result.succeed(port)
    // The text is not repeated: it may be a part of a password with an unencoded slash.
    : Result.fail(invalid("has a port that is not a number from 1 to 65535"))
}

const decodePart = (
  part: string,
  text: string | undefined
): Result.Result<string | undefined, InvalidDatabaseTarget> => {
  if (text === undefined || text === "") return Result.succeed(undefined)
  try {
    const decoded = decodeURIComponent(text)
    return decoded.includes("\0") ? Result.fail(invalid(`has a NUL character in its ${part}`)) : Result.succeed(decoded)
  } catch {
    return Result.fail(invalid(`has a broken percent-encoding in its ${part}`, `${urlForm}; a literal % is %25`))
  }
}

const parseQuery = (
  query: string
): Result.Result<ReadonlyArray<readonly [string, string]>, InvalidDatabaseTarget> =>
  Result.gen(function*() {
    const parameters: Array<readonly [string, string]> = []
    for (const pair of query.split("&").filter((text) => text !== "")) {
      const [key, value] = splitAt(pair, pair.indexOf("="))
      const name = (yield* decodePart("parameters", key)) ?? ""
      if (value === undefined) {
        return yield* Result.fail(invalid("has a parameter without a value", "name=value pairs joined by &"))
      }
      parameters.push([name, (yield* decodePart("parameters", value)) ?? ""])
    }
    return parameters
  })
