/** What the verbs that delete rows share: their services, the question before it, and failures that report how far it came. */
import { type Duration, Effect, Layer, Option, Schema, Stdio, Terminal } from "effect"
import { Prompt } from "effect/cli"
import type { SqlError } from "effect/sql"
import { FILLED_BY_FIRST } from "../../domain/bookkeeping/ownership.ts"
import { isRetryable } from "../../domain/retryable.ts"
import { layer as checkpoints } from "../../layers/Checkpoints.ts"
import { layer as pgPool } from "../../layers/PgPool.ts"
import { layer as tableLeases } from "../../layers/TableLeases.ts"
import { layer as tableSink } from "../../layers/TableSink.ts"
import { Checkpoints } from "../../services/Checkpoints.ts"
import { databasePlace } from "../../services/Config.ts"
import { type TableHeld, TableRejected } from "../../services/TableLeases.ts"
import { trackPending, trackPendingLayer, withTimeLimit } from "../timeLimit.ts"

/** Nothing was changed, or it is not known whether; `reason` names the cause and the cure. */
export class RemovalRejected extends Schema.TaggedError<RemovalRejected>()("RemovalRejected", {
  reason: Schema.String,
  exitCode: Schema.Literals([1, 2])
}) {
  override get message() {
    return this.reason
  }
}

export const reject = (exitCode: 1 | 2, reason: string) => new RemovalRejected({ reason, exitCode })

const unchanged = (reason: string) => reject(1, `nothing was changed: ${reason}`)

/** What they need: neither the config file nor the server. */
export const databaseServices = tableSink.pipe(
  Layer.provideMerge(checkpoints),
  Layer.provideMerge(tableLeases),
  Layer.provideMerge(trackPendingLayer("database", pgPool))
)

/** Runs `removal` on a connection of its own to the database. */
export const connectFirst = Effect.fnUntraced(
  function*<A, E, R>(timeout: Duration.Duration, removal: Effect.Effect<A, E, R>) {
    const connected = yield* beforeChanges(timeout)(Layer.build(databaseServices))
    return yield* Effect.provideContext(removal, connected)
  },
  Effect.scoped
)

/** A time limit for what comes before the first change; its failures report that nothing was changed. */
export const beforeChanges =
  (timeout: Duration.Duration) =>
  <A, E extends { readonly _tag: string; readonly message: string }, R>(
    work: Effect.Effect<A, E, R>
  ) =>
    Effect.mapError(
      withTimeLimit(timeout, unchanged)(work),
      (error) => error._tag === "SqlError" ? unchanged(error.message) : error
    )

/** The checkpoint of a table that a sync filled; fails where there is none. */
const loadCheckpoint = Effect.fnUntraced(function*(table: string) {
  const checkpoints = yield* Checkpoints
  const stored = Option.getOrUndefined(yield* checkpoints.load(table))
  if (stored === undefined) {
    return yield* reject(
      2,
      `there is no checkpoint of a table "${table}" in ${yield* databasePlace}; check --table and DATABASE_SCHEMA`
    )
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

export interface Confirmation {
  readonly table: string
  /** Do not ask. */
  readonly yes: boolean
  /** How long the database may take to answer, but for the deletion of rows. */
  readonly timeout: Duration.Duration
}

/** Asks whether to go on, unless `yes`; `question` is given the table's watermark, and its schema and database by name. */
export const confirm = Effect.fnUntraced(function*<R>(
  { table, timeout, yes }: Confirmation,
  question: (watermark: bigint | undefined, place: string) => Effect.Effect<string, SqlError.SqlError, R>
) {
  const { watermark } = yield* beforeChanges(timeout)(trackPending("database")(loadCheckpoint(table)))
  if (yes) return true
  const words = question(watermark?.block, yield* databasePlace)
  return yield* ask(yield* beforeChanges(timeout)(trackPending("database")(words)))
})

/** As `confirm` for every table of the schema that a sync filled; returns them, or undefined where the answer is no. */
export const confirmAll = Effect.fnUntraced(function*(
  { timeout, yes }: Omit<Confirmation, "table">,
  question: (tables: ReadonlyArray<string>, place: string) => string
) {
  const checkpoints = yield* Checkpoints
  const tables = yield* beforeChanges(timeout)(trackPending("database")(checkpoints.filledTables))
  const where = yield* databasePlace
  if (tables.length === 0) return yield* reject(2, `there is no table of a sync in ${where}; check DATABASE_SCHEMA`)
  return yes || (yield* ask(question(tables, where))) ? tables : undefined
})

const ask = Effect.fnUntraced(function*(message: string) {
  const stdio = yield* Stdio.Stdio
  if (!(yield* stdio.stdinIsTerminal)) {
    return yield* reject(2, "nothing was changed: there is no terminal to confirm on; pass --yes to skip the question")
  }
  const { display } = yield* Terminal.Terminal
  return yield* Prompt.run(Prompt.Confirm({ message })).pipe(
    // The prompt of a terminal that was left stays on its line.
    Effect.tapError(() => Effect.ignore(display("\n"))),
    Effect.catchTag("QuitError", () => unchanged("the question was interrupted"))
  )
})

/**
 * Runs the transaction that makes the change, within `timeout` if given; `change` completes "it is not known whether". A refused
 * transaction was rolled back; after a lost connection its outcome is unknown.
 */
export const changing =
  (verb: string, change: string, timeout?: Duration.Duration) =>
  <A, R>(transaction: Effect.Effect<A, SqlError.SqlError | TableHeld | TableRejected, R>) => {
    const unknown = (reason: string) =>
      reject(1, `it is not known whether ${change}: ${reason}. Run ${verb} again; it may be repeated`)
    const asked = trackPending("database")(transaction)
    return (timeout === undefined ? asked : withTimeLimit(timeout, unknown)(asked)).pipe(
      Effect.catchTag("SqlError", (error) => isRetryable(error) ? unknown(error.message) : unchanged(error.message)),
      Effect.catchTag(
        "TableHeld",
        ({ message }) =>
          reject(1, `${message}; stop that process first, and if it was killed already, wait six seconds`)
      )
    )
  }
