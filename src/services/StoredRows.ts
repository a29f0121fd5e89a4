/**
 * Reads what is stored of a table, to compare it with what a server sends.
 *
 * Owns the snapshot and the hash; writes nothing.
 */
import type { Effect } from "effect"
import { Context } from "effect"
import type { SqlError } from "effect/sql"
import type { RecordedTable } from "../domain/bookkeeping/TableIdentity.ts"
import type { BlockDigest, RowHash } from "../domain/verify/BlockComparison.ts"
import type { Ledger } from "../domain/verify/ledger.ts"

/** One table as one snapshot of the database has it. */
export interface StoredTable extends Ledger {
  readonly recorded: RecordedTable
  /** Whole partitions may be dropped, and the counter of rows does not notice that. */
  readonly isPartitioned: boolean
  /** By column: its type in `pg_type`. */
  readonly typeOids: ReadonlyMap<string, number>
  /**
   * Counts and hashes the rows of the blocks above `above` and up to `upTo`, by block; those of `columns`, in their order.
   * Blocks without rows are left out.
   */
  readonly digests: (
    columns: ReadonlyArray<string>,
    above: bigint,
    upTo: bigint
  ) => Effect.Effect<ReadonlyMap<bigint, BlockDigest>, SqlError.SqlError>
  /** The newest reorg of the table that is recorded; 0 where there is none. */
  readonly newestReorg: bigint
}

export class StoredRows extends Context.Service<StoredRows, {
  /** Hashes a row, given as the bytes of `record_send`, as the database does. */
  readonly hash: (record: Uint8Array) => RowHash
  /** Runs `use` on one read-only snapshot, which lasts as long; `undefined` where nothing is recorded of the table. */
  readonly snapshot: <A, E, R>(
    table: string,
    use: (stored: StoredTable | undefined) => Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | SqlError.SqlError, R>
  /** The lowest block that was replaced since a snapshot, now and outside of it; `undefined` where there is none. */
  readonly replacedSince: (
    snapshot: { readonly table: string; readonly newestReorg: bigint }
  ) => Effect.Effect<bigint | undefined, SqlError.SqlError>
}>()("ampsync/services/StoredRows") {}
