/** Judges what a database server reports. */
import { formatAge, formatBytes, formatMillis } from "../numbers.ts"
import { type DatabaseTarget, usesTls } from "../settings/DatabaseTarget.ts"
import { type Finding, ok, problem, skipped, warning } from "./Finding.ts"
import type { ServerFacts } from "./ServerFacts.ts"

/** As docs/database.md has them. */
const OLDEST_MAJOR = 13
const NEWEST_MAJOR = 18

export const versionFinding = ({ version, versionNumber }: ServerFacts): Finding => {
  const major = Math.floor(versionNumber / 10_000)
  if (major < OLDEST_MAJOR) {
    return problem(`PostgreSQL ${version} is older than ${OLDEST_MAJOR}`, `update it to ${OLDEST_MAJOR} or newer`)
  }
  return major > NEWEST_MAJOR
    ? warning(
      `PostgreSQL ${version} is newer than ${NEWEST_MAJOR}, the newest that was tested`,
      "look for a newer ampsync"
    )
    : ok(`PostgreSQL ${version}`)
}

export const encodingFinding = ({ database, encoding }: ServerFacts): Finding =>
  encoding === "UTF8" ? ok("UTF8") : problem(
    `database "${database}" has the encoding ${encoding}, which cannot store every text`,
    "use a database that is created by: CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0"
  )

const isLocal = ({ host }: DatabaseTarget): boolean =>
  host.startsWith("/") || host === "localhost" || host === "::1" || host.startsWith("127.")

export const tlsFinding = ({ tlsVersion }: ServerFacts, target: DatabaseTarget, isDirect: boolean): Finding => {
  const { host, ssl: { mode } } = target
  if (host.startsWith("/")) return ok("a Unix socket, which needs none")
  // The connection was made under the rules of the mode, so what it demands is met.
  if (mode === "require" || mode === "verify-ca" || mode === "verify-full") {
    return mode === "verify-full" || isLocal(target)
      ? ok(`sslmode ${mode}${tlsVersion === undefined ? "" : `, ${tlsVersion}`}`)
      : warning(
        `sslmode ${mode} does not check that the server is ${host}`,
        "set DATABASE_SSLMODE=verify-full, and DATABASE_SSLROOTCERT where the certificate is not of a public authority"
      )
  }
  if (!isDirect && usesTls(target)) return skipped(`a pooler answers, and sslmode ${mode} accepts both`)
  const found = tlsVersion === undefined ? "the connection is not encrypted" : `${tlsVersion}, but nothing is verified`
  return isLocal(target)
    ? ok(`sslmode ${mode}, to this machine: ${found}`)
    : warning(`sslmode ${mode}: ${found}`, "set DATABASE_SSLMODE=verify-full")
}

export const writableFinding = ({ isReadOnly, isStandby, role }: ServerFacts): Finding => {
  if (isStandby) return problem("the server is a standby, which cannot be written", "connect to the primary")
  return isReadOnly
    ? problem(
      "sessions are read-only",
      `set default_transaction_read_only to off for role "${role}" and this database, or connect to another server`
    )
    : ok("a primary, and sessions may write")
}

/** Beside those of the pool: one that asks about sessions that are silent. */
const CONNECTIONS_BESIDE_POOL = 1

export const connectionsFinding = (facts: ServerFacts, maxDbConnections: number): Finding => {
  const { databaseConnections, maxConnections, reservedConnections, role, roleConnections, sessions } = facts
  const limits = [
    { count: maxConnections - reservedConnections, of: "max_connections of the server" },
    ...(roleConnections === undefined ? [] : [{ count: roleConnections, of: `the limit of role "${role}"` }]),
    ...(databaseConnections === undefined ? [] : [{ count: databaseConnections, of: "the limit of the database" }])
  ]
  const least = limits.reduce((a, b) => b.count < a.count ? b : a)
  const needed = maxDbConnections + CONNECTIONS_BESIDE_POOL
  const free = maxConnections - reservedConnections - sessions
  if (least.count < needed) {
    return problem(
      `MAX_DB_CONNECTIONS is ${maxDbConnections}, and with ${CONNECTIONS_BESIDE_POOL} beside them there is no room: ${least.of} leaves ${least.count}`,
      `lower MAX_DB_CONNECTIONS to ${Math.max(2, least.count - CONNECTIONS_BESIDE_POOL)}, or raise the limit`
    )
  }
  return free < needed
    ? warning(
      `${free} connections are free now, and a sync may need ${needed}`,
      "lower MAX_DB_CONNECTIONS, or see who uses the others in pg_stat_activity"
    )
    : ok(`a sync may need ${needed}, and ${free} of ${maxConnections} are free`)
}

/**
 * The least value, in milliseconds, that does no harm; `statement_timeout` and `lock_timeout` are set by each transaction, and
 * `transaction_timeout` ends only single statements, which are short.
 */
const leastTimeouts: Readonly<Record<string, number>> = {
  idle_in_transaction_session_timeout: 60_000,
  idle_session_timeout: 60_000,
  transaction_timeout: 60_000
}

export const timeoutsFinding = ({ role, timeouts }: ServerFacts): Finding => {
  const set = [...timeouts].filter(([, millis]) => millis > 0).map(([name, millis]) =>
    `${name} ${formatMillis(millis)}`
  )
  const short = [...timeouts].filter(([name, millis]) => millis > 0 && millis < (leastTimeouts[name] ?? 0))
  if (short.length === 0) return ok(set.length === 0 ? "none is set" : set.join(", "))
  return warning(
    `${
      short.map(([name, millis]) => `${name} is ${formatMillis(millis)}`).join(", ")
    }: sessions of a sync may be ended by it`,
    `run: ${short.map(([name]) => `ALTER ROLE "${role.replaceAll("\"", "\"\"")}" SET ${name} TO 0`).join("; ")}`
  )
}

export const commitFinding = ({ fsync, synchronousCommit }: ServerFacts): Finding => {
  if (!fsync) {
    return warning(
      "fsync is off: a crash of the machine may damage the whole database",
      "turn fsync on, unless this is a test"
    )
  }
  return synchronousCommit === "off"
    ? warning(
      "synchronous_commit is off: a crash takes back the last commits; a sync notices and reads them again, readers may not",
      "turn synchronous_commit on where readers act on what they see"
    )
    : ok(`synchronous_commit is ${synchronousCommit}`)
}

/** The clocks of a sync, of its database and of the chain are compared by people only: a difference misleads, and breaks nothing. */
const MAX_CLOCK_MILLIS = 5_000

export const clockFinding = ({ clockAheadMillis, roundTripMillis }: ServerFacts): Finding => {
  const difference = Math.abs(clockAheadMillis)
  if (difference - roundTripMillis / 2 <= MAX_CLOCK_MILLIS) return ok(`${formatMillis(difference)} apart`)
  return warning(
    `the clock of the database is ${formatMillis(difference)} ${
      clockAheadMillis > 0 ? "ahead of" : "behind"
    } this machine's`,
    "let NTP set both: times in logs and in the database do not fit together"
  )
}

/** `ageMillis`: our time less that of the newest block. */
export const headFinding = (head: string, ageMillis: number | undefined): Finding => {
  if (ageMillis === undefined) return ok(`${head}; the server does not report its time`)
  return ageMillis < -MAX_CLOCK_MILLIS
    ? warning(
      `${head} is ${formatAge(-ageMillis)} in the future by the clock of this machine`,
      "let NTP set the clock of this machine, or of the chain's nodes: lags in seconds are wrong"
    )
    : ok(`${head}, ${formatAge(ageMillis)} ago`)
}

export const diskFinding = ({ databaseBytes }: ServerFacts): Finding =>
  skipped(
    `PostgreSQL does not report free disk space${
      databaseBytes === undefined ? "" : `; the database has ${formatBytes(databaseBytes)} now`
    }`
  )
