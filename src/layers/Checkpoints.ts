/** Checkpoints as rows of the target schema. */
import { Effect, Layer, Option } from "effect"
import { datasetOf, recordedOf, type Row, watermarkOf } from "../domain/bookkeeping/checkpointRow.ts"
import type { TableIdentity } from "../domain/bookkeeping/TableIdentity.ts"
import type { WriterLease } from "../domain/bookkeeping/WriterLease.ts"
import { emptyCheckpoint } from "../domain/chain/Checkpoint.ts"
import { quoteIdentifier } from "../domain/postgres/table/identifiers.ts"
import { type Advance, Checkpoints, type StoredCheckpoint } from "../services/Checkpoints.ts"
import { DatabaseConfig } from "../services/Config.ts"
import { isDivisionByZero, PgPool, runOn } from "../services/PgPool.ts"
import { Fenced, TableLeases } from "../services/TableLeases.ts"
import { makeAdvanceStatement } from "./checkpoints/advanceStatement.ts"

/** `Checkpoints` in `_ampsync_checkpoints`, `_ampsync_watermarks` and `_ampsync_reorgs`. */
const make = Effect.gen(function*() {
  const { databaseSchema } = yield* DatabaseConfig
  const { sql } = yield* PgPool
  const { writer } = yield* TableLeases
  const schema = quoteIdentifier(databaseSchema)
  const run = runOn(sql)
  const advanceStatement = makeAdvanceStatement(databaseSchema, writer)

  /** Before the first start there is none, and a schema that `publish` made has views of that of another one. */
  const hasBookkeeping = Effect.map(
    run<Row>("SELECT EXISTS (SELECT FROM pg_class WHERE oid = to_regclass($1) AND relkind = 'r') AS exists", [
      `${schema}._ampsync_checkpoints`
    ]),
    ([row]) => row?.["exists"] === true
  )

  const filledTables = Effect.gen(function*() {
    if (!(yield* hasBookkeeping)) return []
    const tables = yield* run<{ readonly name: string }>(
      `SELECT table_name AS name FROM ${schema}._ampsync_checkpoints c
       WHERE to_jsonb(c)->>'dataset' IS NOT NULL AND to_jsonb(c)->>'position_column' IS NOT NULL
         AND to_regclass(format('%I.%I', $1::text, table_name)) IS NOT NULL ORDER BY table_name`,
      [databaseSchema]
    )
    return tables.map(({ name }) => name)
  })

  const load = Effect.fn("Checkpoints.load")(function*(table: string) {
    if (!(yield* hasBookkeeping)) return Option.none<StoredCheckpoint>()
    // The table of an earlier version may have fewer columns.
    const [found] = yield* run<{ readonly row: Row }>(
      `SELECT to_jsonb(c) || jsonb_build_object(
         'max_block_num', c.max_block_num::text,
         'exists', to_regclass(format('%I.%I', $2::text, c.table_name)) IS NOT NULL
       ) AS row FROM ${schema}._ampsync_checkpoints c WHERE c.table_name = $1`,
      [table, databaseSchema]
    )
    return Option.map(Option.fromUndefinedOr(found), ({ row }): StoredCheckpoint => ({
      dataset: datasetOf(row),
      watermark: watermarkOf(row),
      recorded: recordedOf(row),
      tableExists: row["exists"] === true
    }))
  })

  const watermarkUpTo = Effect.fn("Checkpoints.watermarkUpTo")(function*(table: string, block: bigint) {
    const [row] = yield* run<{ readonly block_num: string; readonly hash: string }>(
      `SELECT block_num, hash FROM ${schema}._ampsync_watermarks
       WHERE table_name = $1 AND block_num <= $2::bigint ORDER BY block_num DESC LIMIT 1`,
      [table, block.toString()]
    )
    return row === undefined ? undefined : { block: BigInt(row.block_num), hash: row.hash }
  })

  const record = Effect.fn("Checkpoints.record")(function*(lease: WriterLease, identity: TableIdentity) {
    const [row] = yield* run<Row>(
      `UPDATE ${schema}._ampsync_checkpoints
       SET dataset_version = $4, query_fingerprint = $5, position_column = $6, column_names = coalesce($7, column_names)
       WHERE table_name = $1 AND writer_epoch = $2 AND writer = $3 RETURNING table_name`,
      [
        lease.table,
        lease.epoch,
        writer,
        identity.version ?? null,
        identity.fingerprint,
        identity.positionColumn,
        identity.columns ?? null
      ]
    )
    if (row === undefined) return yield* new Fenced({ table: lease.table })
  })

  const advance = Effect.fn("Checkpoints.advance")((lease: WriterLease, change: Advance) => {
    const { lease: after, statement } = advanceStatement(lease, change, undefined)
    return Effect.as(run(statement), after).pipe(
      Effect.mapError((error) => isDivisionByZero(error) ? new Fenced({ table: lease.table }) : error)
    )
  })

  const forget = Effect.fn("Checkpoints.forget")(function*(lease: WriterLease, rows: bigint) {
    const { history, origin } = lease.checkpoint
    const watermark = history.at(-1)
    if (watermark !== undefined) {
      // For those who follow the table: whatever they derived from it is gone.
      const first = origin ?? 0n
      yield* run(
        `INSERT INTO ${schema}._ampsync_reorgs (table_name, first_block, depth, old_hash, rows_removed)
         VALUES ($1, $2, $3, $4, $5)`,
        [lease.table, first, watermark.block - first + 1n, watermark.hash, lease.rows]
      )
    }
    yield* run(`DELETE FROM ${schema}._ampsync_watermarks WHERE table_name = $1`, [lease.table])
    yield* run(
      `UPDATE ${schema}._ampsync_checkpoints
       SET max_block_num = NULL, watermark_hash = NULL, watermark_at = NULL, block_at = NULL, origin_block = NULL,
         network = NULL, unverified_from = NULL, rows = $2, provisional_rows = $2
       WHERE table_name = $1`,
      [lease.table, rows]
    )
    return { ...lease, checkpoint: emptyCheckpoint, rows, provisionalRows: rows }
  })

  return Checkpoints.of({ load, watermarkUpTo, filledTables, record, advance, advanceStatement, forget })
})

export const layer: Layer.Layer<Checkpoints, never, DatabaseConfig | PgPool | TableLeases> = Layer.effect(
  Checkpoints,
  make
)
