/** The metrics of one table. */
import { lagBlocks, lagSeconds } from "../lag.ts"
import { phases } from "../TablePhase.ts"
import type { TableStatus } from "../TableStatus.ts"
import type { HistogramDefinition, ReadMetric } from "./Metric.ts"

type TableMetric = ReadMetric<TableStatus>

const ofTable = { labels: ["table"] }
const gauge = { ...ofTable, type: "gauge" } as const
const counter = { ...ofTable, type: "counter" } as const

const numberOf = (value: bigint | undefined): number | undefined => value === undefined ? undefined : Number(value)
const secondsOf = (millis: number | undefined): number | undefined => millis === undefined ? undefined : millis / 1_000

const stages = {
  source: "sourceWaitMillis",
  encode: "encodeMillis",
  storage: "storageWaitMillis"
} as const

export const tableMetrics: ReadonlyArray<TableMetric> = [
  {
    ...gauge,
    name: "ampsync_table_state",
    unit: "{info}",
    labels: ["table", "state"],
    description: "1 for the state that the table is in, 0 for every other state",
    values: phases,
    read: ({ phase }, state) => phase === state ? 1 : 0
  },
  {
    ...gauge,
    name: "ampsync_table_watermark_block",
    unit: "{block}",
    description: "Highest block up to which the table is complete; no series before there is one",
    read: ({ watermark }) => numberOf(watermark)
  },
  {
    ...gauge,
    name: "ampsync_table_watermark_timestamp_seconds",
    unit: "seconds",
    description: "Unix time of the watermark's block; no series where the source reports no times (nozzle)",
    read: ({ watermarkAtSeconds }) => watermarkAtSeconds
  },
  {
    ...gauge,
    name: "ampsync_table_watermark_moved_timestamp_seconds",
    unit: "seconds",
    description: "Unix time at which this process last committed another watermark; no series before it did",
    read: ({ watermarkMovedAtMillis }) => secondsOf(watermarkMovedAtMillis)
  },
  {
    ...gauge,
    name: "ampsync_table_source_head_block",
    unit: "{block}",
    description: "Last block of the source, as last read; no series before it was read",
    read: ({ sourceHead }) => numberOf(sourceHead?.block)
  },
  {
    ...gauge,
    name: "ampsync_table_source_head_read_timestamp_seconds",
    unit: "seconds",
    description: "Unix time at which the last block of the source was last read; no series before it was read",
    read: ({ headReadAtMillis }) => secondsOf(headReadAtMillis)
  },
  {
    ...gauge,
    name: "ampsync_table_lag_blocks",
    unit: "{block}",
    description: "Blocks between what is committed and the newest block of the source that has its confirmations; " +
      "no series where it is not known",
    read: (status) => numberOf(lagBlocks(status))
  },
  {
    ...gauge,
    name: "ampsync_table_lag_seconds",
    unit: "seconds",
    description: "Time between the watermark's block and the newest block of the source that has its confirmations; " +
      "no series where it is not known, as with nozzle servers",
    read: lagSeconds
  },
  {
    ...gauge,
    name: "ampsync_table_rows",
    unit: "{row}",
    description: "Rows in the table, provisional ones included; no series before its stream was open",
    read: ({ hasConnected, rows }) => hasConnected ? Number(rows) : undefined
  },
  {
    ...gauge,
    name: "ampsync_table_rows_provisional",
    unit: "{row}",
    description: "Rows above the watermark; no series before its stream was open",
    read: ({ hasConnected, provisionalRows }) => hasConnected ? Number(provisionalRows) : undefined
  },
  {
    ...gauge,
    name: "ampsync_table_confirmations",
    unit: "{block}",
    description: "Blocks that must be on top of rows before they are written",
    read: ({ confirmations }) => confirmations
  },
  {
    ...gauge,
    name: "ampsync_table_held_blocks",
    unit: "{block}",
    description: "Blocks that were received and wait for their confirmations",
    read: ({ held }) => Number(held.blocks)
  },
  {
    ...gauge,
    name: "ampsync_table_held_rows",
    unit: "{row}",
    description: "Rows that were received and wait for their confirmations",
    read: ({ held }) => held.rows
  },
  {
    ...gauge,
    name: "ampsync_table_held_bytes",
    unit: "bytes",
    description: "Memory of the rows that were received and wait for their confirmations",
    read: ({ held }) => held.bytes
  },
  {
    ...gauge,
    name: "ampsync_table_unverified",
    unit: "{info}",
    description: "1 while blocks of the watermark history could not be checked against the server's chain, else 0",
    read: ({ unverified }) => unverified ? 1 : 0
  },
  {
    ...gauge,
    name: "ampsync_table_chunk_rows_target",
    unit: "{row}",
    description: "Rows that a transaction should have now, learnt from those before",
    read: ({ chunkRows }) => chunkRows
  },
  {
    ...gauge,
    name: "ampsync_table_failed_attempts",
    unit: "{attempt}",
    description: "Failed attempts in a row without progress",
    read: ({ failedAttempts }) => failedAttempts
  },
  {
    ...counter,
    name: "ampsync_table_retries_total",
    unit: "{attempt}",
    description: "Attempts that failed and were followed by another",
    read: ({ retries }) => retries
  },
  {
    ...counter,
    name: "ampsync_table_rows_committed_total",
    unit: "{row}",
    description: "Rows committed by this process",
    read: ({ rowsCommitted }) => rowsCommitted
  },
  {
    ...counter,
    name: "ampsync_table_bytes_committed_total",
    unit: "bytes",
    description: "Bytes of COPY data committed by this process",
    read: ({ bytesCommitted }) => bytesCommitted
  },
  {
    ...counter,
    name: "ampsync_table_blocks_committed_total",
    unit: "{block}",
    description: "Blocks that the watermark moved forward in this process",
    read: ({ blocksCommitted }) => Number(blocksCommitted)
  },
  {
    ...counter,
    name: "ampsync_table_reorgs_total",
    unit: "{reorg}",
    description: "Reorgs applied by this process",
    read: ({ reorgs }) => reorgs
  },
  {
    ...counter,
    name: "ampsync_stage_seconds_total",
    unit: "seconds",
    labels: ["table", "stage"],
    description: "Time spent waiting for rows (source), encoding them (encode), and waiting for the database (storage)",
    values: Object.keys(stages),
    read: (status, stage) => status.stages[stages[stage as keyof typeof stages]] / 1_000
  }
]

const histogram = { ...ofTable, type: "histogram" } as const

/** Observed at every commit. */
export const tableHistograms = {
  commitSeconds: {
    ...histogram,
    name: "ampsync_table_commit_seconds",
    unit: "seconds",
    description: "Time of a transaction from its first event to its commit, without waiting for the source",
    boundaries: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]
  },
  chunkRows: {
    ...histogram,
    name: "ampsync_table_chunk_rows",
    unit: "{row}",
    description: "Rows of a transaction",
    boundaries: [0, 1, 10, 100, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000]
  },
  reorgDepth: {
    ...histogram,
    name: "ampsync_table_reorg_depth_blocks",
    unit: "{block}",
    description: "Blocks that a reorg replaced",
    boundaries: [1, 2, 3, 5, 8, 16, 32, 64, 128, 256, 1_024]
  }
} satisfies Record<string, HistogramDefinition>
