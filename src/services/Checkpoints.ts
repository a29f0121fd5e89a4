/**
 * Remembers, per table, which blocks are durable in PostgreSQL, on which chain, and who may write.
 *
 * Owns the bookkeeping tables only: it never reads or writes user rows. Invariant I1: `advance` joins the transaction of
 * the rows it describes. Invariant I3: whoever does not hold the current epoch writes nothing.
 */
import type { Effect, Option } from "effect"
import { Context, Schema } from "effect"
import type { SqlError } from "effect/sql"
import type { Reorg } from "../domain/chain/Chunk.ts"
import type { Known } from "../domain/chain/follow.ts"
import type { Phase } from "./SyncStatus.ts"

/** What a table is filled with; its dataset and name own it, the rest is recorded. */
export interface TableIdentity {
  readonly table: string
  /** `namespace/name`. */
  readonly dataset: string
  readonly version: string | undefined
  /** Changes when the query does. */
  readonly fingerprint: string
  /** The column that says where in the chain a row stands. */
  readonly positionColumn: string
  /** Every column of the table that we made; absent where that is not known, which changes nothing that is recorded. */
  readonly columns?: ReadonlyArray<string>
}

/** The right to write one table, and what it held when the right was taken. */
export interface Claim extends Known {
  readonly table: string
  readonly epoch: bigint
  readonly commitSeq: bigint
  /** Rows durable in the table, provisional ones included. */
  readonly rows: bigint
  readonly provisionalRows: bigint
  readonly positionColumn: string
  /** No checkpoint existed: the data table is not ours yet. */
  readonly isNew: boolean
  /** Fingerprint of the query that filled the table so far, where it is another one. */
  readonly earlierFingerprint: string | undefined
  /** The columns that were recorded as made by us before; undefined where none were. */
  readonly earlierColumns: ReadonlyArray<string> | undefined
}

/** What a claim would find, for whoever only looks. */
export type Standing = Pick<Claim, "history" | "positionColumn" | "isNew" | "earlierFingerprint" | "earlierColumns">

/** What one commit changes. */
export interface Advance {
  readonly known: Known
  readonly reorgs: ReadonlyArray<Reorg>
  readonly rowsAdded: number
  /** Rows above the watermark afterwards. */
  readonly provisionalRows: bigint
  /** Unix seconds of the watermark's block, where the server says them. */
  readonly blockTimestamp: number | undefined
}

/** What this process does with a table. */
export interface TableState {
  readonly table: string
  /** `removed`: the config names it no longer. `stopped`: the process came to its end in good order. */
  readonly state: Phase | "removed" | "stopped"
  readonly reason: string | undefined
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
  readonly claim: (identity: TableIdentity) => Effect.Effect<Claim, SqlError.SqlError | TableHeld | TableRefused>
  /** Ends sessions that hang in a transaction on `table`: those of a writer no longer alive, and our own abandoned ones. */
  readonly evictStale: (table: string) => Effect.Effect<number, SqlError.SqlError>
  /** What `claim` would find; whether another process writes the table makes no difference here. */
  readonly look: (identity: TableIdentity) => Effect.Effect<Standing, SqlError.SqlError | TableRefused>
  /** What a table was claimed as last; none where it has no checkpoint of ours. */
  readonly recorded: (table: string) => Effect.Effect<Option.Option<TableIdentity>, SqlError.SqlError>
  /**
   * Forgets what was durable, in the current transaction: the table starts again from the first block, and the `rows` that
   * are still in it are provisional.
   */
  readonly forget: (claim: Claim, rows: bigint) => Effect.Effect<Claim, SqlError.SqlError>
  /**
   * Records what the current transaction changes; the first statement of its transaction. The claim it returns holds once
   * that transaction commits.
   */
  readonly advance: (claim: Claim, change: Advance) => Effect.Effect<Claim, SqlError.SqlError | Fenced>
  /** Corrects the counts of `advance` by what only the deletion could tell, in the same transaction. */
  readonly recount: (
    claim: Claim,
    counts: { readonly rowsRemoved: number; readonly provisionalRows: bigint }
  ) => Effect.Effect<Claim, SqlError.SqlError>
  /** Says that this process is alive. */
  readonly heartbeat: Effect.Effect<void, SqlError.SqlError>
  /** Says what this process does with these tables; what it said of others stays, and what other processes say. */
  readonly report: (states: ReadonlyArray<TableState>) => Effect.Effect<void, SqlError.SqlError>
  /** Says how the last change of the config was taken: applied, or refused for `reason`. */
  readonly reportReload: (reload: Pick<TableState, "ageMillis" | "reason">) => Effect.Effect<void, SqlError.SqlError>
  /** Gives up the right to write `table`, so that the next process need not wait. */
  readonly release: (table: string) => Effect.Effect<void, SqlError.SqlError>
}>()("ampsync/services/Checkpoints") {}
