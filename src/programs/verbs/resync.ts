/** The verb `resync`: deletes the rows of a table and its watermark, so that the next start syncs it from the first block. */
import { Console, Effect, Ref, Schema } from "effect"
import type { SqlError } from "effect/sql"
import { type TableHeld, TableLeases, type TableRejected } from "../../services/TableLeases.ts"
import { type Emptying, TableSink } from "../../services/TableSink.ts"
import { sendHeartbeats } from "../report/sendHeartbeats.ts"
import { withCommitGrace } from "../table/withCommitGrace.ts"
import { changing, confirm, confirmAll, type Confirmation, connectFirst, reject } from "./removal.ts"

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

/** Some tables of a `resync` of all were not emptied, or not known to be; each is reported already. */
export class TablesLeft extends Schema.TaggedError<TablesLeft>()("TablesLeft", {
  tables: Schema.Array(Schema.String),
  of: Schema.Number
}) {
  override get message() {
    return `${this.tables.length} of ${this.of} tables are not resynced: ${this.tables.join(", ")}`
  }
}

/** Deletes all rows of one table, after a question. */
export const resync = Effect.fn("resync")(function*(options: Confirmation) {
  const { table } = options
  const isConfirmed = yield* confirm(
    options,
    (watermark, place) =>
      Effect.succeed(
        `Delete all rows of table "${table}" in ${place} (complete up to block ${
          watermark ?? "none"
        }), to fill it again from ` +
          "the first block?"
      )
  )
  if (!isConfirmed) return yield* Console.log("Nothing was changed.")
  yield* sendHeartbeats(Effect.void)
  yield* empty(options)
}, Effect.scoped)

/** As `resync` for every table of the schema, after one question. A table that fails does not keep the others from it. */
export const resyncAll = Effect.fn("resyncAll")(function*(options: Omit<Confirmation, "table">) {
  const tables = yield* confirmAll(
    options,
    (tables, place) =>
      `Delete all rows of ${tables.length === 1 ? "the table" : `the ${tables.length} tables`} ${
        tables.join(", ")
      } in ${place}, ` +
      "to fill them again from the first block?"
  )
  if (tables === undefined) return yield* Console.log("Nothing was changed.")
  yield* sendHeartbeats(Effect.void)
  const failed = yield* Effect.filter(tables, (table) =>
    empty({ ...options, table }).pipe(
      Effect.as(false),
      Effect.catch(({ message }) => Effect.as(Console.error(`Table "${table}": ${message}`), true))
    ))
  if (failed.length > 0) return yield* new TablesLeft({ tables: failed, of: tables.length })
}, Effect.scoped)

/** As `emptyTable`, with what is known of it where it fails. */
const empty = ({ table, timeout }: Pick<Confirmation, "table" | "timeout">) =>
  emptyTable(table, Console.log, changing("resync", "the watermark is forgotten", timeout))

/**
 * Forgets the watermark of a table and its history, then deletes its rows in steps; the next start syncs it from the first
 * block. `forgetting` may change how the first of its transactions fails.
 *
 * After the first transaction every row is provisional, so it may end anywhere: the next start, or the next resync, deletes
 * what is left.
 */
export const emptyTable = Effect.fnUntraced(
  function*<E, R>(
    table: string,
    report: (line: string) => Effect.Effect<void>,
    forgetting: (
      transaction: Effect.Effect<Emptying, SqlError.SqlError | TableHeld | TableRejected>
    ) => Effect.Effect<Emptying, E, R>
  ) {
    const [leases, sink] = [yield* TableLeases, yield* TableSink]
    const emptying = yield* forgetting(sink.empty(table)).pipe(
      Effect.tap(() => Effect.addFinalizer(() => Effect.ignore(leases.release(table))))
    )
    yield* report(`Table "${table}": watermark ${emptying.watermark ?? "none"} and its history are forgotten.`)
    const deleted = yield* deleteAll(table, emptying, report)
    yield* report(`Table "${table}": ${deleted} rows deleted; the next start fills it from the first block.`)
    return deleted
  },
  Effect.scoped
)

export interface ResyncOptions extends Omit<Confirmation, "table"> {
  readonly table: string | undefined
  /** Every table of the schema, instead of one. */
  readonly all: boolean
}

/** Exactly one of both must be given. */
export const requireTables = Effect.fnUntraced(function*({ all, table }: Pick<ResyncOptions, "all" | "table">) {
  if (all && table !== undefined) return yield* reject(2, "--table and --all exclude each other: name one of them")
  if (!all && table === undefined) {
    return yield* reject(2, "name a table with --table, or all tables of the schema with --all")
  }
})

/** As `resync` or `resyncAll`, with a connection of its own to the database. */
export const connectAndResync = Effect.fnUntraced(function*({ all, table, ...options }: ResyncOptions) {
  yield* requireTables({ all, table })
  if (table === undefined) yield* connectFirst(options.timeout, resyncAll(options))
  else yield* connectFirst(options.timeout, resync({ ...options, table }))
})

const deleteAll = Effect.fnUntraced(function*(
  table: string,
  { deleteSome, rows }: Emptying,
  report: (line: string) => Effect.Effect<void>
) {
  const total = yield* Ref.make(0)
  const step = Effect.gen(function*() {
    const removed = yield* deleteSome
    const sum = yield* Ref.updateAndGet(total, (n) => n + removed)
    if (removed > 0) yield* report(`  ${sum} of ${rows} rows deleted`)
    return removed
  })
  // A step that is interrupted locks the table until the server notices, and the next start would have to wait for that.
  yield* Effect.repeat(withCommitGrace(step), { while: (removed) => removed > 0 }).pipe(
    Effect.onInterrupt(() =>
      Effect.flatMap(
        Ref.get(total),
        (sum) => report(`Stopped after ${sum} rows; the next start deletes the others and fills the table.`)
      )
    ),
    Effect.catch(({ message }) =>
      Effect.flatMap(Ref.get(total), (deleted) => new ResyncFailed({ table, deleted, rows, reason: message }))
    )
  )
  return yield* Ref.get(total)
})
