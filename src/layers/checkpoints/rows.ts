/** How the rows of the bookkeeping read. */
import type { Effect } from "effect"
import type { SqlError } from "effect/sql"
import type { RecordedTable, WriterLease } from "../../services/Checkpoints.ts"

export type Row = Record<string, unknown>

export type Run = (
  statement: string,
  params?: ReadonlyArray<unknown>
) => Effect.Effect<ReadonlyArray<Row>, SqlError.SqlError>

export const leaseOf = (row: Row, history: ReadonlyArray<Row>, tableExists: boolean): WriterLease => ({
  table: row["table_name"] as string,
  epoch: BigInt(row["writer_epoch"] as string),
  commitSeq: BigInt(row["commit_seq"] as string),
  rows: BigInt(row["rows"] as string),
  provisionalRows: BigInt(row["provisional_rows"] as string),
  recorded: recordedOf(row),
  tableExists,
  checkpoint: {
    network: (row["network"] as string | null) ?? undefined,
    origin: optionalBlock(row["origin_block"]),
    unverifiedFrom: optionalBlock(row["unverified_from"]),
    history: history.map((entry) => ({ block: BigInt(entry["block_num"] as string), hash: entry["hash"] as string }))
  }
})

/** A row without a position column belongs to a table that was never filled. */
export const recordedOf = (row: Row): RecordedTable | undefined => {
  const {
    column_names: columns,
    dataset_version: version,
    position_column: positionColumn,
    query_fingerprint: fingerprint
  } = row
  if (typeof positionColumn !== "string") return undefined
  return {
    positionColumn,
    fingerprint: String(fingerprint),
    ...(typeof version === "string" ? { version } : {}),
    ...(Array.isArray(columns) ? { columns: columns as ReadonlyArray<string> } : {})
  }
}

const optionalBlock = (value: unknown): bigint | undefined => (value === null ? undefined : BigInt(value as string))
