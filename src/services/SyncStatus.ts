/**
 * What every table is doing now, for people and probes to read.
 *
 * Owns nothing durable: it is told by the fibers that sync, and forgets at the end of the process.
 */
import type { Effect, Stream } from "effect"
import { Context } from "effect"

/**
 * `caught up`: what came is committed, and lately it was what the tip of a chain brings, be it nothing or a few blocks a moment;
 * it stays so from block to block, until a backlog comes or the connection is another one. `catching up`: there is a backlog,
 * or it is not known yet that there is none. `stalled`: several attempts without progress; it keeps trying. `parked`: nothing
 * but a change of the config will help. `standby`: another process writes this table.
 */
export type Phase = "starting" | "catching up" | "caught up" | "retrying" | "stalled" | "parked" | "standby"

export interface TableStatus {
  readonly table: string
  readonly phase: Phase
  /** Rows in the table, provisional ones included. */
  readonly rows: bigint
  /** Rows and blocks committed by this process. */
  readonly rowsCommitted: number
  readonly blocksCommitted: bigint
  readonly watermark: bigint | undefined
  /** Last block of the newest range of which rows are committed. */
  readonly head: bigint | undefined
  readonly reorgs: number
  readonly unverified: boolean
  /** Why it is retrying, stalled, parked or standing by. */
  readonly reason: string | undefined
}

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

export class SyncStatus extends Context.Service<SyncStatus, {
  readonly get: Effect.Effect<ReadonlyMap<string, TableStatus>>
  /** The current state and every later one. */
  readonly changes: Stream.Stream<ReadonlyMap<string, TableStatus>>
  readonly update: (table: string, change: (status: TableStatus) => Partial<TableStatus>) => Effect.Effect<void>
  /** The table is not synced any more. */
  readonly remove: (table: string) => Effect.Effect<void>
  /** Undefined before the first change. */
  readonly reload: Effect.Effect<ReloadStatus | undefined>
  /** A change was applied, or refused for `reason`. */
  readonly reloaded: (reason: string | undefined) => Effect.Effect<void>
}>()("ampsync/services/SyncStatus") {}
