import type { Row } from "./checkpointRow.ts"
import type { TableOwner } from "./TableIdentity.ts"

/**
 * Why `asking` may not fill the table whose checkpoint is `row`, and what to do; undefined where it may.
 *
 * `row` has a column `exists`: whether the data table does. Who dropped it gave up what its checkpoint records, and a row
 * without a position never had one: the lease goes to whoever asks, and the table starts again. The rows of the first ampsync
 * have no dataset, and an earlier version may not have the column.
 */
export const ownershipConflict = (asking: TableOwner, row: Row): string | undefined => {
  const { dataset = null, exists, position_column: positionColumn } = row
  const neverFilled = dataset !== null && positionColumn === null
  if (dataset === asking.dataset || exists !== true || neverFilled) return undefined
  return dataset === null
    ? "it was filled by an earlier ampsync, whose checkpoint does not say on which chain; " +
      "set DATABASE_SCHEMA to another schema to sync afresh beside it, or drop it to start again"
    : `dataset ${String(dataset)} fills it, not ${asking.dataset}; ` +
      "set DATABASE_SCHEMA to another schema, or drop it to start again"
}
