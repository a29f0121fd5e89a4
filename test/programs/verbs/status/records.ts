/** Records of a sync, as the database may hold them. */
import type { SyncRecord, TableRecord, WriterRecord } from "../../../../src/domain/health/SyncRecord.ts"

export const NOW = Date.UTC(2026, 10, 30, 12, 0, 0)

export const tableRecord = (table: string, fields: Partial<TableRecord> = {}): TableRecord => ({
  table,
  dataset: "_/example",
  datasetVersion: "0.1.0",
  network: "anvil",
  state: "caught up",
  reason: undefined,
  sinceMillis: NOW - 120_000,
  rows: 1_234_567n,
  provisionalRows: 0n,
  watermark: 9_999n,
  watermarkHash: "0xab",
  watermarkAtMillis: NOW - 3_000,
  blockAtMillis: NOW - 4_000,
  sourceHead: 10_001n,
  sourceHeadAtMillis: NOW - 1_000,
  lagBlocks: 2n,
  unverified: false,
  lastReorg: { atMillis: NOW - 3_600_000 * 3, firstBlock: 9_000n, depth: 3n },
  writer: "host-1 pid 42 (0123abcd)",
  ...fields
})

export const writerRecord = (fields: Partial<WriterRecord> = {}): WriterRecord => ({
  writer: "host-1 pid 42 (0123abcd)",
  version: "0.1.0",
  startedAtMillis: NOW - 600_000,
  heartbeatAtMillis: NOW - 1_000,
  isAlive: true,
  configLoadedAtMillis: NOW - 300_000,
  reloadFailedAtMillis: undefined,
  reloadReason: undefined,
  ...fields
})

export const syncRecord = (fields: Partial<SyncRecord> = {}): SyncRecord => ({
  readAtMillis: NOW,
  tables: [tableRecord("blocks"), tableRecord("logs")],
  writers: [writerRecord()],
  latest: [{ dataset: "_/example", network: "anvil", block: 9_999n, hash: "0xab", tables: ["blocks", "logs"] }],
  ...fields
})
