/** What rows of the bookkeeping are about leases. */
import { checkpointOf, recordedOf, type Row } from "../../domain/bookkeeping/checkpointRow.ts"
import { isAlive } from "../../domain/bookkeeping/leaseConditions.ts"
import type { PreviousHolder, WriterLease } from "../../domain/bookkeeping/WriterLease.ts"

/** A row of `_ampsync_checkpoints` with what is known of its holder. */
export interface Holder extends Row {
  readonly table_name: string
  readonly writer: string | null
  readonly writer_epoch: string
  readonly alive: boolean | null
  readonly last_heartbeat: string | null
}

/** The columns of `Holder`, of a checkpoint `c` and its writer `w`. */
export const HOLDER = `c.writer, c.writer_epoch, ${isAlive("w.heartbeat_at")} AS alive,
  to_char(w.heartbeat_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS last_heartbeat`

/** The holder before this process, by a row of the bookkeeping; `ownEpoch` is the newest one that this process was given. */
export const previousHolder = (
  row: Row,
  ownName: string,
  ownEpoch: bigint | undefined
): PreviousHolder | undefined => {
  const { last_heartbeat: lastHeartbeat, writer, writer_epoch: epoch } = row as Holder
  if (writer === ownName) return undefined
  if (writer !== null) return { _tag: "Silent", writer, lastHeartbeat: lastHeartbeat ?? undefined }
  return ownEpoch !== undefined && BigInt(epoch) > ownEpoch ? { _tag: "Released" } : undefined
}

/** The lease that a row of `_ampsync_checkpoints` is, with the watermarks of its table. */
export const leaseOf = (
  row: Row,
  history: ReadonlyArray<Row>,
  tableExists: boolean,
  takenFrom: PreviousHolder | undefined
): WriterLease => ({
  table: row["table_name"] as string,
  epoch: BigInt(row["writer_epoch"] as string),
  commitSeq: BigInt(row["commit_seq"] as string),
  rows: BigInt(row["rows"] as string),
  provisionalRows: BigInt(row["provisional_rows"] as string),
  recorded: recordedOf(row),
  tableExists,
  takenFrom,
  checkpoint: checkpointOf(row, history)
})
