/** The types of a database target, and of the reason why a text is none. */
import type { Redacted } from "effect"

export const sslModes = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] as const

export type SslMode = typeof sslModes[number]

/** The TLS parameters. */
export interface DatabaseSsl {
  readonly mode: SslMode
  /** A PEM file, or the word `system` for the operating system's certificates. */
  readonly rootCertPath?: string
  readonly certPath?: string
  readonly keyPath?: string
}

/** A file that the connection needs, and the parameter that names it. */
export interface TlsFile {
  readonly parameter: "sslrootcert" | "sslcert" | "sslkey"
  readonly path: string
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
  /** Which session is acceptable: any, one whose transactions may write, or one on a server that is no standby. */
  readonly targetSessionAttrs?: "any" | "read-write" | "primary"
  /** `require`: the password proof must be bound to the server's certificate. */
  readonly channelBinding?: "disable" | "prefer" | "require"
}

/** A database and the parameters of connections to it. */
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

/** Why a text does not describe a database; it never contains a part of the text that could be secret. */
export interface InvalidDatabaseTarget {
  readonly _tag: "InvalidDatabaseTarget"
  /** Continues after the name of the variable: `has no user`. */
  readonly found: string
  /** The accepted values. */
  readonly allowed: string
  /** The parameter that contradicts another one; absent where it is about a single one, or the whole. */
  readonly parameter?: string
}

export const defaultHost = "localhost"

export const defaultPort = 5432

export const defaultApplicationName = "ampsync"

export const defaultConnectTimeoutSeconds = 10

/** The default of libpq: TLS where the server offers it, nothing verified. */
export const defaultSslMode: SslMode = "prefer"

/** libpq's rule: over a Unix socket there is no TLS, whatever `sslmode` is. */
export const usesTls = ({ host, ssl }: DatabaseTarget): boolean => ssl.mode !== "disable" && !host.startsWith("/")

/** The files that a connection to the target reads; below `require` nothing is verified, so a root certificate is not read. */
export const tlsFiles = (target: DatabaseTarget): ReadonlyArray<TlsFile> => {
  const { certPath, keyPath, mode, rootCertPath } = target.ssl
  if (!usesTls(target)) return []
  const verifies = mode !== "allow" && mode !== "prefer"
  const files = [
    { parameter: "sslrootcert" as const, path: verifies && rootCertPath !== "system" ? rootCertPath : undefined },
    { parameter: "sslcert" as const, path: certPath },
    { parameter: "sslkey" as const, path: keyPath }
  ]
  return files.flatMap(({ parameter, path }) => path === undefined ? [] : [{ parameter, path }])
}
