/** The meaning of the parameters after the `?` of a PostgreSQL connection URL. */
import { Redacted, Result } from "effect"
import { invalid, parsePort } from "./databaseUrl.ts"
import { hostProblem } from "./host.ts"
import {
  type DatabaseOptions,
  type DatabaseSsl,
  type DatabaseTarget,
  defaultHost,
  defaultPort,
  defaultSslMode,
  type InvalidDatabaseTarget,
  sslModes
} from "./target.ts"

type Writable<T> = { -readonly [K in keyof T]?: T[K] | undefined }

/** A target under construction. */
export interface Draft {
  host: string | undefined
  port: number | undefined
  user: string | undefined
  password: string | undefined
  database: string | undefined
  readonly ssl: Writable<DatabaseSsl>
  readonly options: Writable<DatabaseOptions>
}

type Problem = InvalidDatabaseTarget | undefined
type Apply = (draft: Draft, value: string) => Problem

const sessionAttrs = ["any", "read-write", "primary"] as const

const oneOf =
  <A extends string>(name: string, allowed: ReadonlyArray<A>, put: (draft: Draft, value: A) => void): Apply =>
  (draft, value) => {
    const found = allowed.find((candidate) => candidate === value)
    if (found === undefined) {
      return invalid(`has a ${name} that is not supported`, `${name} as one of ${allowed.join(", ")}`)
    }
    put(draft, found)
    return undefined
  }

const seconds = (name: string, put: (draft: Draft, value: number) => void): Apply => (draft, value) => {
  if (!/^\d{1,9}$/.test(value)) return invalid(`has a ${name} that is not a number`, `${name} as whole seconds`)
  put(draft, Number(value))
  return undefined
}

const text = (put: (draft: Draft, value: string) => void): Apply => (draft, value) => {
  put(draft, value)
  return undefined
}

/** A name that the server's messages repeat; a URL in its place may contain a password. */
const name = (parameter: string, put: (draft: Draft, value: string) => void): Apply => (draft, value) => {
  if (/^postgres(?:ql)?:\/\//i.test(value)) return invalid(`has a ${parameter} that is a URL`, `a name as ${parameter}`)
  if (value !== "") put(draft, value)
  return undefined
}

const parameters: Readonly<Record<string, Apply>> = {
  host: (draft, value) => {
    const problem = hostProblem(value)
    if (problem !== undefined) return invalid(problem.found, problem.allowed)
    if (value !== "") draft.host = value.replace(/^\[(.*)\]$/, "$1")
    return undefined
  },
  port: (draft, value) => {
    const port = parsePort(value)
    if (Result.isFailure(port)) return port.failure
    draft.port = port.success ?? draft.port
    return undefined
  },
  user: name("user", (draft, value) => draft.user = value),
  password: text((draft, value) => draft.password = value === "" ? draft.password : value),
  dbname: name("dbname", (draft, value) => draft.database = value),
  sslmode: oneOf("sslmode", sslModes, (draft, value) => draft.ssl.mode = value),
  // The spelling of JDBC, which libpq reads as well.
  ssl: oneOf("ssl", ["true", "false"], (draft, value) => draft.ssl.mode = value === "true" ? "require" : "disable"),
  sslrootcert: text((draft, value) => draft.ssl.rootCertPath = value === "" ? undefined : value),
  sslcert: text((draft, value) => draft.ssl.certPath = value === "" ? undefined : value),
  sslkey: text((draft, value) => draft.ssl.keyPath = value === "" ? undefined : value),
  connect_timeout: seconds("connect_timeout", (draft, value) => draft.options.connectTimeoutSeconds = value),
  application_name: text((draft, value) => draft.options.applicationName = value),
  fallback_application_name: text((draft, value) => draft.options.applicationName ??= value),
  options: text((draft, value) => draft.options.options = value),
  keepalives: oneOf("keepalives", ["0", "1"], (draft, value) => draft.options.keepalives = value === "1"),
  keepalives_idle: seconds("keepalives_idle", (draft, value) => draft.options.keepalivesIdleSeconds = value),
  target_session_attrs: (draft, value) => {
    if (["read-only", "standby", "prefer-standby"].includes(value)) {
      return invalid(
        "requires a server that cannot be written to",
        `target_session_attrs as one of ${sessionAttrs.join(", ")}`
      )
    }
    return oneOf("target_session_attrs", sessionAttrs, (draft, value) => draft.options.targetSessionAttrs = value)(
      draft,
      value
    )
  },
  // Accepted where they request the only supported behaviour, rejected otherwise.
  client_encoding: (draft, value) =>
    oneOf("client_encoding", ["utf8", "utf-8", "auto"], () => undefined)(draft, value.toLowerCase()),
  gssencmode: oneOf("gssencmode", ["disable", "prefer"], () => undefined),
  channel_binding: oneOf(
    "channel_binding",
    ["disable", "prefer", "require"],
    (draft, value) => draft.options.channelBinding = value
  )
}

/** Applies one parameter, or returns its problem: with its name, without its value, which may be a secret. */
export const applyParameter = (draft: Draft, key: string, value: string): Problem => {
  const apply = Object.hasOwn(parameters, key) ? parameters[key] : undefined
  return apply === undefined
    ? invalid(`has the unknown parameter "${key.slice(0, 64)}"`, `the parameters ${Object.keys(parameters).join(", ")}`)
    : apply(draft, value)
}

export const emptyDraft = (): Draft => ({
  host: undefined,
  port: undefined,
  user: undefined,
  password: undefined,
  database: undefined,
  ssl: {},
  options: {}
})

export const finish = (draft: Draft): Result.Result<DatabaseTarget, InvalidDatabaseTarget> => {
  if (draft.user === undefined) return Result.fail(invalid("names no user"))
  const ssl = resolveSsl(draft.ssl)
  if (draft.options.channelBinding === "require" && draft.ssl.mode === "disable") {
    return Result.fail(
      contradiction(
        "channel_binding",
        "has channel_binding=require with sslmode=disable",
        "sslmode=require, or a stricter one"
      )
    )
  }
  if (Result.isFailure(ssl)) return Result.fail(ssl.failure)
  const options = withoutUndefined<DatabaseOptions>(draft.options)
  return Result.succeed({
    host: draft.host ?? defaultHost,
    port: draft.port ?? defaultPort,
    user: draft.user,
    password: draft.password === undefined ? undefined : Redacted.make(draft.password),
    // As in libpq, the default database has the name of the user.
    database: draft.database ?? draft.user,
    ssl: ssl.success,
    ...(Object.keys(options).length === 0 ? {} : { options })
  })
}

const contradiction = (parameter: string, found: string, allowed: string): InvalidDatabaseTarget => ({
  ...invalid(found, allowed),
  parameter
})

/**
 * Source: PostgreSQL documentation, `sslmode` and `sslrootcert`: `require` with a root certificate means `verify-ca`, and
 * `system` is only good together with `verify-full`, which it makes the default.
 */
const resolveSsl = (ssl: Writable<DatabaseSsl>): Result.Result<DatabaseSsl, InvalidDatabaseTarget> => {
  const system = ssl.rootCertPath === "system"
  if (system && ssl.mode !== undefined && ssl.mode !== "verify-full") {
    return Result.fail(
      contradiction(
        "sslrootcert",
        `has sslrootcert=system with sslmode=${ssl.mode}`,
        "sslmode=verify-full with sslrootcert=system"
      )
    )
  }
  if ((ssl.certPath === undefined) !== (ssl.keyPath === undefined)) {
    const given = ssl.certPath === undefined ? "sslkey" : "sslcert"
    return Result.fail(contradiction(given, "has only one of sslcert and sslkey", "both or neither"))
  }
  const mode = system
    ? "verify-full"
    : ssl.mode === "require" && ssl.rootCertPath !== undefined
    ? "verify-ca"
    : ssl.mode ?? defaultSslMode
  return Result.succeed({ ...withoutUndefined<DatabaseSsl>(ssl), mode })
}

const withoutUndefined = <T extends object>(draft: Writable<T>): T =>
  Object.fromEntries(Object.entries(draft).filter(([, value]) => value !== undefined)) as T
