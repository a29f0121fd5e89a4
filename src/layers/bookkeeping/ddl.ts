/** The tables `_ampsync_*` and the view `_ampsync_progress`: the statements that create or extend them. */
import { Effect, Result } from "effect"
import { SqlError } from "effect/sql"
import type { Row } from "../../domain/bookkeeping/checkpointRow.ts"
import { isAlive } from "../../domain/bookkeeping/leaseConditions.ts"
import { fingerprint } from "../../domain/fingerprint.ts"
import { quoteIdentifier } from "../../domain/postgres/table/identifiers.ts"
import { textLiteral } from "../../domain/sql/literal.ts"
import type { RunStatement } from "../../services/PgPool.ts"
import { commentStatements } from "./comments.ts"
import { latestView } from "./latestView.ts"
import { publishBookkeeping } from "./publish.ts"

/**
 * Returns a failure with the GRANT to run where this role lacks a required right: to use the schema, and to create in it
 * where the bookkeeping is missing.
 */
export const missingRights = Effect.fnUntraced(function*(run: RunStatement, schema: string, creates: boolean) {
  const [row] = yield* run<Row>(
    `SELECT current_user AS role, current_database() AS database, n.oid IS NOT NULL AS exists,
       has_database_privilege(current_database(), 'CREATE') AS may_create,
       n.oid IS NOT NULL AND has_schema_privilege(n.oid, 'USAGE')
         AND (NOT $2::boolean OR has_schema_privilege(n.oid, 'CREATE')) AS may_use
     FROM (SELECT) AS one LEFT JOIN pg_namespace n ON n.nspname = $1`,
    [schema, creates]
  )
  if (row === undefined || row["may_use"] === true) return undefined
  const role = quoteIdentifier(String(row["role"]))
  if (row["exists"] === true) {
    return denied(
      `this role lacks rights on schema "${schema}"; run: ` +
        `GRANT USAGE, CREATE ON SCHEMA ${quoteIdentifier(schema)} TO ${role}`
    )
  }
  if (row["may_create"] === true) return undefined
  return denied(
    `schema "${schema}" does not exist, and this role may not create it; run: ` +
      `CREATE SCHEMA ${quoteIdentifier(schema)} AUTHORIZATION ${role}`
  )
})

/** Only an operator can change it, so it is not retried. */
const rejected = (message: string, cause: string) =>
  new SqlError.SqlError({ reason: new SqlError.AuthorizationError({ message, operation: "start", cause }) })

const denied = (message: string) => rejected(message, "SQLSTATE 42501")

/** Statements, in the order of execution. */
export interface BookkeepingDdl {
  /** Need CREATE on the schema. */
  readonly definitions: ReadonlyArray<string>
  /** Need only the ownership of the tables. */
  readonly comments: ReadonlyArray<string>
}

/** Returns the statements that create the bookkeeping of `schema`, or extend that of an earlier version. */
export const bookkeepingDdl = Effect.fnUntraced(function*(
  run: RunStatement,
  schema: string,
  publication: string | undefined
) {
  const existing = yield* run<Row>(
    `SELECT c.relname || '.' || a.attname AS name, a.attnotnull AS "notNull", c.relkind = 'v' AS "isView"
     FROM pg_namespace n JOIN pg_class c ON c.relnamespace = n.oid JOIN pg_attribute a ON a.attrelid = c.oid
     WHERE n.nspname = $1 AND c.relname LIKE '\\_ampsync\\_%' AND a.attnum > 0 AND NOT a.attisdropped`,
    [schema]
  )
  const namespaces = yield* run<Row>("SELECT 1 FROM pg_namespace WHERE nspname = $1", [schema])
  if (existing.some((row) => row["name"] === "_ampsync_checkpoints.table_name" && row["isView"] === true)) {
    return yield* rejected(
      `schema "${schema}" has views of another schema, which readers use (publish); set DATABASE_SCHEMA to a schema for tables`,
      "SQLSTATE 42809"
    )
  }
  const columns = new Map(existing.map((row) => [String(row["name"]), row["notNull"] === true]))
  const quoted = quoteIdentifier(schema)
  const statements = namespaces.length === 0 ? [`CREATE SCHEMA ${quoted}`] : []
  if (!columns.has("_ampsync_checkpoints.table_name")) {
    statements.push(`CREATE TABLE ${quoted}._ampsync_checkpoints (
      table_name text PRIMARY KEY, max_block_num bigint, updated_at timestamptz NOT NULL DEFAULT now(),
      ${checkpointColumns.map(([name, type]) => `${name} ${type}`).join(", ")})`)
  } else if (!columns.has("_ampsync_checkpoints.max_block_num")) {
    return yield* rejected(
      `the table _ampsync_checkpoints in schema "${schema}" has unknown columns; ` +
        "set DATABASE_SCHEMA to another schema",
      "SQLSTATE 42P16"
    )
  } else {
    const changes = missingColumns(columns, "_ampsync_checkpoints", checkpointColumns)
    // The first ampsync had no checkpoint without a block; here it exists before the first block.
    if (columns.get("_ampsync_checkpoints.max_block_num") === true) {
      changes.push("ALTER COLUMN max_block_num DROP NOT NULL")
    }
    if (changes.length > 0) statements.push(`ALTER TABLE ${quoted}._ampsync_checkpoints ${changes.join(", ")}`)
  }
  for (const [table, definition, later = []] of otherTables) {
    const exists = [...columns.keys()].some((name) => name.startsWith(`${table}.`))
    if (!exists) statements.push(`CREATE TABLE ${quoted}.${table} (${definition})`)
    const changes = missingColumns(columns, table, later)
    if (changes.length > 0) statements.push(`ALTER TABLE ${quoted}.${table} ${changes.join(", ")}`)
  }
  // The entry of a resync or a rewind has none.
  if (columns.get("_ampsync_reorgs.new_hash") === true) {
    statements.push(`ALTER TABLE ${quoted}._ampsync_reorgs ALTER COLUMN new_hash DROP NOT NULL`)
  }
  // With an index on the id alone the planner would search the reorgs of all tables for the newest of one.
  if (columns.has("_ampsync_reorgs_pkey.id") && !columns.has("_ampsync_reorgs_pkey.table_name")) {
    statements.push(
      `ALTER TABLE ${quoted}._ampsync_reorgs DROP CONSTRAINT _ampsync_reorgs_pkey, ADD PRIMARY KEY (table_name, id)`
    )
  }
  for (const [name, definition, purpose] of views) {
    const view = `${quoted}.${name}`
    const comment = `${purpose} (definition ${fingerprint(definition(quoted))})`
    const [found] = yield* run<Row>("SELECT obj_description(to_regclass($1), 'pg_class') AS comment", [view])
    if (found?.["comment"] !== comment) {
      statements.push(definition(quoted), `COMMENT ON VIEW ${view} IS ${textLiteral(comment)}`)
    }
  }
  if (publication !== undefined) {
    const published = yield* publishBookkeeping(run, schema, publication)
    if (Result.isFailure(published)) return yield* rejected(published.failure, "SQLSTATE 42501")
    statements.push(...published.success)
  }
  const ddl: BookkeepingDdl = { definitions: statements, comments: yield* commentStatements(run, schema) }
  return ddl
})

type Columns = ReadonlyArray<readonly [name: string, type: string]>

const missingColumns = (existing: ReadonlyMap<string, unknown>, table: string, wanted: Columns) =>
  wanted.filter(([name]) => !existing.has(`${table}.${name}`)).map(([name, type]) => `ADD COLUMN ${name} ${type}`)

const checkpointColumns: Columns = [
  ["dataset", "text"],
  ["dataset_version", "text"],
  ["network", "text"],
  ["position_column", "text"],
  ["origin_block", "bigint"],
  ["watermark_hash", "text"],
  ["watermark_at", "timestamptz"],
  ["block_at", "timestamptz"],
  ["commit_seq", "bigint NOT NULL DEFAULT 0"],
  ["writer_epoch", "bigint NOT NULL DEFAULT 0"],
  ["writer", "text"],
  ["query_fingerprint", "text"],
  ["column_names", "text[]"],
  ["rows", "bigint NOT NULL DEFAULT 0"],
  ["provisional_rows", "bigint NOT NULL DEFAULT 0"],
  ["unverified_from", "bigint"]
]

const otherTables: ReadonlyArray<readonly [table: string, definition: string, later?: Columns]> = [
  [
    "_ampsync_writers",
    "writer text PRIMARY KEY, heartbeat_at timestamptz NOT NULL",
    [
      ["config_loaded_at", "timestamptz"],
      ["reload_failed_at", "timestamptz"],
      ["reload_reason", "text"],
      ["version", "text"],
      ["started_at", "timestamptz"]
    ]
  ],
  [
    "_ampsync_states",
    `table_name text, writer text, state text NOT NULL, reason text, since timestamptz NOT NULL,
     PRIMARY KEY (table_name, writer)`,
    [["source_head", "bigint"], ["source_head_at", "timestamptz"], ["confirmations", "bigint"]]
  ],
  [
    "_ampsync_watermarks",
    `table_name text, block_num bigint, hash text NOT NULL, reached_at timestamptz NOT NULL DEFAULT now(),
     PRIMARY KEY (table_name, block_num)`
  ],
  [
    "_ampsync_reorgs",
    `id bigint GENERATED ALWAYS AS IDENTITY, table_name text NOT NULL,
     seen_at timestamptz NOT NULL DEFAULT now(), first_block bigint NOT NULL, depth bigint NOT NULL,
     old_hash text, new_hash text, rows_removed bigint NOT NULL DEFAULT 0, PRIMARY KEY (table_name, id)`
  ]
]

/**
 * Where several processes report on a table, the report of its writer counts; that of a dead process only becomes the reason.
 *
 * Columns may only be added at the end: the view of an earlier version is replaced while others depend on it.
 */
const progressView = (schema: string): string =>
  `CREATE OR REPLACE VIEW ${schema}._ampsync_progress AS
   SELECT t.table_name, c.dataset, c.dataset_version, c.network, c.max_block_num AS watermark, c.watermark_hash,
     c.watermark_at, clock_timestamp() - c.watermark_at AS watermark_age, c.block_at, c.rows, c.provisional_rows,
     c.unverified_from IS NOT NULL AS unverified, c.writer, w.heartbeat_at AS writer_seen_at,
     r.seen_at AS last_reorg_at, r.first_block AS last_reorg_block, r.depth AS last_reorg_depth,
     coalesce(s.state, 'offline') AS state, s.reason, s.state_since, s.source_head, s.source_head_at,
     CASE WHEN s.source_head IS NOT NULL AND s.state NOT IN ('searching', 'diverged', 'stalled', 'parked', 'stopped')
       THEN greatest(s.source_head - s.confirmations - coalesce(c.max_block_num, c.origin_block - 1, -1), 0)
     END AS lag_blocks
   FROM (
     SELECT table_name FROM ${schema}._ampsync_checkpoints UNION SELECT table_name FROM ${schema}._ampsync_states
   ) t
   LEFT JOIN ${schema}._ampsync_checkpoints c USING (table_name)
   LEFT JOIN ${schema}._ampsync_writers w USING (writer)
   LEFT JOIN LATERAL (
     SELECT * FROM ${schema}._ampsync_reorgs r WHERE r.table_name = c.table_name AND r.new_hash IS NOT NULL
     ORDER BY id DESC LIMIT 1
   ) r ON true
   LEFT JOIN LATERAL (
     SELECT CASE WHEN counts THEN reported.state ELSE 'offline' END AS state,
       CASE WHEN counts THEN reported.reason
         ELSE 'last reported: ' || reported.state || coalesce(': ' || reported.reason, '') END AS reason,
       CASE WHEN counts THEN reported.since ELSE coalesce(by.heartbeat_at, reported.since) END AS state_since,
       CASE WHEN counts THEN reported.source_head END AS source_head,
       CASE WHEN counts THEN reported.source_head_at END AS source_head_at,
       coalesce(reported.confirmations, 0) AS confirmations
     FROM ${schema}._ampsync_states reported
     LEFT JOIN ${schema}._ampsync_writers by USING (writer)
     CROSS JOIN LATERAL (SELECT reported.state IN ('removed', 'stopped') AS ended) AS outcome
     CROSS JOIN LATERAL (SELECT ended OR coalesce(${isAlive("by.heartbeat_at")}, false) AS counts) AS validity
     WHERE reported.table_name = t.table_name
     ORDER BY counts AND NOT ended DESC, writer IS NOT DISTINCT FROM c.writer DESC, reported.state = 'standby',
       state_since DESC
     LIMIT 1
   ) s ON true`

/** In the order in which they are made: the second reads the first. */
const views: ReadonlyArray<readonly [name: string, definition: (schema: string) => string, purpose: string]> = [
  ["_ampsync_progress", progressView, "State of each table"],
  ["_ampsync_latest", latestView, "The newest block at which all tables of a dataset show the same chain"]
]
