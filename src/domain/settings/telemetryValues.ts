/** The kinds of values of the standard variables of OpenTelemetry. */
import { type Redacted, Result, Schema } from "effect"
import { parsedBy, parseHttpUrl, quotedHost, type Value } from "./values.ts"

/** Names and values, such as the headers of a request. */
export type Pairs = Readonly<Record<string, string>>

/** `http://host:port/path` or `https://host:port/path`. */
export const exporterAddress: Value<URL> = {
  schema: parsedBy((text) =>
    Result.flatMap(
      parseHttpUrl(text, "they belong in OTEL_EXPORTER_OTLP_HEADERS"),
      (url) =>
        url.search !== "" || url.hash !== ""
          ? Result.fail(`has a query or a fragment after ${quotedHost(url.origin)}`)
          : Result.succeed(url)
    )
  ),
  accepts: "http://host:port or https://host:port, with or without a path"
}

/** The problem names the place only: a value may be a secret. Source: W3C Baggage, "Header Content". */
const parsePairs = (text: string): Result.Result<Pairs, string> => {
  const entries: Array<readonly [string, string]> = []
  for (const [at, part] of text.split(",").filter((part) => part.trim() !== "").entries()) {
    const equals = part.indexOf("=")
    const name = part.slice(0, Math.max(0, equals)).trim()
    if (name === "") return Result.fail(`has no name=value in entry ${at + 1}`)
    try {
      entries.push([decodeURIComponent(name), decodeURIComponent(part.slice(equals + 1).trim())])
    } catch {
      return Result.fail(`has a % in entry ${at + 1} that is not followed by two hexadecimal digits of UTF-8`)
    }
  }
  return Result.succeed(Object.fromEntries(entries))
}

/** `name=value,name=value`, percent-encoded where needed. */
export const pairs: Value<Pairs> = {
  schema: parsedBy(parsePairs),
  accepts: "name=value pairs separated by commas, percent-encoded where needed"
}

const isHeader = ([name, value]: readonly [string, string]): boolean =>
  /^[!#$%&'*+.^_`|~\w-]+$/.test(name) && /^[\x20-\x7e]*$/.test(value)

/** As `pairs`, for a secret: every name and value fits into an HTTP header. */
export const headers: Value<Redacted.Redacted<Pairs>> = {
  schema: parsedBy((text) =>
    Result.flatMap(parsePairs(text), (found) => {
      const wrong = Object.entries(found).findIndex((entry) => !isHeader(entry))
      return wrong < 0 ? Result.succeed(found) : Result.fail(`has an entry ${wrong + 1} that is no HTTP header`)
    })
  ).pipe(Schema.RedactedFromValue),
  accepts: pairs.accepts
}

/** A number from 0 to 1. */
export const ratio: Value<number> = {
  schema: parsedBy((text) => {
    const value = /^\d*\.?\d+$/.test(text) ? Number(text) : Number.NaN
    return value >= 0 && value <= 1 ? Result.succeed(value) : Result.fail(`is ${JSON.stringify(text)}`)
  }),
  accepts: "a number from 0 to 1"
}

/** The protocols of the exporters. */
export const exporterProtocol: Value<"http/protobuf" | "http/json"> = {
  schema: parsedBy((text) => {
    if (text === "http/protobuf" || text === "http/json") return Result.succeed(text)
    return Result.fail(
      text === "grpc"
        ? "is grpc, which is not supported (collectors take HTTP on port 4318)"
        : `is ${JSON.stringify(text)}`
    )
  }),
  accepts: "http/protobuf or http/json"
}
