/** Decides whether a dataset may fill a table that exists. */
import type { TableOwner } from "./TableIdentity.ts"

/** The owner that the checkpoint of a table records. */
export interface Ownership {
  /** `namespace/name`; undefined where the first ampsync wrote the checkpoint. */
  readonly dataset: string | undefined
  readonly wasFilled: boolean
  /** A table of this name exists. */
  readonly tableExists: boolean
}

/**
 * Why `claimant` may not fill a table with a checkpoint, and what to do; undefined where it may.
 *
 * A checkpoint without its data table, or of a table that was never filled, protects nothing: the lease goes to the claimant,
 * and the table starts again.
 */
export const ownershipConflict = (
  claimant: TableOwner,
  { dataset, tableExists, wasFilled }: Ownership
): string | undefined => {
  if (!tableExists || dataset === claimant.dataset) return undefined
  if (dataset === undefined) return FILLED_BY_FIRST
  return wasFilled
    ? `dataset ${dataset} fills it, not ${claimant.dataset}; ` +
      "set DATABASE_SCHEMA to another schema, or drop it to start again"
    : undefined
}

/** Why a table of the first ampsync cannot be filled. */
export const FILLED_BY_FIRST = "it was filled by an earlier ampsync, whose checkpoint does not record the chain; " +
  "set DATABASE_SCHEMA to another schema to sync into a new table, or drop it to start again"
