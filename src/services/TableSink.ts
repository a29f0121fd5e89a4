/**
 * Puts the rows of one table into PostgreSQL.
 *
 * Owns the data table: its creation, its comparison with the query's columns, and the one transaction per chunk (I1).
 * It does not decide what to delete: the chunk says it.
 */
import type { Effect } from "effect"
import { Context } from "effect"
import type { SqlError } from "effect/sql"
import type { ArrowSchema } from "../domain/arrow/ArrowSchema.ts"
import type { Chunk } from "../domain/chain/Chunk.ts"
import type { Known } from "../domain/chain/follow.ts"
import type { CopyPlan } from "../domain/postgres/encodeCopy.ts"
import type { TableSettings } from "../domain/TableSettings.ts"
import type { Fenced, TableHeld, TableRefused } from "./Checkpoints.ts"

export interface TableRequest {
  readonly table: string
  readonly dataset: string
  readonly version: string | undefined
  readonly fingerprint: string
  readonly schema: ArrowSchema
  /** What the config says of the table; nothing where absent. */
  readonly settings?: TableSettings
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

/** A table whose rows are all owed their deletion: it holds none that anybody was promised. */
export interface Emptying {
  /** The last block that was promised before. */
  readonly watermark: bigint | undefined
  /** Rows that are left to delete, as far as is known. */
  readonly rows: bigint
  /** Deletes some rows in a transaction of its own and gives their number; zero when none is left. */
  readonly deleteSome: Effect.Effect<number, SqlError.SqlError | Fenced>
}

export interface Committed {
  readonly rowsRemoved: number
}

/** A table ready to be written, by this process alone. */
export interface TableWriter {
  readonly plan: CopyPlan
  readonly rangeMode: boolean
  /** What was durable when the right to write was taken. */
  readonly known: Known
  readonly rows: bigint
  /** What `prepare` did or found that operators should hear of. */
  readonly notes: ReadonlyArray<string>
  /**
   * Commits one chunk. After any failure the outcome is unknown: this writer must not be used again. It refuses rows that
   * repeat the primary key that the config gives the table.
   */
  readonly commit: (chunk: Chunk) => Effect.Effect<Committed, SqlError.SqlError | Fenced | TableRefused>
}

export class TableSink extends Context.Service<TableSink, {
  /** Takes the right to write, creates the table or checks that it fits; nothing is lost where it does not. */
  readonly prepare: (
    request: TableRequest
  ) => Effect.Effect<TableWriter, SqlError.SqlError | TableHeld | TableRefused>
  /** What `prepare` would do; fails with what it would fail with, except that a table that is held is no failure. */
  readonly plan: (request: TableRequest) => Effect.Effect<TablePlan, SqlError.SqlError | TableRefused>
  /** Takes the right to write and deletes the provisional rows; what is complete stays. Gives the rows removed. */
  readonly trim: (table: string) => Effect.Effect<number, SqlError.SqlError | TableHeld | TableRefused>
  /**
   * Takes the right to write, and forgets in one transaction what was durable: every row is owed its deletion from then on,
   * by `deleteSome` or by the next start, and the table is filled from the first block.
   */
  readonly empty: (table: string) => Effect.Effect<Emptying, SqlError.SqlError | TableHeld | TableRefused>
}>()("ampsync/services/TableSink") {}
