/** What rows of the bookkeeping are about leases. */
import { checkpointOf, recordedOf, type Row } from "../../domain/bookkeeping/checkpointRow.ts"
import type { SilentHolder, WriterLease } from "../../domain/bookkeeping/WriterLease.ts"

/** A row of `_ampsync_checkpoints` with what is known of its holder. */
export interface Holder extends Row {
  readonly table_name: string
  readonly writer: string | null
  readonly alive: boolean | null
  readonly last_heartbeat: string | null
}

/** Of the writer `w`. */
export const LAST_HEARTBEAT =
  `to_char(w.heartbeat_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS last_heartbeat`

/** The holder in a row of the bookkeeping; undefined where there is none, or it is this process. */
export const silentHolder = (row: Row, ownName: string): SilentHolder | undefined => {
  const { last_heartbeat: lastHeartbeat, writer } = row as Pick<Holder, "last_heartbeat" | "writer">
  if (writer === null || writer === ownName) return undefined
  return { writer, lastHeartbeat: lastHeartbeat ?? undefined }
}

/** The lease that a row of `_ampsync_checkpoints` is, with the watermarks of its table. */
export const leaseOf = (
  row: Row,
  history: ReadonlyArray<Row>,
  tableExists: boolean,
  takenFrom: SilentHolder | undefined
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
