/**
 * Keeps the tables and views `_ampsync_*` of the target schema, and reports in them what this process does, for readers of
 * the database.
 *
 * Owns their definition and the reports; nothing is decided by a report.
 */
import type { Effect } from "effect"
import { Context } from "effect"
import type { SqlError } from "effect/sql"
import type { SourceHeadBlock } from "../domain/StatusEvent.ts"
import type { Phase } from "../domain/TablePhase.ts"

/** What this process does with a table. */
export interface TableState {
  readonly table: string
  /** `removed`: the config no longer names it. `stopped`: the process ended in good order. */
  readonly state: Phase | "removed" | "stopped"
  readonly reason: string | undefined
  /** The newest block of the source, where known. */
  readonly sourceHead?: SourceHeadBlock | undefined
  /** Blocks that must be on top of rows before they are written; none where absent. */
  readonly confirmations?: number
  /** Since the state began; a duration, because the clock of the database may differ. */
  readonly ageMillis: number
}

/** The outcome of the last change of the config: applied, or rejected for `reason`. */
export type ReloadReport = Pick<TableState, "ageMillis" | "reason">

export class Bookkeeping extends Context.Service<Bookkeeping, {
  /**
   * Creates what is missing of the schema and its tables, extends those of earlier versions, and records the first
   * heartbeat. Fails without retry where this role lacks a right; the message has the GRANT to run.
   */
  readonly ensure: Effect.Effect<void, SqlError.SqlError>
  /** The statements that `ensure` would run now; none where everything is up to date. */
  readonly pending: Effect.Effect<ReadonlyArray<string>, SqlError.SqlError>
  /** `minimal`, `replica` or `logical`, the last of which followers of a publication need. */
  readonly walLevel: Effect.Effect<string, SqlError.SqlError>
  /** Reports what this process does with these tables; its reports on others stay, and so do those of other processes. */
  readonly report: (states: ReadonlyArray<TableState>) => Effect.Effect<void, SqlError.SqlError>
  /** The tables that `dataset` filled (`namespace/name`), not among `tables`, that no living process syncs or reports. */
  readonly abandoned: (
    dataset: string,
    tables: ReadonlyArray<string>
  ) => Effect.Effect<ReadonlyArray<string>, SqlError.SqlError>
  /** Reports the outcome of a change of the config. */
  readonly reportReload: (reload: ReloadReport) => Effect.Effect<void, SqlError.SqlError>
}>()("ampsync/services/Bookkeeping") {}
