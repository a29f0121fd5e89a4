/**
 * Puts the rows of one table into PostgreSQL.
 *
 * Owns the data table: its creation, its comparison with the query's columns, and the one transaction per chunk (I1).
 * It does not decide what to delete: the chunk says it.
 */
import type { Effect, Scope } from "effect"
import { Context, Schema } from "effect"
import type { SqlError } from "effect/sql"
import type { ArrowSchema } from "../domain/arrow/ArrowSchema.ts"
import type { TableOwner } from "../domain/bookkeeping/TableIdentity.ts"
import type { WriterLease } from "../domain/bookkeeping/WriterLease.ts"
import type { Checkpoint } from "../domain/chain/Checkpoint.ts"
import type { Chunk } from "../domain/chain/Chunk.ts"
import type { TableSettings } from "../domain/manifest/TableSettings.ts"
import type { RowEncoder } from "../domain/postgres/encode/RowEncoder.ts"
import type { Fenced, TableHeld, TableRejected } from "./TableLeases.ts"

export interface TableRequest {
  readonly table: string
  readonly dataset: string
  readonly version: string | undefined
  readonly fingerprint: string
  readonly schema: ArrowSchema
  /** What the config says of the table; nothing where absent. */
  readonly settings?: TableSettings
  /** Columns of integers that become `numeric(78,0)` where they come as text or decimals, and the settings name no type. */
  readonly wideIntegers?: ReadonlyArray<string>
}

/** What `prepare` would do to a table now. */
export interface TablePlan {
  readonly table: string
  readonly kind: "none" | "create" | "alter"
  /** In the order in which they would run. */
  readonly statements: ReadonlyArray<string>
  /** The columns of every index that the statements bring. */
  readonly indexed: ReadonlyArray<ReadonlyArray<string>>
  /** What operators should know before, one sentence each. */
  readonly notes: ReadonlyArray<string>
}

/** A table whose rows are all to be deleted: none of them was promised to anybody. */
export interface Emptying {
  /** The last block that was promised before. */
  readonly watermark: bigint | undefined
  /** Rows that are left to delete, as far as is known. */
  readonly rows: bigint
  /** Deletes some rows in a transaction of its own and gives their number; zero when none is left. Fails where some are kept. */
  readonly deleteSome: Effect.Effect<number, SqlError.SqlError | Fenced | TableRejected>
}

export interface Committed {
  readonly rowsRemoved: number
}

/** The table or a bookkeeping table is no longer what it was when the table was prepared: preparing it again tells why. */
export class TableChanged extends Schema.TaggedError<TableChanged>()("TableChanged", {
  table: Schema.String,
  detail: Schema.String
}) {
  /** Preparing the table again finds it made again, or refuses it with the reason. */
  get retryable() {
    return true
  }
  override get message() {
    return `table "${this.table}" was changed or dropped while it was synced: ${this.detail}`
  }
}

/** A row has no room in an index of its table. */
export class RowTooLargeForIndex extends Schema.TaggedError<RowTooLargeForIndex>()("RowTooLargeForIndex", {
  table: Schema.String,
  /** As far as PostgreSQL names it. */
  index: Schema.UndefinedOr(Schema.String),
  /** Such as `blocks 5 to 6`. */
  blocks: Schema.String
}) {
  override get message() {
    const index = this.index === undefined ? "one of the indexes of the table" : `index "${this.index}"`
    return `a row of ${this.blocks} is too large for ${index}`
  }
}

export type WriteError = SqlError.SqlError | Fenced | RowTooLargeForIndex | TableChanged | TableRejected

/**
 * Transactions of one table on one connection, one after the other. Each begins with a fence and ends with the checkpoint, so
 * that rows, deletion and checkpoint commit together (I1), and only while the lease is held (I3).
 *
 * Nothing is awaited but where it says so: a transaction whose end was sent may be followed by the next one at once.
 */
export interface ChunkTransactions {
  /** Whether one may be opened while the end of the one before it is not answered. */
  readonly mayOverlap: boolean
  /** Opens a transaction and its COPY. Waits only where `deleteFrom` asks for a deletion, for as long as that takes. */
  readonly open: (deleteFrom: Chunk["deleteFrom"]) => Effect.Effect<void, WriteError>
  /**
   * Sends COPY BINARY tuples, and waits while the network takes no more; `written` is called once `tuples` may be written over.
   */
  readonly copy: (tuples: Uint8Array, written: () => void) => Effect.Effect<void, WriteError>
  /**
   * Ends the transaction with the checkpoint of `chunk`; opens it before, without a COPY, where there was no row. The effect
   * that comes out waits for the outcome.
   */
  readonly close: (chunk: Chunk) => Effect.Effect<Effect.Effect<Committed, WriteError>, WriteError>
}

/** A table ready to be written, by this process alone. */
export interface TableWriter {
  readonly encoder: RowEncoder
  readonly rangeMode: boolean
  /** What `prepare` did or found that operators should know. */
  readonly notes: ReadonlyArray<string>
  /** Empty where the table was gone: then a stream that was opened from the lease's checkpoint is of no use. */
  readonly checkpoint: Checkpoint
  readonly rows: bigint
  /**
   * Lends a connection for some transactions. After any failure the outcome of the last one is unknown: this writer must not
   * be used again.
   */
  readonly transactions: Effect.Effect<ChunkTransactions, SqlError.SqlError, Scope.Scope>
  /**
   * Whether the database still has what was committed last, and nothing else since. To be asked while nothing is on its way;
   * true where something was sent meanwhile.
   */
  readonly isCurrent: Effect.Effect<boolean, SqlError.SqlError>
  /** What a failure means once it is known which blocks the transaction was about. */
  readonly explain: (error: WriteError, chunk: Chunk) => WriteError
}

export class TableSink extends Context.Service<TableSink, {
  /** Takes the right to write a table; the table itself is not looked at yet. */
  readonly acquire: (owner: TableOwner) => Effect.Effect<WriterLease, SqlError.SqlError | TableHeld | TableRejected>
  /** Creates the table or checks that it fits; nothing is lost where it does not. */
  readonly prepare: (
    lease: WriterLease,
    request: TableRequest
  ) => Effect.Effect<TableWriter, SqlError.SqlError | Fenced | TableRejected>
  /**
   * Waits, on a connection that nobody else wants, until no other session holds a lock that keeps rows from the table; fails
   * after a minute.
   */
  readonly awaitUnlocked: (table: string) => Effect.Effect<void, SqlError.SqlError>
  /** What `acquire` and `prepare` would do; fails with what they would fail with, except that a held table is no failure. */
  readonly plan: (request: TableRequest) => Effect.Effect<TablePlan, SqlError.SqlError | TableRejected>
  /** Takes the right to write and deletes the provisional rows; what is complete stays. Gives the rows removed. */
  readonly trim: (table: string) => Effect.Effect<number, SqlError.SqlError | TableHeld | TableRejected>
  /**
   * Takes the right to write, and forgets in one transaction what was durable: every row is to be deleted from then on,
   * by `deleteSome` or by the next start, and the table is filled from the first block.
   */
  readonly empty: (table: string) => Effect.Effect<Emptying, SqlError.SqlError | TableHeld | TableRejected>
}>()("ampsync/services/TableSink") {}
