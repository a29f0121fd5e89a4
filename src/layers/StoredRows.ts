/** Stored rows, counted and hashed by the database itself, so that only a line per block is transferred. */
import { Effect, Layer } from "effect"
import { hash as hashOnce } from "node:crypto"
import { checkpointOf, recordedOf, type Row, watermarkOf } from "../domain/bookkeeping/checkpointRow.ts"
import { quoteIdentifier } from "../domain/postgres/table/identifiers.ts"
import { qualifiedName } from "../domain/postgres/table/tableDdl.ts"
import { rowDigests } from "../domain/sql/rowDigests.ts"
import type { BlockDigest } from "../domain/verify/BlockComparison.ts"
import { DatabaseConfig } from "../services/Config.ts"
import { PgPool, runOn } from "../services/PgPool.ts"
import { StoredRows, type StoredTable } from "../services/StoredRows.ts"

/** A comparison waits for the server between two statements, as long as that takes. */
const SESSION = `
  SELECT set_config(name, '0', true) FROM pg_settings
  WHERE name IN ('statement_timeout', 'idle_in_transaction_session_timeout')`

const make = Effect.gen(function*() {
  const { databaseSchema } = yield* DatabaseConfig
  const { sql, transaction } = yield* PgPool
  const schema = quoteIdentifier(databaseSchema)
  const run = runOn(sql)

  const hash: StoredRows["Service"]["hash"] = (record) => {
    const digest = hashOnce("sha256", record, "buffer")
    return { high: digest.readBigInt64BE(0), low: digest.readBigInt64BE(8) }
  }

  const readTable = Effect.fnUntraced(function*(table: string) {
    const [bookkeeping] = yield* run<Row>("SELECT to_regclass($1) IS NOT NULL AS exists", [
      `${schema}._ampsync_checkpoints`
    ])
    if (bookkeeping?.["exists"] !== true) return undefined
    const [row] = yield* run<Row>(
      `SELECT max_block_num, watermark_hash, origin_block, unverified_from, network, dataset, dataset_version,
         position_column, query_fingerprint, to_jsonb(column_names) AS column_names, rows, provisional_rows
       FROM ${schema}._ampsync_checkpoints WHERE table_name = $1`,
      [table]
    )
    const columns = yield* run<Row>(
      `SELECT a.attname AS name, a.atttypid AS type, c.relkind = 'p' AS partitioned
       FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
       WHERE n.nspname = $1 AND c.relname = $2 AND a.attnum > 0 AND NOT a.attisdropped`,
      [databaseSchema, table]
    )
    const recorded = row === undefined ? undefined : recordedOf(row)
    if (row === undefined || recorded === undefined || columns.length === 0) return undefined
    const history = yield* run<Row>(
      `SELECT block_num, hash FROM ${schema}._ampsync_watermarks WHERE table_name = $1 ORDER BY block_num`,
      [table]
    )
    const name = qualifiedName({ schema: databaseSchema, table })
    const position = quoteIdentifier(recorded.positionColumn)
    const [counts] = yield* run<Row>(
      `SELECT count(*) AS rows, count(*) FILTER (WHERE ${position} < $1::bigint) AS below,
         count(*) FILTER (WHERE ${position} > coalesce($2::bigint, -1)) AS above FROM ${name}`,
      [row["origin_block"], row["max_block_num"]]
    )
    const [reorgs] = yield* run<Row>(
      `SELECT coalesce(max(id), 0) AS newest,
         count(*) FILTER (WHERE depth < 0 OR rows_removed < 0 OR first_block < 0 OR new_hash !~ '^0x[0-9a-f]{64}$'
           OR old_hash !~ '^0x[0-9a-f]{64}$') AS bad
       FROM ${schema}._ampsync_reorgs WHERE table_name = $1`,
      [table]
    )

    const digests: StoredTable["digests"] = (columns, above, upTo) =>
      run<Row>(
        rowDigests(
          { name, positionColumn: recorded.positionColumn, columns },
          `${position} > $1::bigint AND ${position} <= $2::bigint`
        ),
        [above.toString(), upTo.toString()]
      ).pipe(Effect.map((rows) => new Map(rows.map((row) => [BigInt(row["block"] as string), digestOf(row)]))))

    return {
      checkpoint: checkpointOf(row, history),
      watermark: watermarkOf(row),
      recorded,
      isPartitioned: columns[0]!["partitioned"] === true,
      rows: bigintOf(row["rows"]),
      provisionalRows: bigintOf(row["provisional_rows"]),
      found: {
        rows: bigintOf(counts!["rows"]),
        belowOrigin: bigintOf(counts!["below"]),
        aboveWatermark: bigintOf(counts!["above"])
      },
      badReorgs: bigintOf(reorgs!["bad"]),
      newestReorg: bigintOf(reorgs!["newest"]),
      typeOids: new Map(columns.map((column) => [String(column["name"]), Number(column["type"])])),
      digests
    } satisfies StoredTable
  })

  const snapshot: StoredRows["Service"]["snapshot"] = (table, use) =>
    transaction(
      `ampsync verify ${table}`,
      Effect.gen(function*() {
        yield* run(SESSION)
        return yield* use(yield* readTable(table))
      }),
      "ISOLATION LEVEL REPEATABLE READ READ ONLY"
    )

  const replacedSince: StoredRows["Service"]["replacedSince"] = ({ newestReorg, table }) =>
    run<Row>(
      `SELECT least(
         (SELECT min(first_block) FROM ${schema}._ampsync_reorgs WHERE table_name = $1 AND id > $2::bigint),
         (SELECT coalesce(max_block_num, -1) + 1 FROM ${schema}._ampsync_checkpoints WHERE table_name = $1)
       ) AS block`,
      [table, newestReorg.toString()]
    ).pipe(Effect.map(([row]) => row?.["block"] == null ? undefined : bigintOf(row["block"])))

  return StoredRows.of({ hash, snapshot, replacedSince })
})

export const layer: Layer.Layer<StoredRows, never, DatabaseConfig | PgPool> = Layer.effect(StoredRows, make)

const bigintOf = (value: unknown): bigint => BigInt(value as string)

const digestOf = (row: Row): BlockDigest => ({
  rows: Number(row["rows"]),
  high: BigInt.asUintN(64, bigintOf(row["high"])),
  low: BigInt.asUintN(64, bigintOf(row["low"]))
})
