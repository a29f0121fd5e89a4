/**
 * Records, per table, which blocks are durable in PostgreSQL and on which chain.
 *
 * Owns checkpoints and the watermark history; it never reads or writes rows of a data table. Invariant I1: `advance` joins the
 * transaction of the rows it describes. Every change is made by the holder of a lease (`TableLeases`).
 */
import type { Effect, Option } from "effect"
import { Context } from "effect"
import type { SqlError } from "effect/sql"
import type { RecordedTable, TableIdentity } from "../domain/bookkeeping/TableIdentity.ts"
import type { WriterLease } from "../domain/bookkeeping/WriterLease.ts"
import type { Checkpoint } from "../domain/chain/Checkpoint.ts"
import type { ReorgRecord } from "../domain/chain/Chunk.ts"
import type { Watermark } from "../domain/chain/watermarks.ts"
import type { Fenced } from "./TableLeases.ts"

/** What is stored of a table, independent of who holds its lease. */
export interface StoredCheckpoint {
  /** `namespace/name`; undefined where the first ampsync wrote the checkpoint. */
  readonly dataset: string | undefined
  readonly watermark: Watermark | undefined
  /** Undefined where the table was never filled. */
  readonly recorded: RecordedTable | undefined
  /** A table of this name exists; ampsync need not have created it. */
  readonly tableExists: boolean
}

/** What one commit changes. */
export interface Advance {
  readonly checkpoint: Checkpoint
  readonly reorgs: ReadonlyArray<ReorgRecord>
  readonly rowsAdded: number
  readonly rowsRemoved: number
  /** Rows above the watermark afterwards. */
  readonly provisionalRows: bigint
  /** Unix seconds of the watermark's block, where the server reports them. */
  readonly blockTimestamp: number | undefined
}

/** A statement that divides by zero unless the lease is held and was fenced earlier in the same transaction. */
export interface AdvanceStatement {
  readonly statement: string
  /** The lease once the transaction is committed. */
  readonly lease: WriterLease
}

export class Checkpoints extends Context.Service<Checkpoints, {
  /** Loads the checkpoint of a table; none before its first start. */
  readonly load: (table: string) => Effect.Effect<Option.Option<StoredCheckpoint>, SqlError.SqlError>
  /** The newest recorded watermark of a filled table at or below `block`. */
  readonly watermarkUpTo: (table: string, block: bigint) => Effect.Effect<Watermark | undefined, SqlError.SqlError>
  /** The tables of the schema that a sync of this version filled and that exist, by name. */
  readonly filledTables: Effect.Effect<ReadonlyArray<string>, SqlError.SqlError>
  /** Records what the table is filled with from now on, in the current transaction. */
  readonly record: (lease: WriterLease, identity: TableIdentity) => Effect.Effect<void, SqlError.SqlError | Fenced>
  /** Records one commit in the current transaction, which `TableLeases.fence` began; returns the lease held afterwards. */
  readonly advance: (lease: WriterLease, change: Advance) => Effect.Effect<WriterLease, SqlError.SqlError | Fenced>
  /** The statement of `advance`, to be sent right before a COMMIT; `notify` is the payload of a NOTIFY in it. */
  readonly advanceStatement: (lease: WriterLease, change: Advance, notify: string | undefined) => AdvanceStatement
  /**
   * Forgets what was durable, in the current transaction: the table starts again from the first block, and the `rows` that
   * are still in it are provisional.
   */
  readonly forget: (lease: WriterLease, rows: bigint) => Effect.Effect<WriterLease, SqlError.SqlError>
}>()("ampsync/services/Checkpoints") {}
