/**
 * What every table is doing now, for people and probes to read.
 *
 * Owns nothing durable: events go in by `StatusRecorder`, `domain/TableStatus.ts` decides what becomes of them, and all of it is
 * forgotten at the end of the process.
 */
import type { Effect, Stream } from "effect"
import { Context } from "effect"
import type { StatusEvent, TableStatus } from "../domain/TableStatus.ts"

/** How the last change of the config, or of the dataset's version, was taken. */
export interface ReloadStatus {
  /** `failed`: everything goes on as it was. */
  readonly outcome: "applied" | "failed"
  /** Unix milliseconds. */
  readonly atMillis: number
  /** Why it failed. */
  readonly reason: string | undefined
  /** Since the start of the process. */
  readonly applied: number
  readonly failed: number
}

/** The state of every table of this process, by name. */
export class SyncStatus extends Context.Service<SyncStatus, {
  readonly get: Effect.Effect<ReadonlyMap<string, TableStatus>>
  /** The current state and every later one. */
  readonly changes: Stream.Stream<ReadonlyMap<string, TableStatus>>
  /** Undefined before the first change. */
  readonly reload: Effect.Effect<ReloadStatus | undefined>
}>()("ampsync/services/SyncStatus") {}

/** Takes the events that `SyncStatus` shows. Those who sync have this one alone, so that no decision is read back. */
export class StatusRecorder extends Context.Service<StatusRecorder, {
  /** From now on these tables are synced and no others; each of them is starting. */
  readonly begin: (tables: ReadonlyArray<string>) => Effect.Effect<void>
  readonly record: (table: string, event: StatusEvent) => Effect.Effect<void>
  /** The table is not synced any more. */
  readonly remove: (table: string) => Effect.Effect<void>
  /** No table is synced any more, for `reason`. */
  readonly parkAll: (reason: string) => Effect.Effect<void>
  /** A change of the config was applied, or refused for `reason`. */
  readonly reloaded: (reason: string | undefined) => Effect.Effect<void>
}>()("ampsync/services/StatusRecorder") {}
