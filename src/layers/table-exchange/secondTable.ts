/** The second table of a table: its schema, and what is stored of it. */
import { Effect } from "effect"
import { checkpointOf, recordedOf, type Row } from "../../domain/bookkeeping/checkpointRow.ts"
import type { RecordedTable } from "../../domain/bookkeeping/TableIdentity.ts"
import type { Checkpoint } from "../../domain/chain/Checkpoint.ts"
import { fingerprint } from "../../domain/fingerprint.ts"
import { quoteIdentifier } from "../../domain/postgres/table/identifiers.ts"
import type { RunStatement } from "../../services/PgPool.ts"

/** The schema of the second table; 48 bytes, whatever the names are. */
export const secondSchema = (schema: string, table: string): string =>
  `_ampsync_resync_${fingerprint(JSON.stringify([schema, table]))}`

/** The table with the positions that differ, in the schema of the second table. */
export const differences = (second: string): string => `${quoteIdentifier(second)}._ampsync_differences`

/** What the bookkeeping of a schema has of a table. */
export interface StoredState {
  readonly checkpoint: Checkpoint
  readonly recorded: RecordedTable | undefined
  readonly rows: bigint
  readonly provisionalRows: bigint
  /** Unix seconds. */
  readonly blockTimestamp: number | undefined
  readonly writer: string | undefined
}

/** Reads what is stored of a table; `lock` may lock its checkpoint. Undefined where nothing is. */
export const readState = Effect.fnUntraced(function*(run: RunStatement, schema: string, table: string, lock = "") {
  const bookkeeping = quoteIdentifier(schema)
  const [row] = yield* run<Row>(
    `SELECT network, origin_block, unverified_from, position_column, query_fingerprint, dataset_version,
       to_jsonb(column_names) AS column_names, rows, provisional_rows, extract(epoch FROM block_at)::text AS block_at, writer
     FROM ${bookkeeping}._ampsync_checkpoints WHERE table_name = $1 ${lock}`,
    [table]
  )
  if (row === undefined) return undefined
  const history = yield* run<Row>(
    `SELECT block_num, hash FROM ${bookkeeping}._ampsync_watermarks WHERE table_name = $1 ORDER BY block_num`,
    [table]
  )
  return {
    checkpoint: checkpointOf(row, history),
    recorded: recordedOf(row),
    rows: BigInt(row["rows"] as string),
    provisionalRows: BigInt(row["provisional_rows"] as string),
    blockTimestamp: row["block_at"] === null ? undefined : Number(row["block_at"]),
    writer: (row["writer"] as string | null) ?? undefined
  } satisfies StoredState as StoredState
})

/** The newest recorded reorg of a table; 0 where there is none. */
export const newestReorg = Effect.fnUntraced(function*(run: RunStatement, schema: string, table: string) {
  const [row] = yield* run<{ readonly newest: string }>(
    `SELECT coalesce(max(id), 0) AS newest FROM ${quoteIdentifier(schema)}._ampsync_reorgs WHERE table_name = $1`,
    [table]
  )
  return BigInt(row!.newest)
})
