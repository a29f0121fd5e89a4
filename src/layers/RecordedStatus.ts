/** `RecordedStatus` from the views and tables `_ampsync_*` of the target schema. */
import { Effect, Layer } from "effect"
import { SqlClient } from "effect/sql"
import { isAlive } from "../domain/bookkeeping/leaseConditions.ts"
import { quoteIdentifier } from "../domain/postgres/table/identifiers.ts"
import { beginSnapshot } from "../domain/sql/transaction.ts"
import { type ConnectionConfig, DatabaseConfig, databasePlace } from "../services/Config.ts"
import { PgPool, runOn } from "../services/PgPool.ts"
import { NothingRecorded, RecordedStatus } from "../services/RecordedStatus.ts"
import { latestOf, type Row, tableOf, writerOf } from "./recorded-status/rows.ts"

/** The `application_name` of its transactions. */
const SESSION_NAME = "ampsync status"

/** The columns that are read; those of an earlier version may be fewer. */
const needed = {
  _ampsync_progress:
    "table_name dataset dataset_version network watermark watermark_hash watermark_at block_at rows provisional_rows "
    + "unverified writer last_reorg_at last_reorg_block last_reorg_depth state reason state_since source_head "
    + "source_head_at lag_blocks",
  _ampsync_latest: "dataset network block_num hash tables",
  _ampsync_writers: "writer heartbeat_at config_loaded_at reload_failed_at reload_reason version started_at"
}

const NAMES = Object.keys(needed) as ReadonlyArray<keyof typeof needed>

const SCHEMA = `
  SELECT current_user::text AS role, has_schema_privilege(oid, 'USAGE') AS usable FROM pg_namespace WHERE nspname = $1`

const RELATIONS = `
  SELECT c.relname AS name, has_table_privilege(c.oid, 'SELECT') AS readable, to_jsonb(ARRAY(
    SELECT attname::text FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped)) AS columns
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = $1 AND (c.relname = ANY($2) OR c.relname = '_ampsync_checkpoints')`

/** `name` as Unix milliseconds. */
const millis = (name: string): string => `extract(epoch FROM ${name})::float8 * 1000 AS ${name}`

const make = Effect.gen(function*() {
  const { databaseSchema: schema } = yield* DatabaseConfig
  const { sql } = yield* PgPool
  const run = runOn(sql)
  const quoted = quoteIdentifier(schema)
  const place = yield* databasePlace
  const nothing = (reason: NothingRecorded["reason"], message: string) => new NothingRecorded({ reason, message })

  /** Fails with what is missing, which a failed statement would name in other words. */
  const checkRelations = Effect.gen(function*() {
    const [found] = yield* run<{ readonly role: string; readonly usable: boolean }>(SCHEMA, [schema])
    if (found === undefined) {
      return yield* nothing(
        "no schema",
        `${place} does not exist; check DATABASE_SCHEMA, or start ampsync once, which creates it`
      )
    }
    const relations = yield* run<
      { readonly name: string; readonly readable: boolean; readonly columns: ReadonlyArray<string> }
    >(RELATIONS, [schema, NAMES])
    const role = quoteIdentifier(found.role)
    if (!found.usable) {
      return yield* nothing(
        "no rights",
        `role ${role} has no access to ${place}; run: GRANT USAGE ON SCHEMA ${quoted} TO ${role}`
      )
    }
    if (relations.length === 0) {
      return yield* nothing(
        "no bookkeeping",
        `${place} has no table of ampsync: no sync was started with it; check DATABASE_SCHEMA`
      )
    }
    const missing = NAMES.flatMap((name) => {
      const columns = relations.find((relation) => relation.name === name)?.columns
      return columns === undefined
        ? [name]
        : needed[name].split(" ").filter((column) => !columns.includes(column)).map((column) => `${name}.${column}`)
    })
    if (missing.length > 0) {
      return yield* nothing(
        "old bookkeeping",
        `the bookkeeping in ${place} is that of an earlier version (it lacks ${
          missing.join(", ")
        }); start this version once, which extends it`
      )
    }
    const unreadable = relations.filter(({ readable }) => !readable).map(({ name }) => `${quoted}.${name}`)
    if (unreadable.length > 0) {
      return yield* nothing(
        "no rights",
        `role ${role} may not read the bookkeeping in ${place}; run: GRANT SELECT ON ${
          unreadable.join(", ")
        } TO ${role}`
      )
    }
  })

  const readAll = Effect.gen(function*() {
    yield* checkRelations
    const tables = yield* run<Row>(
      `SELECT table_name, dataset, dataset_version, network, state, reason, ${millis("state_since")}, rows,
         provisional_rows, watermark, watermark_hash, ${millis("watermark_at")}, ${millis("block_at")}, unverified,
         writer, ${millis("last_reorg_at")}, last_reorg_block, last_reorg_depth, source_head,
         ${millis("source_head_at")}, lag_blocks
       FROM ${quoted}._ampsync_progress ORDER BY table_name`
    )
    const holders = new Set(tables.map((row) => row["writer"]))
    const writers = yield* run<Row>(
      `SELECT writer, version, ${isAlive("heartbeat_at")} AS alive, ${millis("started_at")}, ${millis("heartbeat_at")},
         ${millis("config_loaded_at")}, ${millis("reload_failed_at")}, reload_reason
       FROM ${quoted}._ampsync_writers ORDER BY started_at, writer`
    )
    const latest = yield* run<Row>(
      `SELECT dataset, network, block_num, hash, to_jsonb(tables) AS tables FROM ${quoted}._ampsync_latest ORDER BY 1, 2`
    )
    const [now] = yield* run<{ readonly now: number }>(
      "SELECT extract(epoch FROM clock_timestamp())::float8 * 1000 AS now"
    )
    return {
      readAtMillis: now!.now,
      tables: tables.map(tableOf),
      writers: writers.filter((row) => row["alive"] === true || holders.has(row["writer"])).map(writerOf),
      latest: latest.map(latestOf)
    }
  })

  const read = sql.withTransaction(readAll).pipe(
    Effect.provideService(SqlClient.BeginTransaction, beginSnapshot(SESSION_NAME)),
    Effect.withSpan("RecordedStatus.read")
  )
  return RecordedStatus.of({ read })
})

export const layer: Layer.Layer<RecordedStatus, never, ConnectionConfig | DatabaseConfig | PgPool> = Layer.effect(
  RecordedStatus,
  make
)
