import type { Checkpoint } from "../chain/Checkpoint.ts"
import type { RecordedTable } from "./TableIdentity.ts"

/** The right to write one table, and what is durable of it while the lease is held. */
export interface WriterLease {
  readonly table: string
  /** One more for each time that a lease of the table is acquired. */
  readonly epoch: bigint
  /** One more for each commit. */
  readonly commitSeq: bigint
  readonly checkpoint: Checkpoint
  /** Rows durable in the table, provisional ones included. */
  readonly rows: bigint
  readonly provisionalRows: bigint
  /** Undefined where ampsync never filled a table of this name. */
  readonly recorded: RecordedTable | undefined
  /** A table of this name existed when the lease was acquired, whether ampsync created it or not. */
  readonly tableExists: boolean
  /** Undefined where this process was the last one to hold the table, and where it never held the table, which was released. */
  readonly takenFrom?: PreviousHolder | undefined
}

/** Another process that held a table before. */
export type PreviousHolder =
  /** It did not release the table. */
  | {
    readonly _tag: "Silent"
    /** Its host and process id among others. */
    readonly writer: string
    /** In UTC, as `2026-11-30T12:21:09Z`; undefined where the bookkeeping has none. */
    readonly lastHeartbeat: string | undefined
  }
  /** It acquired the table after this process had held it, and has released it. */
  | { readonly _tag: "Released" }
