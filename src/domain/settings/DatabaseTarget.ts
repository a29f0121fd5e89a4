/**
 * The target database and the parameters of the connection: `DATABASE_URL` or its parts, as one value.
 *
 * Parameters carry libpq's names and meanings. Source: PostgreSQL documentation, "Database Connection Control Functions".
 */
import { Result } from "effect"
import { parseDatabaseUrl } from "./database/databaseUrl.ts"
import { applyParameter, emptyDraft, finish } from "./database/parameters.ts"
import type { DatabaseTarget, InvalidDatabaseTarget } from "./database/target.ts"

export {
  type DatabaseOptions,
  type DatabaseSsl,
  type DatabaseTarget,
  defaultApplicationName,
  defaultConnectTimeoutSeconds,
  defaultPort,
  type InvalidDatabaseTarget,
  type SslMode,
  type TlsFile,
  tlsFiles,
  usesTls
} from "./database/target.ts"

/** Parameters by their libpq names, later ones before earlier ones; each value is taken literally. */
export type DatabaseParameters = ReadonlyArray<readonly [name: string, value: string]>

/**
 * Parses a `postgres://` or `postgresql://` URL; `defaults` are used for parts that it does not contain.
 *
 * Fails: a text that is no such URL, several hosts, a missing user, an unknown or ill-valued parameter.
 */
export const databaseTargetFromUrl = (
  url: string,
  defaults: DatabaseParameters = []
): Result.Result<DatabaseTarget, InvalidDatabaseTarget> =>
  Result.flatMap(parseDatabaseUrl(url), ({ database, host, parameters, password, port, user }) => {
    const parts = Object.entries({ host, port: port?.toString(), user, password, dbname: database })
    return databaseTargetFromParameters([
      ...defaults,
      ...parts.flatMap(([name, value]) => value === undefined ? [] : [[name, value] as const]),
      ...parameters
    ])
  })

/** Why a parameter cannot be used, independent of the others. */
export const parameterProblem = (name: string, value: string): InvalidDatabaseTarget | undefined =>
  applyParameter(emptyDraft(), name, value)

/** Uses the parameters literally: nothing is escaped, joined or parsed again. Fails as `databaseTargetFromUrl`. */
export const databaseTargetFromParameters = (
  parameters: DatabaseParameters
): Result.Result<DatabaseTarget, InvalidDatabaseTarget> => {
  const draft = emptyDraft()
  for (const [name, value] of parameters) {
    const problem = applyParameter(draft, name, value)
    if (problem !== undefined) return Result.fail(problem)
  }
  return finish(draft)
}
