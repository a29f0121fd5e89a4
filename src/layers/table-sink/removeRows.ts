/** Deletes rows of a table outside of a chunk: all of them, in steps, or those above a watermark. */
import { Effect, Option, Ref } from "effect"
import type { WriterLease } from "../../domain/bookkeeping/WriterLease.ts"
import { type Checkpoint, emptyCheckpoint } from "../../domain/chain/Checkpoint.ts"
import type { ReorgRecord } from "../../domain/chain/Chunk.ts"
import { upTo, type Watermark } from "../../domain/chain/watermarks.ts"
import { blockRangesIndex } from "../../domain/postgres/table/deferredIndexes.ts"
import { quoteIdentifier } from "../../domain/postgres/table/identifiers.ts"
import { qualifiedName } from "../../domain/postgres/table/tableDdl.ts"
import type { Checkpoints } from "../../services/Checkpoints.ts"
import { isLocked, type PgPool, runOn } from "../../services/PgPool.ts"
import { type TableLeases, TableRejected } from "../../services/TableLeases.ts"
import type { Emptying, TableSink } from "../../services/TableSink.ts"
import { deletion, type PlacedTable, rowsLeft, undeletable, UNFILTERED } from "./deletion.ts"

/** A transaction of about a second, so that little is lost when it is interrupted. */
const STEP_ROWS = 50_000

/** Longer than elsewhere, because nobody waits for this connection: a session that locks rows for a while must not end it. */
const LOCK_TIMEOUT = "30s"

/** The methods of `TableSink` that delete rows. */
export const makeRemoval = (
  pool: PgPool["Service"],
  leases: TableLeases["Service"],
  checkpoints: Checkpoints["Service"],
  schema: string
): Pick<TableSink["Service"], "trim" | "rewind" | "empty"> => {
  const run = runOn(pool.sql)

  /** Acquires the lease of a table for its recorded dataset, and runs `work` in the same transaction. */
  const leasing = <A, E>(table: string, work: (lease: WriterLease, positionColumn: string) => Effect.Effect<A, E>) =>
    Effect.gen(function*() {
      const { dataset, recorded } = Option.getOrUndefined(yield* checkpoints.load(table)) ?? {}
      if (dataset === undefined || recorded === undefined) {
        return yield* new TableRejected({
          table,
          reason: `schema "${schema}" has no checkpoint of it, so it is not synced; check the name and DATABASE_SCHEMA`
        })
      }
      const attempt = leases.transaction(
        table,
        Effect.flatMap(leases.acquire({ table, dataset }), (lease) => work(lease, recorded.positionColumn))
      )
      // PostgreSQL may finish the build of an index for a process that is gone.
      const endBuild = Effect.orElseSucceed(leases.evictBuild(table), () => 0)
      return yield* Effect.catch(
        attempt,
        (error) =>
          isLocked(error)
            ? Effect.flatMap(endBuild, (ended) => ended > 0 ? attempt : Effect.fail(error))
            : Effect.fail(error)
      )
    })

  const exists = (relation: string) =>
    run<{ exists: boolean }>("SELECT to_regclass($1) IS NOT NULL AS exists", [
      qualifiedName({ schema, table: relation })
    ]).pipe(Effect.map(([row]) => row?.exists === true))

  const trim = Effect.fn("TableSink.trim")(function*(table: string) {
    return yield* leasing(table, (lease, positionColumn) =>
      Effect.gen(function*() {
        if (!(yield* exists(table))) return 0
        return yield* cut(lease, positionColumn, lease.checkpoint, undefined)
      })).pipe(Effect.ensuring(Effect.ignore(leases.release(table))))
  })

  const rewind = Effect.fn("TableSink.rewind")(function*(table: string, toBlock: bigint) {
    return yield* leasing(table, (lease, positionColumn) =>
      Effect.gen(function*() {
        const { history, unverifiedFrom } = lease.checkpoint
        const [before, kept] = [history.at(-1), upTo(history, toBlock)]
        const watermark = kept.at(-1)
        if (before === undefined || watermark === undefined || !(yield* exists(table))) {
          return yield* new TableRejected({ table, reason: cannotRewind(toBlock, history[0]) })
        }
        const isMarked = unverifiedFrom !== undefined && unverifiedFrom <= watermark.block
        const checkpoint = { ...lease.checkpoint, history: kept, unverifiedFrom: isMarked ? unverifiedFrom : undefined }
        const isSame = before.block === watermark.block
        const entry = isSame ? undefined : { firstBlock: watermark.block + 1n, replaced: before, newHash: undefined }
        return { before, watermark, rowsRemoved: yield* cut(lease, positionColumn, checkpoint, entry) }
      })).pipe(
        Effect.catchTag("Fenced", (error) => Effect.die(error)),
        Effect.ensuring(Effect.ignore(leases.release(table)))
      )
  })

  /** Deletes the rows above the watermark of `checkpoint`, and advances to it. */
  const cut = Effect.fnUntraced(function*(
    lease: WriterLease,
    positionColumn: string,
    checkpoint: Checkpoint,
    entry: ReorgRecord | undefined
  ) {
    yield* leases.fence(lease)
    const rowsRemoved = yield* deleteAbove(
      { schema, table: lease.table, positionColumn },
      checkpoint.history.at(-1)?.block
    )
    yield* checkpoints.advance(lease, {
      checkpoint,
      reorgs: entry === undefined ? [] : [entry],
      rowsAdded: 0,
      rowsRemoved,
      provisionalRows: 0n,
      blockTimestamp: undefined
    })
    return rowsRemoved
  })

  const deleteAbove = Effect.fnUntraced(function*(table: PlacedTable, watermark: bigint | undefined) {
    const from = watermark === undefined ? "all" : watermark + 1n
    const { before, remove } = deletion(table, from)
    for (const statement of before) yield* run(statement)
    const result = yield* pool.sql.unsafe(remove).raw
    yield* rejectRowsLeft(table, from)
    return (result as { rowCount: number | null }).rowCount ?? 0
  })

  const rejectRowsLeft = Effect.fnUntraced(function*(table: PlacedTable, from: bigint | "all") {
    const [left] = yield* run<{ exists: boolean }>(rowsLeft(table, from))
    if (left?.exists === true) return yield* undeletable(table, from)
  })

  const empty = Effect.fn("TableSink.empty")(function*(table: string) {
    const { before, lease, positionColumn } = yield* leasing(
      table,
      (before, positionColumn) =>
        Effect.map(checkpoints.forget(before, before.rows), (lease) => ({ before, lease, positionColumn }))
    )
    const held = yield* Ref.make(lease)
    const last = yield* Ref.make<bigint | undefined>(undefined)
    const emptying: Emptying = {
      watermark: before.checkpoint.history.at(-1)?.block,
      rows: before.rows,
      deleteSome: leases.transaction(table, deleteStep(positionColumn, held, last)).pipe(
        Effect.tap(({ lease, upTo }) => Effect.andThen(Ref.set(held, lease), Ref.set(last, upTo))),
        Effect.map(({ removed }) => removed)
      )
    }
    return emptying
  })

  const deleteStep = Effect.fnUntraced(function*(
    positionColumn: string,
    held: Ref.Ref<WriterLease>,
    last: Ref.Ref<bigint | undefined>
  ) {
    const before = yield* Ref.get(held)
    const { table } = before
    const upTo = yield* Ref.get(last)
    yield* run(`SET LOCAL lock_timeout TO '${LOCK_TIMEOUT}'`)
    // Before the deletion: a process that lost the lease must neither wait for the new holder's rows, nor lock them.
    yield* leases.fence(before)
    yield* run(UNFILTERED)
    const isThere = yield* exists(table)
    const { deletedUpTo, removed } = isThere
      ? yield* deleteFrom(table, positionColumn, upTo)
      : { removed: 0n, deletedUpTo: undefined }
    // Only in the last step: a check after each one would scan all deleted rows every time.
    if (isThere && removed === 0n) yield* rejectRowsLeft({ schema, table, positionColumn }, "all")
    const left = before.rows > removed && removed > 0n ? before.rows - removed : 0n
    const lease = yield* checkpoints.advance(before, {
      checkpoint: emptyCheckpoint,
      reorgs: [],
      rowsAdded: 0,
      rowsRemoved: Number(before.rows - left),
      provisionalRows: left,
      blockTimestamp: undefined
    })
    return { lease, removed: Number(removed), upTo: deletedUpTo ?? upTo }
  })

  /** `upTo` is the end of the last step: an index scan from the start would read all rows deleted before. */
  const deleteFrom = Effect.fnUntraced(function*(table: string, positionColumn: string, upTo: bigint | undefined) {
    const [position, name] = [quoteIdentifier(positionColumn), qualifiedName({ schema, table })]
    // Without an index in the order of the blocks each step would sort all rows that are left.
    if (yield* exists(blockRangesIndex(table))) {
      const all = yield* pool.sql.unsafe(`DELETE FROM ${name}`).raw
      return { removed: BigInt((all as { rowCount: number | null }).rowCount ?? 0), deletedUpTo: undefined }
    }
    const from = upTo === undefined ? "" : `WHERE ${position} >= ${upTo}`
    const pick = `SELECT tableoid, ctid, ${position} AS position FROM ${name} ${from} ORDER BY 3 LIMIT ${STEP_ROWS}`
    // A ctid is unique only within a partition; the positions leave out partitions without such rows.
    const [gone] = yield* run<{ removed: string; up_to: string | null }>(
      `WITH picked AS MATERIALIZED (${pick}), gone AS (
         DELETE FROM ${name} t WHERE ctid = ANY(ARRAY(SELECT ctid FROM picked))
           AND EXISTS (SELECT FROM picked WHERE picked.tableoid = t.tableoid AND picked.ctid = t.ctid)
           AND ${position} BETWEEN (SELECT min(position) FROM picked) AND (SELECT max(position) FROM picked)
         RETURNING 1
       ) SELECT (SELECT count(*) FROM gone) AS removed, (SELECT max(position) FROM picked) AS up_to`
    )
    return { removed: BigInt(gone!.removed), deletedUpTo: gone!.up_to === null ? undefined : BigInt(gone!.up_to) }
  })

  return { trim, rewind, empty }
}

const cannotRewind = (toBlock: bigint, oldest: Watermark | undefined): string =>
  oldest === undefined
    ? "nothing of it is complete, so there is nothing to rewind"
    : `no watermark at or below block ${toBlock} is recorded; the oldest is that of block ${oldest.block}. Rewind to that ` +
      "one, or resync the table"
