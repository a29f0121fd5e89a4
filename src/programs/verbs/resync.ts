/** The verb `resync`: deletes the rows of a table and its watermark, so that the next start syncs it from the first block. */
import { Console, type Duration, Effect, Layer, Option, Ref, Schema, Stdio } from "effect"
import { Prompt } from "effect/cli"
import { FILLED_BY_FIRST } from "../../domain/bookkeeping/ownership.ts"
import { isRetryable } from "../../domain/retryable.ts"
import { layer as checkpoints } from "../../layers/Checkpoints.ts"
import { layer as pgPool } from "../../layers/PgPool.ts"
import { layer as tableLeases } from "../../layers/TableLeases.ts"
import { layer as tableSink } from "../../layers/TableSink.ts"
import { Checkpoints } from "../../services/Checkpoints.ts"
import { ConnectionConfig, DatabaseConfig } from "../../services/Config.ts"
import { type TableHeld, TableLeases, TableRejected } from "../../services/TableLeases.ts"
import { type Emptying, TableSink } from "../../services/TableSink.ts"
import { sendHeartbeats } from "../report/sendHeartbeats.ts"
import { withCommitGrace } from "../table/withCommitGrace.ts"
import { trackPending, trackPendingLayer, withTimeLimit } from "../timeLimit.ts"

export interface ResyncOptions {
  readonly table: string
  /** Do not ask. */
  readonly yes: boolean
  /** How long the database may take to answer, but for the deletion of rows. */
  readonly timeout: Duration.Duration
}

/** Nothing was changed, or it is not known whether; `reason` names the cause and the cure. */
export class ResyncRejected extends Schema.TaggedError<ResyncRejected>()("ResyncRejected", {
  reason: Schema.String,
  exitCode: Schema.Literals([1, 2])
}) {
  override get message() {
    return this.reason
  }
}

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

const reject = (exitCode: 1 | 2, reason: string) => new ResyncRejected({ reason, exitCode })

/** The services it needs: neither the config file nor the server. */
const resyncServices = tableSink.pipe(
  Layer.provideMerge(checkpoints),
  Layer.provideMerge(tableLeases),
  Layer.provideMerge(trackPendingLayer("database", pgPool))
)

const unchanged = (reason: string) => reject(1, `nothing was changed: ${reason}`)

/** A time limit for what comes before the first change; its failures report that nothing was changed. */
const beforeChanges =
  (timeout: Duration.Duration) =>
  <A, E extends { readonly _tag: string; readonly message: string }, R>(
    work: Effect.Effect<A, E, R>
  ) =>
    Effect.mapError(
      withTimeLimit(timeout, unchanged)(work),
      (error) => error._tag === "SqlError" ? unchanged(error.message) : error
    )

/** A transaction that the server refused was rolled back; the outcome of one whose connection was lost is not known. */
const forgetFailed = (isRolledBack: boolean, reason: string) =>
  isRolledBack
    ? unchanged(reason)
    : reject(1, `it is not known whether the watermark is forgotten: ${reason}. Run resync again; it may be repeated`)

/**
 * Forgets the watermark of a table and its history, then deletes its rows in steps; the next start syncs it from the first
 * block.
 *
 * After the first transaction every row is provisional, so it may end anywhere: the next start, or the next resync, deletes
 * what is left.
 */
export const resync = Effect.fn("resync")(function*({ table, timeout, yes }: ResyncOptions) {
  const leases = yield* TableLeases
  const sink = yield* TableSink
  const { watermark } = yield* beforeChanges(timeout)(trackPending("database")(loadCheckpoint(table)))
  const { databaseSchema } = yield* DatabaseConfig
  const { database: { database, host, port } } = yield* ConnectionConfig
  const place = `schema "${databaseSchema}" of database "${database}" at ${host}:${port}`
  const question = `Delete all rows of table "${table}" in ${place} (complete up to block ${
    watermark?.block ?? "none"
  }), to fill it again from the first block?`
  if (!yes && !(yield* ask(question))) return yield* Console.log("Nothing was changed.")
  yield* sendHeartbeats(Effect.void)
  const emptying = yield* trackPending("database")(sink.empty(table)).pipe(
    withTimeLimit(timeout, (reason) => forgetFailed(false, reason)),
    Effect.catchTag("SqlError", (error) => forgetFailed(!isRetryable(error), error.message)),
    Effect.catchTag(
      "TableHeld",
      ({ message }: TableHeld) =>
        reject(1, `${message}; stop that process first, and if it was killed already, wait six seconds`)
    ),
    Effect.tap(() => Effect.addFinalizer(() => Effect.ignore(leases.release(table))))
  )
  yield* Console.log(`Table "${table}": watermark ${emptying.watermark ?? "none"} and its history are forgotten.`)
  const deleted = yield* deleteAll(table, emptying)
  yield* Console.log(`Table "${table}": ${deleted} rows deleted; the next start fills it from the first block.`)
}, Effect.scoped)

/** As `resync`, with a connection of its own to the database. */
export const connectAndResync = Effect.fnUntraced(function*(options: ResyncOptions) {
  const services = yield* beforeChanges(options.timeout)(Layer.build(resyncServices))
  yield* Effect.provideContext(resync(options), services)
}, Effect.scoped)

/** The checkpoint of a table that a sync filled; fails where there is none. */
const loadCheckpoint = Effect.fnUntraced(function*(table: string) {
  const checkpoints = yield* Checkpoints
  const stored = Option.getOrUndefined(yield* checkpoints.load(table))
  if (stored === undefined) {
    return yield* reject(2, `there is no checkpoint of a table "${table}" here; check --table and DATABASE_SCHEMA`)
  }
  const { dataset, recorded, tableExists } = stored
  if (dataset === undefined && tableExists) {
    return yield* reject(2, new TableRejected({ table, reason: FILLED_BY_FIRST }).message)
  }
  if (dataset === undefined || recorded === undefined) {
    return yield* reject(
      2,
      `table "${table}" is gone and needs no resync: the next start creates it and fills it from the first block`
    )
  }
  return stored
})

const ask = Effect.fnUntraced(function*(message: string) {
  const stdio = yield* Stdio.Stdio
  if (!(yield* stdio.stdinIsTerminal)) {
    return yield* reject(2, "nothing was changed: there is no terminal to confirm on; pass --yes to skip the question")
  }
  return yield* Effect.catchTag(Prompt.run(Prompt.Confirm({ message })), "QuitError", () => Effect.succeed(false))
})

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
