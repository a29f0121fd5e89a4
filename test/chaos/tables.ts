/** The tables of a schedule: all rows, few columns, few rows, one placed by the range of its rows, one with confirmations. */
import { RANGE_END } from "../../src/domain/postgres/table/tableDdl.ts"
import type { TableName } from "../../src/simulator/tables.ts"
import type { Comparison } from "../support/compare.ts"
import { readQueries } from "../support/latestSnapshots.ts"
import type { Queries } from "../support/manifestOf.ts"

export interface ChaosTable extends Comparison {
  readonly as: string
  readonly source: TableName
  readonly position: string
  /** Blocks on top of rows before they are written; none where absent. */
  readonly confirmations?: number
}

const position = "_block_num"
const CONFIRMATIONS = 3

export const chaosTables: ReadonlyArray<ChaosTable> = [
  { as: "blocks", source: "blocks", position },
  { as: "transactions", source: "transactions", position, columns: ["_block_num", "block_hash", "tx_hash"] },
  { as: "logs", source: "logs", position },
  {
    as: "sparse",
    source: "logs",
    position,
    columns: ["_block_num", "block_hash", "log_index"],
    where: (row) => BigInt(row["_block_num"]!) % 5n === 0n
  },
  { as: "by_range", source: "logs", position: RANGE_END, columns: ["block_hash", "log_index"] },
  {
    as: "delayed",
    source: "transactions",
    position,
    columns: ["_block_num", "block_hash", "tx_index"],
    confirmations: CONFIRMATIONS
  }
]

export const chaosQueries: Queries = {
  ...readQueries,
  logs: "SELECT * FROM anvil.logs",
  delayed: "SELECT _block_num, block_hash, tx_index FROM anvil.transactions"
}

/** What the config has of a table besides its query. Some tables have partitions, narrow enough for a schedule to need several. */
export const chaosSettings: Readonly<Record<string, object>> = {
  delayed: { confirmations: CONFIRMATIONS },
  logs: { partitionBy: { blocks: 16 } },
  by_range: { partitionBy: { blocks: 10 } }
}

/** Changes of a query: one that yields the same rows, and one that is refused, because the table has a column more. */
export const changedQueries: ReadonlyArray<Queries> = [
  "SELECT _block_num, block_hash, tx_hash FROM anvil.transactions WHERE _block_num >= 0",
  "SELECT _block_num, block_hash FROM anvil.transactions"
].map((transactions) => ({ ...chaosQueries, transactions }))

/** Those of which `watchSnapshots` knows how many rows a block has. */
export const wholeTables: ReadonlyArray<TableName> = ["blocks", "transactions", "logs"]

/** Between two snapshots of a reader: dozens per watermark, and little load. */
export const PAUSE_MILLIS = 100
