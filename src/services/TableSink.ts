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
import type { Fenced, TableHeld, TableRefused } from "./Checkpoints.ts"

export interface TableRequest {
  readonly table: string
  readonly dataset: string
  readonly version: string | undefined
  readonly fingerprint: string
  readonly schema: ArrowSchema
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
  /** Commits one chunk. After any failure the outcome is unknown: this writer must not be used again. */
  readonly commit: (chunk: Chunk) => Effect.Effect<Committed, SqlError.SqlError | Fenced>
}

export class TableSink extends Context.Service<TableSink, {
  /** Takes the right to write, creates the table or checks that it fits; nothing is lost where it does not. */
  readonly prepare: (
    request: TableRequest
  ) => Effect.Effect<TableWriter, SqlError.SqlError | TableHeld | TableRefused>
}>()("ampsync/services/TableSink") {}
