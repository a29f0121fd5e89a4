/** How the bookkeeping is asked, and how its rows read. */
import type { Effect } from "effect"
import type { SqlError } from "effect/sql"
import type { Claim } from "../../services/Checkpoints.ts"

export type Row = Record<string, unknown>

export type Run = (
  statement: string,
  params?: ReadonlyArray<unknown>
) => Effect.Effect<ReadonlyArray<Row>, SqlError.SqlError>

export const columnsOf = (names: unknown): ReadonlyArray<string> | undefined => Array.isArray(names) ? names : undefined

export const claimOf = (
  table: string,
  row: Row,
  history: ReadonlyArray<Row>,
  isNew: boolean,
  earlierFingerprint: unknown,
  earlierColumns: unknown
): Claim => ({
  table,
  epoch: BigInt(row["writer_epoch"] as string),
  commitSeq: BigInt(row["commit_seq"] as string),
  rows: BigInt(row["rows"] as string),
  provisionalRows: BigInt(row["provisional_rows"] as string),
  positionColumn: row["position_column"] as string,
  isNew,
  earlierFingerprint: typeof earlierFingerprint === "string" ? earlierFingerprint : undefined,
  earlierColumns: columnsOf(earlierColumns),
  network: (row["network"] as string | null) ?? undefined,
  origin: optionalBlock(row["origin_block"]),
  unverifiedFrom: optionalBlock(row["unverified_from"]),
  history: history.map((entry) => ({ block: BigInt(entry["block_num"] as string), hash: entry["hash"] as string }))
})

const optionalBlock = (value: unknown): bigint | undefined => (value === null ? undefined : BigInt(value as string))
