/** What the database has recorded of a sync, as one JSON document. */
import { lagSecondsOf, problemsOf, type SyncRecord, writerParts } from "../../../domain/health/SyncRecord.ts"
import { VERSION } from "../../../domain/version.ts"
import type { ConnectionSettings, DatabaseSettings } from "../../../services/Config.ts"

/** The document; keys, units and the form of numbers and times are those of `/status` where both have a figure. */
export const statusJson = (
  record: SyncRecord,
  { database: { database, host, port } }: Pick<ConnectionSettings, "database">,
  { databaseSchema }: Pick<DatabaseSettings, "databaseSchema">
) => {
  const problems = problemsOf(record)
  return {
    version: VERSION,
    ok: problems.length === 0,
    problems: problems.map(({ code, message, table }) => ({ table: table ?? null, code, message })),
    read_at: iso(record.readAtMillis),
    database: { host, port, database, schema: databaseSchema },
    tables: record.tables.map((table) => ({
      table: table.table,
      dataset: table.dataset ?? null,
      dataset_version: table.datasetVersion ?? null,
      network: table.network ?? null,
      state: table.state,
      reason: table.reason ?? null,
      since: timeOf(table.sinceMillis),
      rows: numberOf(table.rows),
      provisional_rows: numberOf(table.provisionalRows),
      watermark: numberOf(table.watermark),
      watermark_hash: table.watermarkHash ?? null,
      watermark_at: timeOf(table.watermarkAtMillis),
      block_at: timeOf(table.blockAtMillis),
      source_head: numberOf(table.sourceHead),
      source_head_at: timeOf(table.sourceHeadAtMillis),
      lag_blocks: numberOf(table.lagBlocks),
      lag_seconds: lagSecondsOf(table) ?? null,
      unverified: table.unverified,
      last_reorg: table.lastReorg === undefined ? null : {
        at: iso(table.lastReorg.atMillis),
        first_block: Number(table.lastReorg.firstBlock),
        depth: Number(table.lastReorg.depth)
      },
      writer: table.writer ?? null
    })),
    writers: record.writers.map((writer) => {
      const parts = writerParts(writer.writer)
      return {
        writer: writer.writer,
        host: parts?.host ?? null,
        pid: parts?.processId ?? null,
        version: writer.version ?? null,
        started_at: timeOf(writer.startedAtMillis),
        heartbeat_at: iso(writer.heartbeatAtMillis),
        alive: writer.isAlive,
        config_loaded_at: timeOf(writer.configLoadedAtMillis),
        reload_failed_at: timeOf(writer.reloadFailedAtMillis),
        reload_reason: writer.reloadReason ?? null
      }
    }),
    latest: record.latest.map(({ block, dataset, hash, network, tables }) => ({
      dataset,
      network,
      block: Number(block),
      hash,
      tables
    }))
  }
}

const iso = (millis: number): string => new Date(millis).toISOString()
const timeOf = (millis: number | undefined): string | null => millis === undefined ? null : iso(millis)
const numberOf = (value: bigint | undefined): number | null => value === undefined ? null : Number(value)
