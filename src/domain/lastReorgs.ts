/** The last reorgs of all tables, newest first. */
import type { AppliedReorg, StatusEvent } from "./StatusEvent.ts"

/** Reorgs that are remembered. */
export const MAX_LAST_REORGS = 20

export interface LastReorg extends AppliedReorg {
  readonly table: string
  /** Rows that the transaction deleted that applied it. */
  readonly rowsDeleted: number
  readonly atMillis: number
}

/** The reorgs after an event of `table` that happened at `atMillis`. */
export const nextReorgs = (
  reorgs: ReadonlyArray<LastReorg>,
  table: string,
  event: StatusEvent,
  atMillis: number
): ReadonlyArray<LastReorg> => {
  if (event._tag !== "Committed" || event.reorgs.length === 0) return reorgs
  const applied = event.reorgs.map((reorg) => ({ ...reorg, table, rowsDeleted: event.rowsRemoved, atMillis }))
  return [...applied.toReversed(), ...reorgs].slice(0, MAX_LAST_REORGS)
}
