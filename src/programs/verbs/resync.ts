/** The verb `resync`: deletes the rows of a table and its watermark, so that the next start syncs it from the first block. */
import { Console, Effect, Ref, Schema } from "effect"
import { TableLeases } from "../../services/TableLeases.ts"
import { type Emptying, TableSink } from "../../services/TableSink.ts"
import { sendHeartbeats } from "../report/sendHeartbeats.ts"
import { withCommitGrace } from "../table/withCommitGrace.ts"
import { changing, confirm, type Confirmation, connectFirst } from "./removal.ts"

/** It failed after the watermark was forgotten. */
export class ResyncFailed extends Schema.TaggedError<ResyncFailed>()("ResyncFailed", {
  table: Schema.String,
  /** Of `rows`, as far as is known. */
  deleted: Schema.Number,
  rows: Schema.BigInt,
  reason: Schema.String
}) {
  override get message() {
    return `the watermark of table "${this.table}" is forgotten, but not all rows are deleted (${this.deleted} of ${this.rows} ` +
      `so far): ${this.reason}. Run resync again, or start the sync: both delete what is left`
  }
}

/**
 * Forgets the watermark of a table and its history, then deletes its rows in steps; the next start syncs it from the first
 * block.
 *
 * After the first transaction every row is provisional, so it may end anywhere: the next start, or the next resync, deletes
 * what is left.
 */
export const resync = Effect.fn("resync")(function*(options: Confirmation) {
  const leases = yield* TableLeases
  const sink = yield* TableSink
  const { table, timeout } = options
  const isConfirmed = yield* confirm(
    options,
    (watermark, place) =>
      `Delete all rows of table "${table}" in ${place} (complete up to block ${
        watermark ?? "none"
      }), to fill it again from ` +
      "the first block?"
  )
  if (!isConfirmed) return yield* Console.log("Nothing was changed.")
  yield* sendHeartbeats(Effect.void)
  const emptying = yield* changing("resync", "the watermark is forgotten", timeout)(sink.empty(table)).pipe(
    Effect.tap(() => Effect.addFinalizer(() => Effect.ignore(leases.release(table))))
  )
  yield* Console.log(`Table "${table}": watermark ${emptying.watermark ?? "none"} and its history are forgotten.`)
  const deleted = yield* deleteAll(table, emptying)
  yield* Console.log(`Table "${table}": ${deleted} rows deleted; the next start fills it from the first block.`)
}, Effect.scoped)

/** As `resync`, with a connection of its own to the database. */
export const connectAndResync = (options: Confirmation) => connectFirst(options.timeout, resync(options))

const deleteAll = Effect.fnUntraced(function*(table: string, { deleteSome, rows }: Emptying) {
  const total = yield* Ref.make(0)
  const step = Effect.gen(function*() {
    const removed = yield* deleteSome
    const sum = yield* Ref.updateAndGet(total, (n) => n + removed)
    if (removed > 0) yield* Console.log(`  ${sum} of ${rows} rows deleted`)
    return removed
  })
  // A step that is interrupted locks the table until the server notices, and the next start would have to wait for that.
  yield* Effect.repeat(withCommitGrace(step), { while: (removed) => removed > 0 }).pipe(
    Effect.onInterrupt(() =>
      Effect.flatMap(
        Ref.get(total),
        (sum) => Console.log(`Stopped after ${sum} rows; the next start deletes the others and fills the table.`)
      )
    ),
    Effect.catch(({ message }) =>
      Effect.flatMap(Ref.get(total), (deleted) => new ResyncFailed({ table, deleted, rows, reason: message }))
    )
  )
  return yield* Ref.get(total)
})
