/** What the server reports of itself, its role and this session. */
import { Clock, Effect } from "effect"
import type { ServerFacts } from "../../domain/health/ServerFacts.ts"
import type { RunStatement } from "../../services/PgPool.ts"

type Row = Readonly<Record<string, unknown>>

/** `reset_val` is what the session began with: transactions of ours set their own. All of these are in milliseconds. */
const TIMEOUTS = `
  SELECT name, reset_val AS value FROM pg_settings WHERE unit = 'ms' AND name IN (
    'statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout', 'idle_session_timeout', 'transaction_timeout')
  ORDER BY name`

/** Rows of pg_stat_activity are visible to everyone; what their sessions do is not. */
const FACTS = `
  SELECT current_setting('server_version') AS version, current_setting('server_version_num')::integer AS number,
    current_setting('server_encoding') AS encoding, current_database()::text AS database, r.rolname::text AS role,
    r.rolsuper AS superuser, pg_is_in_recovery() AS standby,
    current_setting('default_transaction_read_only')::boolean AS "readOnly",
    (SELECT CASE WHEN ssl THEN version END FROM pg_stat_ssl WHERE pid = pg_backend_pid()) AS tls,
    (SELECT count(*)::integer FROM pg_stat_activity WHERE backend_type = 'client backend') AS sessions,
    current_setting('max_connections')::integer AS max,
    CASE WHEN r.rolsuper THEN 0 ELSE current_setting('superuser_reserved_connections')::integer
      + coalesce(current_setting('reserved_connections', true), '0')::integer END AS reserved,
    nullif(r.rolconnlimit, -1) AS "roleLimit", nullif(d.datconnlimit, -1) AS "databaseLimit",
    (SELECT reset_val FROM pg_settings WHERE name = 'synchronous_commit') AS commit,
    current_setting('fsync')::boolean AS fsync, current_setting('wal_level') AS wal,
    CASE WHEN has_database_privilege(d.oid, 'CONNECT') THEN pg_database_size(d.oid)::float8 END AS bytes
  FROM pg_roles r, pg_database d WHERE r.rolname = current_user AND d.datname = current_database()`

const NOW = "SELECT extract(epoch FROM clock_timestamp())::float8 * 1000 AS now"

export const readFacts = Effect.fnUntraced(function*(run: RunStatement) {
  const [row] = yield* run<Row>(FACTS)
  const timeouts = yield* run<{ readonly name: string; readonly value: string }>(TIMEOUTS)
  const before = yield* Clock.currentTimeMillis
  const [time] = yield* run<{ readonly now: number }>(NOW)
  const after = yield* Clock.currentTimeMillis
  const { bytes, commit, database, databaseLimit, encoding, fsync, max, number, readOnly, reserved, role, roleLimit } =
    row!
  const facts: ServerFacts = {
    version: String(row!["version"]).split(" ")[0]!,
    versionNumber: number as number,
    encoding: String(encoding),
    database: String(database),
    role: String(role),
    isSuperuser: row!["superuser"] === true,
    isStandby: row!["standby"] === true,
    isReadOnly: readOnly === true,
    tlsVersion: (row!["tls"] as string | null) ?? undefined,
    sessions: row!["sessions"] as number,
    maxConnections: max as number,
    reservedConnections: reserved as number,
    roleConnections: (roleLimit as number | null) ?? undefined,
    databaseConnections: (databaseLimit as number | null) ?? undefined,
    timeouts: new Map(timeouts.map(({ name, value }) => [name, Number(value)])),
    synchronousCommit: String(commit),
    fsync: fsync === true,
    walLevel: String(row!["wal"]),
    databaseBytes: (bytes as number | null) ?? undefined,
    clockAheadMillis: time!.now - (before + after) / 2,
    roundTripMillis: after - before
  }
  return facts
})
