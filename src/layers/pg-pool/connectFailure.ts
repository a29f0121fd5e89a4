/** What a failure to connect means, told by codes and by how far it came: servers write in the language of their machine. */
import { SqlError } from "effect/sql"
import { type Secret, SecretError } from "../../services/Config.ts"
import { classify } from "./classify.ts"

/** A connection that works and is not what the settings ask for. */
export class UnsuitableSession extends Error {
  readonly retryable: boolean

  constructor(message: string, retryable = false) {
    super(message)
    this.retryable = retryable
  }
}

/** How far an attempt came. */
export interface Seen {
  /** The server answered that it has no TLS. */
  readonly refusedTls: boolean
  readonly askedToAuthenticate: boolean
}

type Login = Pick<Secret<unknown>, "mayChange" | "variable">

/** Only TLS or only plain text was refused: the other may work. */
export const refusesTransport = (error: SqlError.SqlError): boolean => error.reason.cause === TRANSPORT

const TRANSPORT = "transport refused"

/** Never retried where only a change of the settings can help; a login that is in a file may change by itself. */
export const connectFailure = (
  cause: unknown,
  seen: Seen,
  { mayChange, variable }: Login,
  isEncrypted: boolean
): SqlError.SqlError => {
  const failed = classify(cause, "connect")
  const fields = { message: failed.reason.message, operation: "connect", cause: failed.reason.cause }
  const passing = (message: string, cause = fields.cause) =>
    new SqlError.SqlError({ reason: new SqlError.ConnectionError({ ...fields, message, cause }) })
  const lasting = (message: string, cause = fields.cause) =>
    new SqlError.SqlError({ reason: new SqlError.AuthenticationError({ ...fields, message, cause }) })

  if (cause instanceof SecretError) return passing(`PostgreSQL: the login cannot be read: ${cause.message}`)
  if (cause instanceof UnsuitableSession) return cause.retryable ? passing(fields.message) : lasting(fields.message)
  const { code = "", isServer, syscall } = codeOf(cause)
  if (isServer && code.startsWith("28")) {
    // As libpq: a rule of pg_hba.conf that does not take this transport refuses before it asks who we are.
    const reason = code === "28000" && !seen.askedToAuthenticate ? TRANSPORT : fields.cause
    return mayChange
      ? passing(`${fields.message}; ${variable} is read again at every attempt`, reason)
      : lasting(`${fields.message}; check ${variable}`, reason)
  }
  if (isServer && code.startsWith("XX")) {
    // Poolers know a tenant by the user's name, and report it under this code also while they start.
    return passing(`${fields.message}; a pooler reports so what it does not know: check user and host in ${variable}`)
  }
  if (isServer) return failed
  const failedTls = code === "EPROTO" || (code.includes("_") && syscall === undefined)
  return seen.refusedTls || (isEncrypted && failedTls) ? lasting(fields.message, TRANSPORT) : failed
}

const codeOf = (cause: unknown) => {
  const { code, severity, syscall } = (cause ?? {}) as { readonly [name: string]: unknown }
  return {
    code: typeof code === "string" ? code : undefined,
    isServer: typeof severity === "string" && severity !== "",
    syscall
  }
}
