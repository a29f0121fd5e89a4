/** Reads rows of `_ampsync_progress`, `_ampsync_writers` and `_ampsync_latest`; times come as Unix milliseconds. */
import type { LatestRecord, TableRecord, WriterRecord } from "../../domain/health/SyncRecord.ts"

export type Row = Readonly<Record<string, unknown>>

const text = (value: unknown): string | undefined => typeof value === "string" ? value : undefined
const number = (value: unknown): number | undefined => typeof value === "number" ? Math.round(value) : undefined
const count = (value: unknown): bigint | undefined => typeof value === "string" ? BigInt(value) : undefined

export const tableOf = (row: Row): TableRecord => {
  const [reorgAt, firstBlock, depth] = [
    number(row["last_reorg_at"]),
    count(row["last_reorg_block"]),
    count(row["last_reorg_depth"])
  ]
  return {
    table: String(row["table_name"]),
    dataset: text(row["dataset"]),
    datasetVersion: text(row["dataset_version"]),
    network: text(row["network"]),
    state: String(row["state"]),
    reason: text(row["reason"]),
    sinceMillis: number(row["state_since"]),
    rows: count(row["rows"]),
    provisionalRows: count(row["provisional_rows"]),
    watermark: count(row["watermark"]),
    watermarkHash: text(row["watermark_hash"]),
    watermarkAtMillis: number(row["watermark_at"]),
    blockAtMillis: number(row["block_at"]),
    sourceHead: count(row["source_head"]),
    sourceHeadAtMillis: number(row["source_head_at"]),
    lagBlocks: count(row["lag_blocks"]),
    unverified: row["unverified"] === true,
    lastReorg: reorgAt === undefined || firstBlock === undefined || depth === undefined
      ? undefined
      : { atMillis: reorgAt, firstBlock, depth },
    writer: text(row["writer"])
  }
}

export const writerOf = (row: Row): WriterRecord => ({
  writer: String(row["writer"]),
  version: text(row["version"]),
  startedAtMillis: number(row["started_at"]),
  heartbeatAtMillis: number(row["heartbeat_at"]) ?? 0,
  isAlive: row["alive"] === true,
  configLoadedAtMillis: number(row["config_loaded_at"]),
  reloadFailedAtMillis: number(row["reload_failed_at"]),
  reloadReason: text(row["reload_reason"])
})

export const latestOf = (row: Row): LatestRecord => ({
  dataset: String(row["dataset"]),
  network: String(row["network"]),
  block: BigInt(String(row["block_num"])),
  hash: String(row["hash"]),
  tables: row["tables"] as ReadonlyArray<string>
})
