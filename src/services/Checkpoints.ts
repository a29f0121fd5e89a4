/**
 * Remembers, per table, which blocks are durable in PostgreSQL, on which chain, and who may write.
 *
 * Owns the bookkeeping tables only: it never reads or writes user rows. Invariant I1: `advance` joins the transaction of
 * the rows it describes. Invariant I3: whoever does not hold the lease writes nothing.
 */
import type { Effect, Option } from "effect"
import { Context, Schema } from "effect"
import type { SqlError } from "effect/sql"
import type { Checkpoint } from "../domain/chain/Checkpoint.ts"
import type { ReorgRecord } from "../domain/chain/Chunk.ts"
import type { Watermark } from "../domain/chain/watermarks.ts"
import type { Phase } from "../domain/TablePhase.ts"
import type { SourceHeadBlock } from "../domain/TableStatus.ts"

/** A table belongs to its dataset and its name. */
export interface TableOwner {
  readonly table: string
  /** `namespace/name`. */
  readonly dataset: string
}

/** What a table is filled with: recorded when its lease is used, owned by nobody. */
export interface TableIdentity extends TableOwner {
  readonly version: string | undefined
  /** Changes when the query does. */
  readonly fingerprint: string
  /** The column that says where in the chain a row stands. */
  readonly positionColumn: string
  /** Every column of the table that we made; absent where that is not known, which changes nothing that is recorded. */
  readonly columns?: ReadonlyArray<string>
}

/** What a table was filled with last. */
export type RecordedTable = Pick<TableIdentity, "fingerprint" | "positionColumn" | "columns"> & {
  /** Absent where none was recorded. */
  readonly version?: string
}

/** The right to write one table, and what was durable when it was taken. */
export interface WriterLease {
  readonly table: string
  readonly epoch: bigint
  readonly commitSeq: bigint
  readonly checkpoint: Checkpoint
  /** Rows durable in the table, provisional ones included. */
  readonly rows: bigint
  readonly provisionalRows: bigint
  /** Undefined where no table of this name was ever ours. */
  readonly recorded: RecordedTable | undefined
  /** A table of this name was there when the lease was taken, ours or not. */
  readonly tableExists: boolean
}

/** What a table is compared with before it is filled. */
export interface CheckpointSummary {
  /** A checkpoint of this name exists, be it one of the first ampsync. */
  readonly exists: boolean
  readonly watermark: Watermark | undefined
  readonly recorded: RecordedTable | undefined
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

/**
 * The statements that surround the rows of a chunk, as text, so that a commit needs no round trip of its own.
 *
 * `fence` is the first statement of its transaction: it fails with a division by zero where the lease is no longer held.
 * `advance` is the last one: it fails likewise where `fence` did not run before it in the same transaction.
 */
export interface CheckpointStatements {
  readonly fence: (lease: WriterLease) => string
  /** `lease` is what is held once the transaction is committed; `notify` is the payload of a NOTIFY in it. */
  readonly advance: (
    lease: WriterLease,
    change: Advance,
    notify: string | undefined
  ) => { readonly statement: string; readonly lease: WriterLease }
}

/** What this process does with a table. */
export interface TableState {
  readonly table: string
  /** `removed`: the config names it no longer. `stopped`: the process came to its end in good order. */
  readonly state: Phase | "removed" | "stopped"
  readonly reason: string | undefined
  /** The newest block of the source, where it is known. */
  readonly sourceHead?: SourceHeadBlock | undefined
  /** Since it began; no point in time, because the clock of the database may be another one. */
  readonly ageMillis: number
}

/** Another process writes this table, and was alive a moment ago. */
export class TableHeld extends Schema.TaggedError<TableHeld>()("TableHeld", {
  table: Schema.String,
  writer: Schema.String
}) {
  override get message() {
    return `table "${this.table}" is being written by ${this.writer}`
  }
}

/** Our right to write ended: another process took it. Nothing of the transaction was kept. */
export class Fenced extends Schema.TaggedError<Fenced>()("Fenced", { table: Schema.String }) {
  override get message() {
    return `another process took over table "${this.table}"`
  }
}

/** The table cannot be ours; `reason` says why and what to do. */
export class TableRefused extends Schema.TaggedError<TableRefused>()("TableRefused", {
  table: Schema.String,
  reason: Schema.String
}) {
  override get message() {
    return `table "${this.table}" is refused: ${this.reason}`
  }
}

export class Checkpoints extends Context.Service<Checkpoints, {
  /** Creates what is missing of the schema and its bookkeeping tables; extends those of earlier versions. */
  readonly ensure: Effect.Effect<void, SqlError.SqlError>
  /** The statements that `ensure` would run now; none where the bookkeeping is as it should be. */
  readonly pending: Effect.Effect<ReadonlyArray<string>, SqlError.SqlError>
  /** The name under which transactions on `table` show in `pg_stat_activity`. */
  readonly activity: (table: string) => string
  /** Takes the right to write a table, in the current transaction; the data table itself is the caller's to check. */
  readonly acquire: (owner: TableOwner) => Effect.Effect<WriterLease, SqlError.SqlError | TableHeld | TableRefused>
  /** Records what the table is filled with from now on, in the current transaction. */
  readonly record: (lease: WriterLease, identity: TableIdentity) => Effect.Effect<void, SqlError.SqlError | Fenced>
  /** Ends sessions that hang in a transaction on `table`: those of a writer no longer alive, and our own abandoned ones. */
  readonly evictStale: (table: string) => Effect.Effect<number, SqlError.SqlError>
  /** What `acquire` would find; whether another process writes the table makes no difference here. */
  readonly look: (owner: TableOwner) => Effect.Effect<CheckpointSummary, SqlError.SqlError | TableRefused>
  /** What a table was filled with last; none where it has no checkpoint of ours. */
  readonly recorded: (table: string) => Effect.Effect<Option.Option<TableIdentity>, SqlError.SqlError>
  /**
   * Forgets what was durable, in the current transaction: the table starts again from the first block, and the `rows` that
   * are still in it are provisional.
   */
  readonly forget: (lease: WriterLease, rows: bigint) => Effect.Effect<WriterLease, SqlError.SqlError>
  /**
   * Whether the database has what was committed last under `lease`: false where another process took over, and where the
   * database lost transactions, as a replica that was promoted.
   */
  readonly holds: (lease: WriterLease) => Effect.Effect<boolean, SqlError.SqlError>
  readonly statements: CheckpointStatements
  /** Runs the statement of that name in the current transaction. */
  readonly fence: (lease: WriterLease) => Effect.Effect<void, SqlError.SqlError | Fenced>
  /** Runs the statement of that name in the current transaction, without a NOTIFY. */
  readonly advance: (
    lease: WriterLease,
    change: Advance
  ) => Effect.Effect<WriterLease, SqlError.SqlError | Fenced>
  /** Says that this process is alive. */
  readonly heartbeat: Effect.Effect<void, SqlError.SqlError>
  /** Says what this process does with these tables; what it said of others stays, and what other processes say. */
  readonly report: (states: ReadonlyArray<TableState>) => Effect.Effect<void, SqlError.SqlError>
  /** Says how the last change of the config was taken: applied, or refused for `reason`. */
  readonly reportReload: (reload: Pick<TableState, "ageMillis" | "reason">) => Effect.Effect<void, SqlError.SqlError>
  /** Gives up the right to write `table`, so that the next process need not wait. */
  readonly release: (table: string) => Effect.Effect<void, SqlError.SqlError>
}>()("ampsync/services/Checkpoints") {}
