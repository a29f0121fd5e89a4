/** Classifies a failure to connect by codes and by its progress: the messages of servers are translated. */
import { SqlError } from "effect/sql"
import { type Secret, SecretError } from "../../services/Config.ts"
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

type Login = Pick<Secret<unknown>, "mayChange" | "variable">

/** Whether only TLS or only plain text was refused: the other may work. */
export const refusesTransport = (error: SqlError.SqlError): boolean => error.reason.cause === TRANSPORT

const TRANSPORT = "transport refused"

/** The error of a failed attempt; not retryable where only a change of the settings helps. A login in a file may change by itself. */
export const connectFailure = (
  cause: unknown,
  progress: ConnectProgress,
  { mayChange, variable }: Login,
  isEncrypted: boolean
): SqlError.SqlError => {
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
    return mayChange
      ? transient(`${fields.message}; ${variable} is read again at every attempt`, reason)
      : permanent(`${fields.message}; check ${variable}`, reason)
  }
  if (isServer && code.startsWith("XX")) {
    // Poolers identify a tenant by the user's name, and report an unknown one under this code, also while they start.
    return transient(
      `${fields.message}; a pooler reports an unknown user or tenant so: check user and host in ${variable}`
    )
  }
  if (isServer) return failed
  const failedTls = code === "EPROTO" || (code.includes("_") && syscall === undefined)
  return progress.refusedTls || (isEncrypted && failedTls) ? permanent(fields.message, TRANSPORT) : failed
}

const codeOf = (cause: unknown) => {
  const { code, severity, syscall } = (cause ?? {}) as { readonly [name: string]: unknown }
  return {
    code: typeof code === "string" ? code : undefined,
    isServer: typeof severity === "string" && severity !== "",
    syscall
  }
}
