/**
 * Replaces the rows of a table by those of a second one, which a sync filled beside it, while readers go on reading.
 *
 * Owns the second table's schema and the comparison; a sync fills the second table. The table itself stays, and with it
 * everything that depends on it. Invariant I1: `replace` changes rows and checkpoint in one transaction.
 */
import type { Effect } from "effect"
import { Context, Schema } from "effect"
import type { SqlError } from "effect/sql"
import type { WriterLease } from "../domain/bookkeeping/WriterLease.ts"
import type { Watermark } from "../domain/chain/watermarks.ts"
import type { Fenced, TableRejected } from "./TableLeases.ts"
import type { TableRequest } from "./TableSink.ts"

/** The second table cannot take the place of the first one yet; later it may. */
export class SecondTableBehind extends Schema.TaggedError<SecondTableBehind>()("SecondTableBehind", {
  table: Schema.String,
  reason: Schema.String
}) {
  get retryable() {
    return true
  }
  override get message() {
    return `table "${this.table}": ${this.reason}`
  }
}

/** What a comparison covers. The positions that differ are stored beside the second table. */
export interface ComparedTables {
  readonly table: string
  /** Found beside the stored positions for as long as they are those of this comparison. */
  readonly token: string
  /** The last block that was compared; undefined where none was. */
  readonly upTo: bigint | undefined
  readonly differing: number
  /** The newest recorded reorg of each: what is replaced later is compared again. */
  readonly newestReorgs: { readonly first: bigint; readonly second: bigint }
}

/** What `replace` did. */
export interface Replaced {
  readonly before: Watermark | undefined
  readonly watermark: Watermark | undefined
  readonly rowsRemoved: number
  readonly rowsAdded: number
  /** The first complete block whose rows may be others than before; undefined where there is none. */
  readonly firstBlock: bigint | undefined
}

export class TableExchange extends Context.Service<TableExchange, {
  /** The schema of the second table of `table`, which has the same name. */
  readonly schemaOf: (table: string) => string
  /** Why no second table may be filled, or take the place of the first one, now; one sentence each. */
  readonly obstacles: (request: TableRequest) => Effect.Effect<ReadonlyArray<string>, SqlError.SqlError>
  /** Whether the schema of the second table exists. After `replace` it does not. */
  readonly hasSecond: (table: string) => Effect.Effect<boolean, SqlError.SqlError>
  /** Deletes the second table, with its schema and its bookkeeping. */
  readonly dropSecond: (table: string) => Effect.Effect<void, SqlError.SqlError>
  /**
   * Fails unless the second table is complete up to the watermark of the table, on a chain on which nothing contradicts it.
   */
  readonly requireReached: (lease: WriterLease) => Effect.Effect<void, SqlError.SqlError | SecondTableBehind>
  /** Finds the positions at which the two tables differ, up to the watermark of both; both may be written meanwhile. */
  readonly compare: (table: string) => Effect.Effect<ComparedTables, SqlError.SqlError>
  /**
   * In one transaction: rows that differ are replaced, the checkpoint of the second table becomes that of the table, a reorg is
   * recorded from the first block that changed, the second table is dropped, and `lease` is released. Nothing may write the
   * second table any more.
   */
  readonly replace: (
    lease: WriterLease,
    request: TableRequest,
    compared: ComparedTables
  ) => Effect.Effect<Replaced, SqlError.SqlError | Fenced | SecondTableBehind | TableRejected>
}>()("ampsync/services/TableExchange") {}
