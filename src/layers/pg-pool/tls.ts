/** TLS options for connections to PostgreSQL. */
import { readFileSync } from "node:fs"
import type { ConnectionOptions } from "node:tls"
import { type DatabaseTarget, usesTls } from "../../domain/settings/DatabaseTarget.ts"

type Transport = false | ConnectionOptions

/**
 * libpq's `sslmode` as TLS options of Node, in the order in which they are tried: `false` is plain text.
 *
 * Source: PostgreSQL, libpq, "SSL Support", table "SSL Mode Descriptions".
 */
export const tlsAttempts = (target: DatabaseTarget): readonly [Transport, Transport?] => {
  const { mode, rootCertPath } = target.ssl
  if (!usesTls(target)) return [false]
  const mustEncrypt = target.options?.channelBinding === "require"
  const unverified: ConnectionOptions = { ...clientCertificate(target), rejectUnauthorized: false }
  const verified = (): ConnectionOptions => ({ ...clientCertificate(target), ...authorities(rootCertPath) })
  switch (mode) {
    case "disable":
      return [false]
    case "allow":
      return mustEncrypt ? [unverified] : [false, unverified]
    case "prefer":
      return mustEncrypt ? [unverified] : [unverified, false]
    case "require":
      // With a root certificate, libpq's `require` verifies the chain, as `verify-ca` does.
      return [rootCertPath === undefined ? unverified : { ...verified(), checkServerIdentity: () => undefined }]
    case "verify-ca":
      return [{ ...verified(), checkServerIdentity: () => undefined }]
    case "verify-full":
      return [verified()]
  }
}

/**
 * The authorities to trust: those of the file alone; otherwise those of SSL_CERT_FILE, or Node's.
 * NODE_EXTRA_CA_CERTS adds to both of the latter: Node does so itself where `ca` is absent.
 */
const authorities = (path: string | undefined): { readonly ca?: Array<string> } => {
  if (path !== undefined && path !== "system") return { ca: [readFileSync(path, "utf8")] }
  const { NODE_EXTRA_CA_CERTS: extra, SSL_CERT_FILE: system } = process.env
  if (!system) return {}
  return {
    ca: [readAuthorities("SSL_CERT_FILE", system), ...(extra ? [readAuthorities("NODE_EXTRA_CA_CERTS", extra)] : [])]
  }
}

const readAuthorities = (variable: string, path: string): string => {
  try {
    return readFileSync(path, "utf8")
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    throw new Error(`${variable} names a file that cannot be read (${code})`, { cause })
  }
}

const clientCertificate = ({ ssl }: DatabaseTarget): ConnectionOptions =>
  ssl.certPath === undefined || ssl.keyPath === undefined
    ? {}
    : { cert: readFileSync(ssl.certPath, "utf8"), key: readFileSync(ssl.keyPath, "utf8") }
