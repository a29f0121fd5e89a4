/**
 * Writes the rows of one table to PostgreSQL.
 *
 * Owns the data table: its creation, its comparison with the query's columns, and the one transaction per chunk (I1).
 * The chunk decides what is deleted.
 */
import type { Effect, Scope } from "effect"
import { Context, Schema } from "effect"
import type { SqlError } from "effect/sql"
import type { TableOwner } from "../domain/bookkeeping/TableIdentity.ts"
import type { WriterLease } from "../domain/bookkeeping/WriterLease.ts"
import type { BlockRange } from "../domain/chain/BlockRange.ts"
import type { Checkpoint } from "../domain/chain/Checkpoint.ts"
import type { Chunk } from "../domain/chain/Chunk.ts"
import type { Watermark } from "../domain/chain/watermarks.ts"
import type { RowEncoder } from "../domain/postgres/encode/RowEncoder.ts"
import type { TableSource } from "../domain/postgres/table/designTable.ts"
import type { PartitionBounds } from "../domain/postgres/table/partitions.ts"
import type { TableDefinition } from "../domain/postgres/table/tableDdl.ts"
import type { Fenced, TableHeld, TableRejected } from "./TableLeases.ts"

/** A table to prepare: what fills it, and the columns of its query. */
export interface TableRequest extends TableSource {
  readonly dataset: string
  readonly version: string | undefined
  readonly fingerprint: string
  /** Where the table is created: it gets its keys only once it has caught up. */
  readonly defersIndexes?: boolean
}

/** What `prepare` would do to a table now. */
export interface TablePlan {
  readonly table: string
  readonly kind: "none" | "create" | "alter"
  /** No block of it is complete: it will be filled from the first block. */
  readonly startsAtFirstBlock: boolean
  /** In the order of execution. */
  readonly statements: ReadonlyArray<string>
  /** The columns of every index that the statements create. */
  readonly indexed: ReadonlyArray<ReadonlyArray<string>>
  /** Notes for the operator, one sentence each. */
  readonly notes: ReadonlyArray<string>
}

/** Part of the notes on triggers, rules and policies of a table. */
export const MAY_KEEP_ROWS = "may keep rows from being"

/** A table whose rows are all to be deleted: its checkpoint covers none of them any more. */
export interface Emptying {
  /** The watermark before it was forgotten. */
  readonly watermark: bigint | undefined
  /** Rows left to delete, by the checkpoint's count. */
  readonly rows: bigint
  /**
   * Deletes some rows in a transaction of its own and returns their number; zero when none is left. Fails where a trigger,
   * rule or policy keeps some.
   */
  readonly deleteSome: Effect.Effect<number, SqlError.SqlError | Fenced | TableRejected>
}

/** A table whose newest blocks were removed. */
export interface Rewound {
  /** Its watermarks before and afterwards. */
  readonly before: Watermark
  readonly watermark: Watermark
  readonly rowsRemoved: number
}

/** The outcome of a committed chunk. */
export interface Committed {
  readonly rowsRemoved: number
  /** Rows above the watermark from now on. */
  readonly provisionalRows: bigint
}

/** The table or a bookkeeping table was changed since the table was prepared; preparing it again finds the cause. */
export class TableChanged extends Schema.TaggedError<TableChanged>()("TableChanged", {
  table: Schema.String,
  detail: Schema.String
}) {
  /** Preparing the table again succeeds where it was recreated, or rejects it with the reason. */
  get retryable() {
    return true
  }
  override get message() {
    return `table "${this.table}" was changed or dropped while it was synced: ${this.detail}`
  }
}

/** A row is too large for an index of its table. */
export class RowTooLargeForIndex extends Schema.TaggedError<RowTooLargeForIndex>()("RowTooLargeForIndex", {
  table: Schema.String,
  /** Undefined where PostgreSQL does not name it. */
  index: Schema.UndefinedOr(Schema.String),
  /** Such as `blocks 5 to 6`. */
  blocks: Schema.String
}) {
  override get message() {
    const index = this.index === undefined ? "one of the indexes of the table" : `index "${this.index}"`
    return `a row of ${this.blocks} is too large for ${index}`
  }
}

/** Why a chunk could not be written. */
export type WriteError = SqlError.SqlError | Fenced | RowTooLargeForIndex | TableChanged | TableRejected

/**
 * Transactions of one table on one connection, one after the other. Each begins with a fence and ends with the checkpoint, so
 * that rows, deletion and checkpoint commit together (I1), and only while the lease is held (I3).
 *
 * Nothing is awaited except where documented: the next transaction may follow as soon as the COMMIT of one is sent.
 */
export interface ChunkTransactions {
  /** Whether one may be opened before the COMMIT of the previous one is answered. */
  readonly mayOverlap: boolean
  /** Opens a transaction and its COPY. Waits only where `deleteFrom` requires a deletion, without a time limit. */
  readonly open: (deleteFrom: Chunk["deleteFrom"]) => Effect.Effect<void, WriteError>
  /**
   * Sends COPY BINARY tuples, and waits while the network accepts no more; `written` is called once `tuples` may be
   * overwritten.
   */
  readonly copy: (tuples: Uint8Array, written: () => void) => Effect.Effect<void, WriteError>
  /**
   * Commits the transaction with the checkpoint of `chunk`; where there was no row, opens it first, without a COPY. The
   * returned effect waits for the outcome.
   */
  readonly close: (chunk: Chunk) => Effect.Effect<Effect.Effect<Committed, WriteError>, WriteError>
}

/** What `TablePartitions.make` did. */
export interface MadePartitions {
  readonly made: ReadonlyArray<PartitionBounds>
  /** Partitions of the table from now on. */
  readonly total: number
  /** The last block that has a partition. */
  readonly lastBlock: bigint
  /** Why the partition behind those of the range could not be made; undefined where it is there. */
  readonly aheadFailure: string | undefined
}

/** The partitions of a table by ranges of blocks, as its writer found and made them. */
export interface TablePartitions {
  readonly table: string
  /** A COPY that is opened from now on finds a partition for every row of `range`. */
  readonly covers: (range: BlockRange) => boolean
  /** As `covers`, and the partition behind them is there as well. */
  readonly isReady: (range: BlockRange) => boolean
  /**
   * Makes the partitions that rows of `range` need, and the one behind them, in transactions of their own that neither block
   * readers nor writers. A COPY that is open does not see them. Rejects the table where another relation has the name of one,
   * or where there would be too many.
   */
  readonly make: (range: BlockRange) => Effect.Effect<MadePartitions, SqlError.SqlError | Fenced | TableRejected>
}

/** A table that is prepared, and that only this process may write. */
export interface TableWriter {
  readonly encoder: RowEncoder
  /** Whether rows are positioned by `_range_end`, the last block of their range. */
  readonly rangeMode: boolean
  /** What `prepare` did or found that operators should know, one sentence each. */
  readonly notes: ReadonlyArray<string>
  /** The table where its keys are not built yet; undefined where it has them. */
  readonly deferred: TableDefinition | undefined
  /** Empty where the table was missing: then a stream opened from the lease's checkpoint is useless. */
  readonly checkpoint: Checkpoint
  /** Commits of the table so far, also those of other processes. */
  readonly commitSeq: bigint
  readonly rows: bigint
  /** Rows above the watermark; the first transaction deletes them. */
  readonly provisionalRows: bigint
  /**
   * Lends a connection for some transactions. After any failure the outcome of the last one is unknown: this writer must not
   * be used again.
   */
  readonly transactions: Effect.Effect<ChunkTransactions, SqlError.SqlError, Scope.Scope>
  /** Undefined for a table in one piece. */
  readonly partitions: TablePartitions | undefined
  /**
   * Whether the last commit is in the database and is the newest one. To be called while no transaction is in flight; true
   * where one was sent meanwhile.
   */
  readonly isCurrent: Effect.Effect<boolean, SqlError.SqlError>
  /** Turns a failure into one that names the cause and the blocks of the transaction. */
  readonly explain: (error: WriteError, chunk: Chunk) => WriteError
}

export class TableSink extends Context.Service<TableSink, {
  /** Acquires the lease of a table; the table itself is not checked yet. */
  readonly acquire: (owner: TableOwner) => Effect.Effect<WriterLease, SqlError.SqlError | TableHeld | TableRejected>
  /** Creates the table, or checks that it fits the query; changes nothing where it does not. */
  readonly prepare: (
    lease: WriterLease,
    request: TableRequest
  ) => Effect.Effect<TableWriter, SqlError.SqlError | Fenced | TableRejected>
  /**
   * Waits, on a connection of its own, until no other session holds a lock that blocks writes to the table; fails after
   * 50 seconds.
   */
  readonly awaitUnlocked: (table: string) => Effect.Effect<void, SqlError.SqlError>
  /**
   * Statements, for the current transaction, that make the partitions which rows at positions `first` to `last` need and
   * which are missing; none for a table in one piece.
   */
  readonly partitionStatements: (
    request: TableRequest,
    first: bigint,
    last: bigint
  ) => Effect.Effect<ReadonlyArray<string>, SqlError.SqlError | TableRejected>
  /** Computes what `acquire` and `prepare` would do; fails as they would, except that a held table is no failure. */
  readonly plan: (request: TableRequest) => Effect.Effect<TablePlan, SqlError.SqlError | TableRejected>
  /** Acquires the lease and deletes the provisional rows; complete ones stay. Returns the number of deleted rows. */
  readonly trim: (table: string) => Effect.Effect<number, SqlError.SqlError | Fenced | TableHeld | TableRejected>
  /**
   * Acquires the lease and removes, in one transaction, the rows and the history above the newest watermark at or below
   * `toBlock`; the next start reads them again. Rejects a table without such a watermark.
   */
  readonly rewind: (
    table: string,
    toBlock: bigint
  ) => Effect.Effect<Rewound, SqlError.SqlError | TableHeld | TableRejected>
  /**
   * Acquires the lease and forgets the checkpoint in one transaction: from then on every row is to be deleted, by
   * `deleteSome` or by the next start, and the table is filled from the first block.
   */
  readonly empty: (table: string) => Effect.Effect<Emptying, SqlError.SqlError | TableHeld | TableRejected>
}>()("ampsync/services/TableSink") {}
