/**
 * Where the target database is and how to speak to it: what `DATABASE_URL` or its parts say, in one value.
 *
 * Parameters carry libpq's names and meanings. Source: PostgreSQL documentation, "Database Connection Control Functions".
 */
import { Redacted, Result } from "effect"
import { parseDatabaseUrl } from "./database/databaseUrl.ts"
import { applyParameter, type Draft, finish } from "./database/parameters.ts"

export type SslMode = "disable" | "allow" | "prefer" | "require" | "verify-ca" | "verify-full"

export interface DatabaseSsl {
  readonly mode: SslMode
  /** A PEM file, or the word `system` for the operating system's certificates. */
  readonly rootCertPath?: string
  readonly certPath?: string
  readonly keyPath?: string
}

/** Connection parameters that have a default in the driver. */
export interface DatabaseOptions {
  readonly applicationName?: string
  /** 0 waits without end, as libpq does. */
  readonly connectTimeoutSeconds?: number
  /** Command line options for the server, such as `-c statement_timeout=0`. */
  readonly options?: string
  readonly keepalives?: boolean
  readonly keepalivesIdleSeconds?: number
  /** Which server of a replicated pair is acceptable; a writer never accepts a standby. */
  readonly targetSessionAttrs?: "any" | "read-write" | "primary"
}

export interface DatabaseTarget {
  /** A host name, an address (IPv6 without brackets), or the absolute directory of a Unix socket. */
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: Redacted.Redacted<string> | undefined
  readonly database: string
  readonly ssl: DatabaseSsl
  readonly options?: DatabaseOptions
}

/** What `DATABASE_USER` and its siblings say; each value is taken literally. */
export interface DatabaseParts {
  readonly user: string
  readonly database: string
  readonly password?: Redacted.Redacted<string> | undefined
  readonly host?: string | undefined
  readonly port?: number | undefined
}

/** Why a text does not describe a database; never holds a part of the text that could be secret. */
export interface InvalidDatabaseTarget {
  readonly _tag: "InvalidDatabaseTarget"
  /** Reads on after the name of the variable: `has no user`. */
  readonly found: string
  /** What would be right. */
  readonly allowed: string
}

export const defaultPort = 5432

/**
 * Reads a `postgres://` or `postgresql://` URL.
 *
 * Fails: a text that is no such URL, several hosts, a missing user, an unknown or ill-valued parameter.
 */
export const databaseTargetFromUrl = (
  url: string
): Result.Result<DatabaseTarget, InvalidDatabaseTarget> =>
  Result.flatMap(parseDatabaseUrl(url), (parsed) => {
    const draft: Draft = {
      host: parsed.host,
      port: parsed.port,
      user: parsed.user,
      password: parsed.password,
      database: parsed.database,
      ssl: {},
      options: {}
    }
    for (const [key, value] of parsed.parameters) {
      const problem = applyParameter(draft, key, value)
      if (problem !== undefined) return Result.fail(problem)
    }
    return finish(draft)
  })

/** Takes the parts as they are: nothing is escaped, joined or parsed again. */
export const databaseTargetFromParts = (parts: DatabaseParts): DatabaseTarget => ({
  host: stripBrackets(parts.host ?? "localhost"),
  port: parts.port ?? defaultPort,
  user: parts.user,
  password: parts.password,
  database: parts.database,
  ssl: { mode: "prefer" }
})

/** `postgresql://user:***@host:5432/db`, fit for logs and messages. */
export const displayDatabaseTarget = (target: DatabaseTarget): string => {
  const user = encodeURIComponent(target.user)
  const secret = target.password === undefined ? "" : ":***"
  return `postgresql://${user}${secret}@${displayHost(target.host)}:${target.port}/${
    encodeURIComponent(target.database)
  }`
}

const displayHost = (host: string): string =>
  host.startsWith("/") ? encodeURIComponent(host) : host.includes(":") ? `[${host}]` : host

const stripBrackets = (host: string): string => host.startsWith("[") && host.endsWith("]") ? host.slice(1, -1) : host
