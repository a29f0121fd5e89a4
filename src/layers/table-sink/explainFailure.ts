/** Turns the failure of a transaction into one with the cause and the blocks of its chunk. */
import { SqlError } from "effect/sql"
import type { Chunk } from "../../domain/chain/Chunk.ts"
import { columnList, RANGE_END, type TableDefinition } from "../../domain/postgres/table/tableDdl.ts"
import { indexRowTooLarge, NO_PARTITION } from "../../services/PgPool.ts"
import { TableRejected } from "../../services/TableLeases.ts"
import { RowTooLargeForIndex, TableChanged, type WriteError } from "../../services/TableSink.ts"

/** As `TableWriter.explain`. */
export const explainFailure = (definition: TableDefinition) => (error: WriteError, chunk: Chunk): WriteError =>
  error._tag === "SqlError"
    ? duplicateKey(definition, chunk, error) ?? missingPartition(definition, chunk, error) ??
      changedSince(definition, error) ?? rejectedRow(definition, chunk, error)
    : error

/**
 * The statements were valid when the table was prepared. If they no longer are, somebody changed or dropped it, or a partition
 * that had been made before rows needed it.
 */
const changedSince = (
  { partitionBlocks, table }: TableDefinition,
  { reason }: SqlError.SqlError
): TableChanged | undefined =>
  reason._tag === "SqlSyntaxError"
    ? new TableChanged({ table, detail: reason.message ?? "its statements are no longer valid" })
    : partitionBlocks !== undefined && reason.cause === NO_PARTITION
    ? new TableChanged({ table, detail: "a partition that rows need is gone; it is made again" })
    : undefined

/** Rows that no partition takes, where others make the partitions. */
const missingPartition = (
  definition: TableDefinition,
  chunk: Chunk,
  { reason }: SqlError.SqlError
): TableRejected | undefined =>
  definition.partitionBlocks !== undefined || reason.cause !== NO_PARTITION
    ? undefined
    : new TableRejected({
      table: definition.table,
      reason:
        `no partition takes rows of ${
          blocksOf(definition, chunk)
        }, and the config has no partitionBy, so ampsync makes ` +
        "none; make it and start ampsync again, or add partitionBy to the config"
    })

/**
 * A row with the primary key of another one, where the config defines that key. No retry changes it: the chunk's deletion
 * precedes its rows.
 */
const duplicateKey = (
  definition: TableDefinition,
  chunk: Chunk,
  error: SqlError.SqlError
): TableRejected | undefined => {
  const { primaryKey, table } = definition
  if (primaryKey === undefined || error.reason._tag !== "UniqueViolation") return undefined
  return new TableRejected({
    table,
    reason: `in ${blocksOf(definition, chunk)} a row has the key of another row (${error.reason.constraint}); ` +
      `the config makes ${columnList(primaryKey)} its primary key`
  })
}

/** The error of PostgreSQL has the column or the constraint; this adds the blocks. */
const rejectedRow = (definition: TableDefinition, chunk: Chunk, error: SqlError.SqlError): WriteError => {
  const { reason } = error
  if (chunk.firstBlock === undefined) return error
  const tooLarge = indexRowTooLarge(error)
  if (tooLarge !== undefined) {
    const { table } = definition
    return new RowTooLargeForIndex({ table, index: tooLarge.index, blocks: blocksOf(definition, chunk) })
  }
  const { cause, operation } = reason
  const fields = { cause, operation, message: `${blocksOf(definition, chunk)}: ${error.message}` }
  switch (reason._tag) {
    case "UniqueViolation":
      return new SqlError.SqlError({
        reason: new SqlError.UniqueViolation({ ...fields, constraint: reason.constraint })
      })
    case "ConstraintError":
      return new SqlError.SqlError({ reason: new SqlError.ConstraintError(fields) })
    case "UnknownError":
      return new SqlError.SqlError({ reason: new SqlError.UnknownError(fields) })
    default:
      return error
  }
}

/** Such as `blocks 5 to 6`. */
export const blocksOf = ({ positionColumn }: TableDefinition, { firstBlock, lastBlock }: Chunk): string =>
  (positionColumn === RANGE_END ? "the range of " : "") +
  (firstBlock === lastBlock ? `block ${firstBlock}` : `blocks ${firstBlock} to ${lastBlock}`)
