/** Names of tables and columns: quoting them, and checking that PostgreSQL keeps them unchanged. */
import { Data } from "effect"
import * as Result from "effect/Result"

/** PostgreSQL cuts longer names without an error (NAMEDATALEN 64 less its zero byte), so two columns could become one. */
export const MAX_IDENTIFIER_BYTES = 63

/** System columns of every table; PostgreSQL refuses another column of the same name. Source: catalog/heap.c, `SysAtt`. */
const systemColumns: ReadonlySet<string> = new Set(["tableoid", "cmax", "xmax", "cmin", "xmin", "ctid"])

/** A name that PostgreSQL cannot keep unchanged. */
export class BadIdentifier extends Data.TaggedError("BadIdentifier")<{
  readonly name: string
  readonly reason: string
}> {
  override get message() {
    return `the name ${JSON.stringify(this.name)} cannot be used in PostgreSQL: ${this.reason}`
  }
}

/** Quotes a name so that PostgreSQL keeps it unchanged, whatever its case, spaces or reserved words. */
export const quoteIdentifier = (name: string): string => `"${name.replaceAll("\"", "\"\"")}"`

/** Quotes a text as a string literal. The E form means the same under every `standard_conforming_strings`. */
export const quoteLiteral = (text: string): string => `E'${text.replaceAll("\\", "\\\\").replaceAll("'", "''")}'`

/** Accepts `name` when PostgreSQL can hold it unchanged. Fails: empty, more than 63 bytes of UTF-8, a NUL or half a surrogate pair inside. */
export const checkIdentifier = (name: string): Result.Result<string, BadIdentifier> => {
  const reason = identifierProblem(name)
  return reason === undefined ? Result.succeed(name) : Result.fail(new BadIdentifier({ name, reason }))
}

/** As `checkIdentifier`, and rejects the names of PostgreSQL's system columns (`xmin`, `ctid`...). */
export const checkColumnName = (name: string): Result.Result<string, BadIdentifier> =>
  systemColumns.has(name)
    ? Result.fail(
      new BadIdentifier({ name, reason: "PostgreSQL has a system column of this name; choose another alias" })
    )
    : checkIdentifier(name)

/** Why PostgreSQL would not keep `name` unchanged; undefined where it would. */
export const identifierProblem = (name: string): string | undefined => {
  if (name.length === 0) return "it is empty"
  if (name.includes("\u0000")) return "it contains a NUL character"
  const bytes = new TextEncoder().encode(name)
  // Half a surrogate pair is encoded as U+FFFD, so another name would arrive.
  if (new TextDecoder().decode(bytes) !== name) return "it is not valid Unicode"
  if (bytes.length > MAX_IDENTIFIER_BYTES) {
    return `it has ${bytes.length} bytes, and PostgreSQL keeps only ${MAX_IDENTIFIER_BYTES}; choose a shorter alias`
  }
  return undefined
}
