/** Classifies a failure to connect by codes and by its progress: the messages of servers are translated. */
import { SqlError } from "effect/sql"
import { defaultConnectTimeoutSeconds } from "../../domain/settings/DatabaseTarget.ts"
import { type ConnectionSettings, SecretError } from "../../services/Config.ts"
import { classify } from "./classify.ts"

/** A connection that works, but does not meet the settings. */
export class UnsuitableSession extends Error {
  readonly retryable: boolean

  constructor(message: string, retryable = false) {
    super(message)
    this.retryable = retryable
  }
}

/** How far an attempt to connect came. */
export interface ConnectProgress {
  /** The server responded that it has no TLS. */
  readonly refusedTls: boolean
  readonly askedToAuthenticate: boolean
}

type Settings = Pick<ConnectionSettings, "database" | "databaseNow" | "origins">

/** Whether only TLS or only plain text was refused: the other may work. */
export const refusesTransport = (error: SqlError.SqlError): boolean => error.reason.cause === TRANSPORT

const TRANSPORT = "transport refused"

/** The server and the variable that names it, for the end of a message. */
export const placeOf = ({ database: { host, port }, origins }: Omit<Settings, "databaseNow">): string =>
  `(at ${host.startsWith("/") ? host : `${host}:${port}`}, which ${origins.host} names)`

/** The seconds that an attempt may take; 0 without end. */
export const connectTimeoutSeconds = ({ options }: Settings["database"]): number =>
  options?.connectTimeoutSeconds ?? defaultConnectTimeoutSeconds

/** The error of a failed attempt; not retryable where only a change of the settings helps. A login in a file may change by itself. */
export const connectFailure = (
  cause: unknown,
  progress: ConnectProgress,
  settings: Settings,
  isEncrypted: boolean
): SqlError.SqlError => {
  const { databaseNow: { mayChange, variable }, origins } = settings
  const place = placeOf(settings)
  const failed = classify(cause, "connect")
  const fields = { message: failed.reason.message, operation: "connect", cause: failed.reason.cause }
  const transient = (message: string, cause = fields.cause) =>
    new SqlError.SqlError({ reason: new SqlError.ConnectionError({ ...fields, message, cause }) })
  const permanent = (message: string, cause = fields.cause) =>
    new SqlError.SqlError({ reason: new SqlError.AuthenticationError({ ...fields, message, cause }) })

  if (cause instanceof SecretError) return transient(`PostgreSQL: the login cannot be read: ${cause.message}`)
  if (cause instanceof UnsuitableSession) return cause.retryable ? transient(fields.message) : permanent(fields.message)
  const { code = "", isServer, syscall } = codeOf(cause)
  if (isServer && code.startsWith("28")) {
    // As in libpq: a rule of pg_hba.conf that excludes this transport refuses before the authentication.
    const reason = code === "28000" && !progress.askedToAuthenticate ? TRANSPORT : fields.cause
    const message = `${fields.message} for database "${settings.database.database}" ${place}`
    if (mayChange) return transient(`${message}; ${variable} is read again at every attempt`, reason)
    const rule = reason === TRANSPORT ? `, and ${origins.sslmode} where the rules of the server demand TLS` : ""
    return permanent(`${message}; check ${code === "28000" ? origins.user : variable}${rule}`, reason)
  }
  if (isServer && code === "3D000") return permanent(`${fields.message}; create it, or correct ${origins.dbname}`)
  if (isServer && code.startsWith("XX")) {
    // Poolers identify a tenant by the user's name, and report an unknown one under this code, also while they start.
    return transient(
      `${fields.message}; a pooler reports an unknown user or tenant so: check user and host in ${variable}`
    )
  }
  if (isServer) return failed.reason._tag === "ConnectionError" ? transient(`${fields.message} ${place}`) : failed
  const failedTls = code === "EPROTO" || (code.includes("_") && syscall === undefined)
  if (progress.refusedTls) {
    const advice = `${withoutTls(origins.sslmode)}, or turn TLS on at the server`
    return permanent(`${fields.message} ${place}; ${advice}`, TRANSPORT)
  }
  if (isEncrypted && failedTls) {
    return permanent(
      `${fields.message} ${place}; check ${origins.sslmode}, and DATABASE_SSLROOTCERT for the server's authority`,
      TRANSPORT
    )
  }
  if (failed.reason._tag !== "ConnectionError") return failed
  const advice = NO_POSTGRES.test(fields.message)
    ? `; what answers there may not be PostgreSQL: check the port in ${origins.host}`
    : code === "ENOTFOUND"
    ? `; check the host name in ${origins.host}`
    : ""
  return transient(`${fields.message} ${place}${advice}`)
}

/** The words of the driver about a response to its request for TLS that is neither yes nor no. Source: pg, lib/connection.js. */
const NO_POSTGRES = /error establishing an SSL connection/

/** A URL has the mode as a parameter. */
const withoutTls = (variable: string): string =>
  variable.startsWith("DATABASE_URL")
    ? `set sslmode=disable in ${variable}`
    : `set ${variable}=disable`

const codeOf = (cause: unknown) => {
  const { code, severity, syscall } = (cause ?? {}) as { readonly [name: string]: unknown }
  return {
    code: typeof code === "string" ? code : undefined,
    isServer: typeof severity === "string" && severity !== "",
    syscall
  }
}
