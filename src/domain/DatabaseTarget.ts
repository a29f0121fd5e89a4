/**
 * Where the target database is and how to speak to it: what `DATABASE_URL` or its parts say, in one value.
 *
 * Parameters carry libpq's names and meanings. Source: PostgreSQL documentation, "Database Connection Control Functions".
 */
import { type Redacted, Result } from "effect"
import { parseDatabaseUrl } from "./database/databaseUrl.ts"
import { applyParameter, type Draft, finish } from "./database/parameters.ts"
import { type DatabaseTarget, defaultPort, type InvalidDatabaseTarget } from "./database/target.ts"

export {
  type DatabaseOptions,
  type DatabaseSsl,
  type DatabaseTarget,
  defaultPort,
  type InvalidDatabaseTarget,
  type SslMode,
  type TlsFile,
  tlsFiles,
  usesTls
} from "./database/target.ts"

/** What `DATABASE_USER` and its siblings say; each value is taken literally. */
export interface DatabaseParts {
  readonly user: string
  readonly database: string
  readonly password?: Redacted.Redacted<string> | undefined
  readonly host?: string | undefined
  readonly port?: number | undefined
}

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
