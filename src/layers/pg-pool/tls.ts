import { readFileSync } from "node:fs"
import { rootCertificates } from "node:tls"
import type { ConnectionOptions } from "node:tls"
import { type DatabaseTarget, usesTls } from "../../domain/DatabaseTarget.ts"

type Transport = false | ConnectionOptions

/**
 * libpq's `sslmode` as TLS options of Node, in the order in which they are tried: `false` is plain text.
 *
 * Source: PostgreSQL, libpq, "SSL Support", table "SSL Mode Descriptions".
 */
export const tlsAttempts = (target: DatabaseTarget): readonly [Transport, Transport?] => {
  const { mode, rootCertPath } = target.ssl
  if (!usesTls(target)) return [false]
  const unverified: ConnectionOptions = { ...clientCertificate(target), rejectUnauthorized: false }
  const verified = (): ConnectionOptions => ({ ...clientCertificate(target), ca: authorities(rootCertPath) })
  switch (mode) {
    case "disable":
      return [false]
    case "allow":
      return [false, unverified]
    case "prefer":
      return [unverified, false]
    case "require":
      // With a root certificate at hand, libpq's `require` checks the chain, as `verify-ca` does.
      return [rootCertPath === undefined ? unverified : { ...verified(), checkServerIdentity: () => undefined }]
    case "verify-ca":
      return [{ ...verified(), checkServerIdentity: () => undefined }]
    case "verify-full":
      return [{ ...verified(), servername: target.host }]
  }
}

const authorities = (path: string | undefined): Array<string> =>
  path === undefined || path === "system" ? [...rootCertificates] : [readFileSync(path, "utf8")]

const clientCertificate = ({ ssl }: DatabaseTarget): ConnectionOptions =>
  ssl.certPath === undefined || ssl.keyPath === undefined
    ? {}
    : { cert: readFileSync(ssl.certPath, "utf8"), key: readFileSync(ssl.keyPath, "utf8") }
