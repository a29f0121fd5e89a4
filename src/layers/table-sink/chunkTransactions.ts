/** The transactions of one table as texts of statements with COPY data between them. */
import { Effect } from "effect"
import type { SqlError } from "effect/sql"
import type { WriterLease } from "../../domain/bookkeeping/WriterLease.ts"
import type { Chunk } from "../../domain/chain/Chunk.ts"
import { copyHeader, copyTrailer } from "../../domain/postgres/encode/encodeCopy.ts"
import type { TableDefinition } from "../../domain/postgres/table/tableDdl.ts"
import { notification } from "../../domain/sql/notification.ts"
import type { Checkpoints } from "../../services/Checkpoints.ts"
import type { PgAnswer, PgPipeline, PgPool } from "../../services/PgPool.ts"
import { Fenced, type TableLeases, type TableRejected } from "../../services/TableLeases.ts"
import { type ChunkTransactions, type Committed, TableChanged, type WriteError } from "../../services/TableSink.ts"
import { deletion, undeletable } from "./deletion.ts"
import { noInsertTrigger, rowsCopied, rowsLeftOut, rowsMissing } from "./insertTriggers.ts"

/** The part that is the same for all transactions of a table. */
export interface TransactionPlan {
  readonly definition: TableDefinition
  /** `COPY ... FROM STDIN (FORMAT BINARY)` of the table. */
  readonly copy: string
  /** Triggers that may keep rows from being stored: with any, a COMMIT waits until the rows of its COPY are counted. */
  readonly insertFilters: ReadonlyArray<string>
  readonly open: TableLeases["Service"]["open"]
  readonly advanceStatement: Checkpoints["Service"]["advanceStatement"]
  readonly notifies: boolean
}

/** The current lease: each COMMIT that is sent replaces it, and fences the next transaction. */
export interface LeaseRef {
  current: WriterLease
}

/** Opens transactions on a connection of their own. Invariant I1: one chunk is one transaction. */
export const openTransactions = Effect.fnUntraced(function*(
  pool: PgPool["Service"],
  plan: TransactionPlan,
  lease: LeaseRef
) {
  return new PipelinedTransactions(yield* pool.pipeline, plan, lease)
})

class PipelinedTransactions implements ChunkTransactions {
  readonly mayOverlap: boolean
  readonly #pipeline: PgPipeline
  readonly #plan: TransactionPlan
  readonly #lease: LeaseRef
  #rowsRemoved = 0
  /** The answer to the text with the COPY that is open. */
  #copying: PgAnswer | undefined
  readonly #noInsertTrigger: string

  constructor(pipeline: PgPipeline, plan: TransactionPlan, lease: LeaseRef) {
    this.mayOverlap = pipeline.isDirect
    this.#pipeline = pipeline
    this.#plan = plan
    this.#lease = lease
    this.#noInsertTrigger = noInsertTrigger(plan.definition)
  }

  open = (deleteFrom: Chunk["deleteFrom"]): Effect.Effect<void, WriteError> =>
    Effect.suspend(() =>
      Effect.map(this.#begin(deleteFrom, this.#plan.copy), () => this.#pipeline.copyData(copyHeader, nothing))
    )

  copy = (tuples: Uint8Array, written: () => void): Effect.Effect<void, WriteError> =>
    Effect.suspend(() => {
      this.#pipeline.copyData(tuples, written)
      return Effect.mapError(this.#pipeline.drained, this.#explain)
    })

  close = (chunk: Chunk) =>
    Effect.suspend(() => {
      const copying = this.#copying
      if (copying !== undefined) {
        this.#copying = undefined
        this.#pipeline.copyData(copyTrailer, nothing)
        this.#pipeline.copyDone()
        const { definition, insertFilters } = this.#plan
        if (insertFilters.length === 0) return Effect.succeed(this.#endUncounted(chunk, copying))
        const counted = this.#count(copying, chunk, (stored) => rowsLeftOut(definition, chunk, stored, insertFilters))
        return Effect.map(counted, () => this.#end(chunk))
      }
      return Effect.map(this.#begin(chunk.deleteFrom), () => this.#end(chunk))
    })

  /** Begins a transaction. Waits only for a deletion, and checks that no row is left. */
  #begin(deleteFrom: Chunk["deleteFrom"], copy?: string): Effect.Effect<void, WriteError> {
    const { definition } = this.#plan
    const endsInCopy = copy !== undefined
    const { guard, text: opening } = this.#plan.open(this.#lease.current)
    const guards = { [FENCE]: guard }
    this.#rowsRemoved = 0
    if (deleteFrom === undefined) {
      const begun = this.#pipeline.send(endsInCopy ? `${opening}; ${copy}` : opening, { endsInCopy, guards })
      this.#copying = endsInCopy ? begun : undefined
      return Effect.void
    }
    const begun = this.#pipeline.send(opening, { guards })
    const { before, left, remove } = deletion(definition, deleteFrom)
    const texts = [...before, remove, left, ...(endsInCopy ? [copy] : [])]
    const deleted = this.#pipeline.send(texts.join("; "), { endsInCopy })
    this.#copying = endsInCopy ? deleted : undefined
    // BEGIN has a time limit; a large deletion has none.
    return Effect.andThen(begun.done, deleted.copying).pipe(
      Effect.mapError(this.#explain),
      Effect.flatMap(({ rows, tags }) => {
        this.#rowsRemoved = removedBy(tags)
        return rows.at(-1)?.[0] === "t" ? Effect.fail(undeletable(definition, deleteFrom)) : Effect.void
      })
    )
  }

  /**
   * Ends a transaction whose rows are not counted before its COMMIT: the rows of a table without a trigger that may leave some
   * out. Where one came meanwhile, the transaction ends without a COMMIT.
   */
  #endUncounted(chunk: Chunk, copying: PgAnswer): Effect.Effect<Committed, WriteError> {
    const committed = this.#end(chunk, this.#noInsertTrigger)
    const counted = this.#count(copying, chunk, (stored) => rowsMissing(this.#plan.definition, chunk, stored))
    return Effect.tap(committed, () => counted)
  }

  /** Fails where the COPY did not store the rows of the chunk. */
  #count(
    copying: PgAnswer,
    chunk: Chunk,
    failure: (stored: number) => TableRejected
  ): Effect.Effect<void, WriteError> {
    return Effect.flatMap(Effect.mapError(copying.done, this.#explain), (result) => {
      const stored = rowsCopied(result)
      return stored === chunk.rows ? Effect.void : Effect.fail(failure(stored))
    })
  }

  #end(chunk: Chunk, checked?: string): Effect.Effect<Committed, WriteError> {
    const { advanceStatement, definition, notifies } = this.#plan
    const before = this.#lease.current
    const rowsRemoved = this.#rowsRemoved
    const { lease, statement } = advanceStatement(
      before,
      {
        checkpoint: chunk.checkpoint,
        reorgs: chunk.reorgs,
        rowsAdded: chunk.rows,
        rowsRemoved,
        provisionalRows: provisionalAfter(before, chunk),
        blockTimestamp: chunk.completed?.timestamp
      },
      notifies ? notificationOf(definition, chunk, rowsRemoved) : undefined
    )
    const response = this.#pipeline.send(
      `${checked === undefined ? "" : `${checked}; `}${statement}; COMMIT`,
      { guards: checked === undefined ? { [FENCE]: 0 } : { [TRIGGERS]: 0, [FENCE]: 1 } }
    )
    this.#lease.current = lease
    return Effect.mapBoth(response.done, {
      onFailure: this.#explain,
      onSuccess: () => ({ rowsRemoved, provisionalRows: lease.provisionalRows })
    })
  }

  #explain = (error: SqlError.SqlError): WriteError => {
    const { table } = this.#plan.definition
    switch (this.#pipeline.failedGuard(error)) {
      case FENCE:
        return new Fenced({ table })
      case TRIGGERS:
        return new TableChanged({ table, detail: "it got a trigger that may keep rows from being stored" })
      default:
        return error
    }
  }
}

/** The guards of the texts. */
const FENCE = "fence"
const TRIGGERS = "triggers"

const nothing = (): void => {}

/** Rows above the watermark after the chunk; a deletion leaves none of earlier chunks. */
const provisionalAfter = (before: WriterLease, chunk: Chunk): bigint => {
  const [was, is] = [before.checkpoint.history.at(-1), chunk.checkpoint.history.at(-1)]
  const moved = is !== undefined && is.block > (was?.block ?? -1n)
  const earlier = moved || chunk.deleteFrom !== undefined ? 0n : before.provisionalRows
  return earlier + BigInt(chunk.provisionalRows)
}

/** Source: PostgreSQL, doc "Message Formats", `CommandComplete`. */
const removedBy = (tags: ReadonlyArray<string>): number =>
  Number(tags.find((tag) => tag.startsWith("DELETE "))?.slice("DELETE ".length) ?? 0)

const notificationOf = ({ schema, table }: TableDefinition, chunk: Chunk, removed: number): string => {
  const kind = chunk.reorgs.length > 0 ? "reorg" : chunk.rows > 0 ? "rows" : "watermark"
  const from = chunk.reorgs[0]?.firstBlock ?? chunk.firstBlock
  // A deletion whose replacement still waits for confirmations is about the blocks that were there.
  const isDeletion = from !== undefined && chunk.lastBlock !== undefined && chunk.lastBlock < from
  const to = isDeletion ? chunk.reorgs[0]?.replaced?.block : chunk.lastBlock
  return notification({ schema, table, kind, from, to, rows: chunk.rows, removed })
}
