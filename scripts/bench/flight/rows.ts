/** Blocks with as many rows as a benchmark wants, and the columns of the tables that are made of them. */
import type { ArrowField } from "../../../src/domain/arrow/ArrowSchema.ts"
import { blockHash, BlockSource, blockTimestamp } from "../../../src/simulator/BlockSource.ts"
import { type Column, newColumn } from "../../../src/simulator/columns.ts"
import { binary } from "../../../src/simulator/fill.ts"
import { type TableColumn, type TableName, TABLES } from "../../../src/simulator/tables.ts"

export const NETWORK = "mainnet"
export const FIRST_BLOCK = 19_000_000n
const SEED = 7
const FORK = 0

const TRANSACTIONS_PER_BLOCK = 80

/** Rows that every block of the benchmark has in a table. */
export const ROWS_PER_BLOCK: Readonly<Record<TableName, number>> = {
  blocks: 1,
  transactions: TRANSACTIONS_PER_BLOCK,
  logs: 200
}

/** A block of the simulator that is always full. */
class FullBlock extends BlockSource {
  override readonly logsOfTransaction: Uint8Array
  override readonly logs: number

  constructor(number: bigint) {
    super(SEED, { fork: FORK, number }, hashBytes(number - 1n))
    this.logs = ROWS_PER_BLOCK.logs
    // 80 transactions with two and three logs in turn make 200.
    this.logsOfTransaction = Uint8Array.from({ length: TRANSACTIONS_PER_BLOCK }, (_, index) => 2 + (index & 1))
  }
}

const hashBytes = (number: bigint): Uint8Array => blockHash(SEED, { fork: FORK, number })

/** `0x` and the 64 digits of a block's hash. */
export const hashOf = (number: bigint): string => `0x${Buffer.from(hashBytes(number)).toString("hex")}`

/** Whole seconds since 1970 of a block. */
export const timestampOf = (number: bigint): number =>
  Number(blockTimestamp(SEED, { fork: FORK, number }) / 1_000_000_000n)

/** Nested columns are left out: they become JSON, which is another benchmark. */
const isFlat = ({ field }: TableColumn): boolean => field.type.kind !== "list" && field.type.kind !== "struct"

/** The columns of a table; with `wideBytes` every `data` of a log has as many bytes. */
export const columnsOf = (table: TableName, wideBytes: number | undefined): ReadonlyArray<TableColumn> => {
  const columns = TABLES.amp[table].columns.filter(isFlat)
  if (wideBytes === undefined) return columns
  const fill = binary(() => wideBytes)
  return columns.map((column) =>
    column.field.name === "data"
      ? { field: column.field, append: (target, block) => fill(target, block, block.logs, block.random(SEED)) }
      : column
  )
}

export const fieldsOf = (columns: ReadonlyArray<TableColumn>): ReadonlyArray<ArrowField> =>
  columns.map(({ field }) => field)

/** All rows of the blocks `start` to `end`, column by column. */
export const rowsOf = (columns: ReadonlyArray<TableColumn>, start: bigint, end: bigint): ReadonlyArray<Column> => {
  const filled = columns.map(({ field }) => newColumn(field))
  for (let number = start; number <= end; number += 1n) {
    const block = new FullBlock(number)
    columns.forEach((column, index) => column.append(filled[index]!, block))
  }
  return filled
}
