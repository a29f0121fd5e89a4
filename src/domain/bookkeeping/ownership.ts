import type { TableOwner } from "./TableIdentity.ts"

/** What the checkpoint of a table records of whose it is. */
export interface Ownership {
  /** `namespace/name`; undefined where the first ampsync wrote the checkpoint. */
  readonly dataset: string | undefined
  readonly wasFilled: boolean
  /** A table of this name exists. */
  readonly tableExists: boolean
}

/**
 * Why `asking` may not fill a table with a checkpoint, and what to do; undefined where it may.
 *
 * Who dropped the data table gave up what its checkpoint records, and one that was never filled has nothing to lose: the
 * lease goes to whoever asks, and the table starts again.
 */
export const ownershipConflict = (
  asking: TableOwner,
  { dataset, tableExists, wasFilled }: Ownership
): string | undefined => {
  if (!tableExists || dataset === asking.dataset) return undefined
  if (dataset === undefined) return FILLED_BY_FIRST
  return wasFilled
    ? `dataset ${dataset} fills it, not ${asking.dataset}; ` +
      "set DATABASE_SCHEMA to another schema, or drop it to start again"
    : undefined
}

/** Why nobody may fill a table of the first ampsync. */
export const FILLED_BY_FIRST = "it was filled by an earlier ampsync, whose checkpoint does not say on which chain; " +
  "set DATABASE_SCHEMA to another schema to sync afresh beside it, or drop it to start again"
