/** The streams of the cases. */
import type { StreamSpec } from "../flight/cannedStream.ts"
import type { LoadedStream } from "../flight/main.ts"
import { ROWS_PER_BLOCK } from "../flight/rows.ts"

const MESSAGE_ROWS = 4_096
const RANGE_BLOCKS = 1_000
/** A stream has at least so many ranges, however short it is. */
const MIN_RANGES = 5

/** A million rows of logs at scale 1, and whole blocks. */
export const logRows = (scale: number, millions = 1): number => wholeBlocks(scale * millions * 1e6)

const wholeBlocks = (rows: number): number =>
  Math.max(MIN_RANGES, Math.round(rows / ROWS_PER_BLOCK.logs)) * ROWS_PER_BLOCK.logs

/** Messages of 4,096 rows, ranges of 1,000 blocks. */
export const wideRanges = (table: StreamSpec["table"], rows: number): StreamSpec => {
  const blocks = rows / ROWS_PER_BLOCK[table]
  return { table, rows, messageRows: MESSAGE_ROWS, rangeBlocks: Math.min(RANGE_BLOCKS, Math.ceil(blocks / MIN_RANGES)) }
}

export const oneTable = (scale: number): ReadonlyArray<LoadedStream> => [
  { tables: ["logs"], spec: wideRanges("logs", logRows(scale)) }
]

/** A million logs, 400,000 transactions and 100,000 blocks at scale 1. */
export const threeTables = (scale: number): ReadonlyArray<LoadedStream> => {
  const logBlocks = logRows(scale) / ROWS_PER_BLOCK.logs
  return [
    ...oneTable(scale),
    { tables: ["transactions"], spec: wideRanges("transactions", logBlocks * ROWS_PER_BLOCK.transactions) },
    { tables: ["blocks"], spec: wideRanges("blocks", logBlocks * 20) }
  ]
}

/** As many tables of logs, each with so many million rows at scale 1. */
export const equalTables = (scale: number, count: number, millions: number): ReadonlyArray<LoadedStream> => {
  const tables = Array.from({ length: count }, (_, index) => `logs_${String(index + 1).padStart(2, "0")}`)
  return [{ tables, spec: wideRanges("logs", logRows(scale, millions)) }]
}

/** Ranges of `blocks` blocks of 200 rows, each in one message. */
export const shortRanges = (scale: number, blocks: number): ReadonlyArray<LoadedStream> => [
  {
    tables: ["logs"],
    spec: { table: "logs", rows: logRows(scale), messageRows: blocks * ROWS_PER_BLOCK.logs, rangeBlocks: blocks }
  }
]
