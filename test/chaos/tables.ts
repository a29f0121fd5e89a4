/** The tables of a schedule: all rows, few columns, few rows, and one placed by the range of its rows. */
import { RANGE_END } from "../../src/domain/postgres/table/tableDdl.ts"
import type { TableName } from "../../src/simulator/tables.ts"
import type { Comparison } from "../support/compare.ts"
import { readQueries } from "../support/latestSnapshots.ts"
import type { Queries } from "../support/manifestOf.ts"

export interface ChaosTable extends Comparison {
  readonly as: string
  readonly source: TableName
  readonly position: string
}

const position = "_block_num"

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
  { as: "by_range", source: "logs", position: RANGE_END, columns: ["block_hash", "log_index"] }
]

export const chaosQueries: Queries = { ...readQueries, logs: "SELECT * FROM anvil.logs" }

/** Those of which `watchSnapshots` knows how many rows a block has. */
export const wholeTables: ReadonlyArray<TableName> = ["blocks", "transactions", "logs"]
