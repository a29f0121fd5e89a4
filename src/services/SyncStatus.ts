/**
 * The state of every table, for people and probes to read.
 *
 * Owns nothing durable: `StatusRecorder` takes events, `domain/TableStatus.ts` reduces them to a state, and all of it is lost at
 * the end of the process.
 */
import { Context, Effect, Schema, Stream } from "effect"
import type { LastReorg } from "../domain/lastReorgs.ts"
import type { Dialect } from "../domain/manifest/Dataset.ts"
import type { StatusEvent } from "../domain/StatusEvent.ts"
import type { TableChange } from "../domain/TableChange.ts"
import type { TableStatus } from "../domain/TableStatus.ts"
import type { ThroughputReport } from "../domain/Throughput.ts"

/** The outcome of the last change of the config, or of the dataset's version. */
export interface ReloadStatus {
  /** `failed`: the active config stays in place. */
  readonly outcome: "applied" | "failed"
  /** Unix milliseconds. */
  readonly atMillis: number
  /** Why it failed. */
  readonly reason: string | undefined
  /** Changes applied since the start of the process. */
  readonly applied: number
  /** Changes that failed since the start of the process. */
  readonly failed: number
}

/** The config whose tables run. */
export interface ActiveConfigStatus {
  /** `namespace/name[@revision]`, as the config has it. */
  readonly dataset: string
  /** What the server resolved the dataset to; undefined while that is not known, and where it is not published. */
  readonly version: string | undefined
  /** Undefined where no query names a dataset. */
  readonly dialect: Dialect | undefined
  /** Every dataset that a query reads, with its version; undefined while the Admin API is silent. */
  readonly sources: ReadonlyArray<{ readonly dataset: string; readonly version: string }> | undefined
  /** Equal for configs that ask for the same tables with the same rows and settings. */
  readonly fingerprint: string
  readonly tables: ReadonlyArray<string>
  /** The texts of its queries, as written and as sent, for readers that must not repeat them. */
  readonly queries: ReadonlyArray<string>
  /** Unix milliseconds. */
  readonly atMillis: number
}

/** Permits of the chunks in flight over all tables. */
export interface PermitsStatus {
  readonly total: number
  readonly inUse: number
}

/** Rows and bytes per second of what was committed, by table and by all that were synced. */
export interface SyncThroughput {
  readonly all: ThroughputReport
  readonly tables: ReadonlyMap<string, ThroughputReport>
}

/** Changes of tables that a subscriber may be behind. */
export const MAX_CHANGES_WAITING = 4_096

/** A subscriber of the changes was too slow. Running the stream again begins with a `Baseline` of each table. */
export class ChangesMissed extends Schema.TaggedError<ChangesMissed>()("ChangesMissed", {
  /** Changes that were not delivered. */
  missed: Schema.Int
}) {
  override get message() {
    return `a subscriber of the changes of tables was more than ${MAX_CHANGES_WAITING} changes behind and missed ${this.missed}; ` +
      "run the stream again and read the tables again"
  }
}

/** The state of every table of this process, by name. */
export class SyncStatus extends Context.Service<SyncStatus, {
  readonly get: Effect.Effect<ReadonlyMap<string, TableStatus>>
  /** The current state and every later one. */
  readonly changes: Stream.Stream<ReadonlyMap<string, TableStatus>>
  /**
   * What happens to the rows, in order per table: a `Baseline` of each table that is open, then a `Commit` for each transaction
   * of this process, and a `Baseline` where a table became something else without one. Ends with the sync.
   *
   * The sync never waits for a subscriber: one that is more than `MAX_CHANGES_WAITING` changes behind receives those, and then
   * fails.
   */
  readonly tableChanges: Stream.Stream<TableChange, ChangesMissed>
  /** Undefined before the first change. */
  readonly reload: Effect.Effect<ReloadStatus | undefined>
  /** Undefined before the first config is active, and from the beginning of a stop on. */
  readonly config: Effect.Effect<ActiveConfigStatus | undefined>
  /** When the database last recorded a heartbeat of this process, in Unix milliseconds; undefined before the first. */
  readonly heartbeatAtMillis: Effect.Effect<number | undefined>
  /** The last minute, as of now. */
  readonly throughput: Effect.Effect<SyncThroughput>
  /** The last `MAX_LAST_REORGS` of this process, newest first. */
  readonly lastReorgs: Effect.Effect<ReadonlyArray<LastReorg>>
  /** Undefined before the tables begin. */
  readonly permits: Effect.Effect<PermitsStatus | undefined>
  /** Unix milliseconds. */
  readonly startedAtMillis: number
}>()("ampsync/services/SyncStatus") {}

/** `tableChanges` of the sync that is provided. */
export const changes: Stream.Stream<TableChange, ChangesMissed, SyncStatus> = Stream.unwrap(
  Effect.map(SyncStatus, ({ tableChanges }) => tableChanges)
)

/** Permits that are counted when they are asked for. */
export interface PermitsInUse {
  readonly total: number
  readonly inUse: () => number
}

/** Takes the events that `SyncStatus` shows. The sync has only this service, so that no decision depends on a display. */
export class StatusRecorder extends Context.Service<StatusRecorder, {
  /** Replaces the set of synced tables; each of them is starting. */
  readonly begin: (tables: ReadonlyArray<string>) => Effect.Effect<void>
  /** Applies one event to the status of a table. */
  readonly record: (table: string, event: StatusEvent) => Effect.Effect<void>
  /** Drops a table that is no longer synced. */
  readonly remove: (table: string) => Effect.Effect<void>
  /** Parks every table for `reason`. */
  readonly parkAll: (reason: string) => Effect.Effect<void>
  /** Records the config that is active from now on; undefined where none is any more. */
  readonly activated: (config: Omit<ActiveConfigStatus, "atMillis"> | undefined) => Effect.Effect<void>
  /** From now on `permits` are those of the chunks in flight. */
  readonly permits: (permits: PermitsInUse) => Effect.Effect<void>
  /** Records that the database has a heartbeat of this moment. */
  readonly heartbeat: Effect.Effect<void>
  /** Records that a change of the config was applied, or rejected for `reason`. */
  readonly reloaded: (reason: string | undefined) => Effect.Effect<void>
  /** A change that failed is tried again, and this is why it fails now: it counts once. */
  readonly reloadStillFails: (reason: string) => Effect.Effect<void>
}>()("ampsync/services/StatusRecorder") {}
