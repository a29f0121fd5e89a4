/** Checks the certificate files that a database URL names, so that their problems are reported with the settings. */
import { Effect } from "effect"
import { readFile } from "node:fs/promises"
import { createSecureContext } from "node:tls"
import { errorCode } from "../../domain/errorCode.ts"
import { type DatabaseTarget, type TlsFile, tlsFiles } from "../../domain/settings/DatabaseTarget.ts"
import type { InvalidSetting } from "../../domain/settings/decode.ts"

/** Returns the problems of the files. Paths are omitted, because people paste keys in their place. */
export const tlsFileProblems = Effect.fnUntraced(function*(target: DatabaseTarget) {
  const problems: Array<TlsFileProblem> = []
  const texts: { [parameter: string]: string } = {}
  for (const { parameter, path } of tlsFiles(target)) {
    const read = yield* Effect.result(Effect.tryPromise({
      try: () => readFile(path, "utf8"),
      catch: errorCode
    }))
    if (read._tag === "Success") texts[parameter] = read.success
    else problems.push(unusable(parameter, `cannot be read (${read.failure})`))
  }
  const { sslcert, sslkey, sslrootcert } = texts
  if (sslrootcert !== undefined && !hasCertificate(sslrootcert)) {
    problems.push(unusable("sslrootcert", "contains no certificate"))
  }
  if (sslcert !== undefined && sslkey !== undefined) {
    if (!hasCertificate(sslcert)) problems.push(unusable("sslcert", "contains no certificate"))
    else if (!isAccepted({ cert: sslcert, key: sslkey })) {
      problems.push(
        unusable("sslkey", "contains no key, one with a passphrase, or one that does not belong to sslcert")
      )
    }
  }
  return problems
})

const unusable = (parameter: TlsFile["parameter"], why: string): TlsFileProblem => ({
  parameter,
  problem: {
    found: `has an ${parameter} that names a file that ${why}`,
    allowed: `${parameter} as the path of a readable PEM file${parameter === "sslrootcert" ? ", or system" : ""}`
  }
})

/** A file that cannot be used. */
export interface TlsFileProblem {
  readonly parameter: TlsFile["parameter"]
  readonly problem: InvalidSetting
}

/** Node accepts a `ca` without certificates silently. */
const hasCertificate = (text: string): boolean => /-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----/.test(text)

const isAccepted = (options: Parameters<typeof createSecureContext>[0]): boolean => {
  try {
    createSecureContext(options)
    return true
  } catch {
    return false
  }
}
