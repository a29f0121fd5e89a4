/** The option `--online` of the verb `resync`: fills tables again while readers and a sync use them. */
import { Console, Effect, Layer, Option, Ref, Schema } from "effect"
import type { Replaced } from "../../../services/TableExchange.ts"
import { TableExchange } from "../../../services/TableExchange.ts"
import { TableLeases } from "../../../services/TableLeases.ts"
import { beforeChanges, confirm, confirmAll, type Confirmation } from "../removal.ts"
import { requireTables, type ResyncOptions, TablesLeft } from "../resync.ts"
import { exchangeOnline, type OnlineStage, resyncTarget } from "./online.ts"
import { ownerOf, type ResyncTarget } from "./secondSync.ts"
import { isReplaced, OnlineResyncUnknown, unknownOutcome } from "./settle.ts"

/** It failed; the table is as it was. */
export class OnlineResyncFailed extends Schema.TaggedError<OnlineResyncFailed>()("OnlineResyncFailed", {
  table: Schema.String,
  /** Of the second table; undefined where there is none. */
  schema: Schema.UndefinedOr(Schema.String),
  reason: Schema.String
}) {
  override get message() {
    const advice = this.schema === undefined ? "" : `. ${continuing(this.schema)}`
    return `table "${this.table}" is as it was: ${this.reason}${advice}`
  }
}

/** Fails with the error for hosts and people. */
export const failOnline = (table: string) =>
  Effect.fnUntraced(function*(error: { readonly message: string }) {
    if (error instanceof OnlineResyncUnknown) return yield* error
    return yield* new OnlineResyncFailed({ table, schema: yield* schemaLeft(table), reason: error.message })
  })

/** The schema of the second table; undefined where the database has none. One that cannot be asked may have it. */
const schemaLeft = Effect.fnUntraced(function*(table: string) {
  const { hasSecond, schemaOf } = yield* TableExchange
  const found = yield* hasSecond(table).pipe(
    Effect.timeoutOption("3 seconds"),
    Effect.catch(() => Effect.succeed(Option.none<boolean>()))
  )
  return Option.getOrElse(found, () => true) ? schemaOf(table) : undefined
})

const continuing = (schema: string): string =>
  `Its second table stays in schema "${schema}": run resync --online again, which continues it, or DROP SCHEMA "${schema}" CASCADE`

const QUESTION = "from the first block into second tables, and replace the rows that differ, while they are used?"

/** Resyncs one table, after a question. */
export const resyncOnline = Effect.fn("resyncOnline")(function*(options: Confirmation) {
  const { table } = options
  const isConfirmed = yield* confirm(
    options,
    (watermark, place) =>
      Effect.succeed(
        `Fill table "${table}" in ${place} (complete up to block ${
          watermark ?? "none"
        }) again from the first block into a ` +
          "second table, and replace the rows that differ, while it is used?"
      )
  )
  if (!isConfirmed) return yield* Console.log("Nothing was changed.")
  yield* replaceOne(options)
})

/** As `resyncOnline` for every table of the schema, one after another, after one question. */
export const resyncAllOnline = Effect.fn("resyncAllOnline")(function*(options: Omit<Confirmation, "table">) {
  const tables = yield* confirmAll(
    options,
    (tables, place) => `Fill ${tables.join(", ")} in ${place} again, one after another, ${QUESTION}`
  )
  if (tables === undefined) return yield* Console.log("Nothing was changed.")
  const failed = yield* Effect.filter(tables, (table) =>
    replaceOne({ ...options, table }).pipe(
      Effect.as(false),
      Effect.catch(({ message }) => Effect.as(Console.error(`Table "${table}": ${message}`), true))
    ))
  if (failed.length > 0) return yield* new TablesLeft({ tables: failed, of: tables.length })
})

const replaceOne = Effect.fnUntraced(function*({ table, timeout }: Pick<Confirmation, "table" | "timeout">) {
  const stage = yield* Ref.make<OnlineStage>("begun")
  const target = yield* beforeChanges(timeout)(resyncTarget(table))
  const replaced = yield* exchangeOnline(target, stage, Console.log).pipe(
    Effect.catch(failOnline(table)),
    Effect.onInterrupt(() => Effect.flatMap(Ref.get(stage), (reached) => reportStop(target, reached)))
  )
  yield* Console.log(outcome(table, replaced))
})

const outcome = (table: string, replaced: Replaced | undefined): string => {
  if (replaced === undefined) {
    return `Table "${table}": its rows are replaced; the answer of the database, with their number, was lost.`
  }
  const { firstBlock, rowsAdded, rowsRemoved, watermark } = replaced
  const upTo = `it is complete up to block ${watermark?.block ?? "none"}`
  if (rowsAdded === 0 && rowsRemoved === 0) return `Table "${table}": no row differed; ${upTo}.`
  const from = firstBlock === undefined ? "" : `, from block ${firstBlock} on`
  return `Table "${table}": ${rowsRemoved} rows replaced by ${rowsAdded}${from}; ${upTo}.`
}

/** A stop waits for a transaction in flight for a moment only: what became of it is looked up. */
const reportStop = Effect.fnUntraced(function*(target: ResyncTarget, stage: OnlineStage) {
  const [{ schemaOf }, leases] = [yield* TableExchange, yield* TableLeases]
  const { name } = target.table
  if (stage === "begun") return yield* Console.log("Stopped; nothing was changed.")
  const asItWas = (schema: string | undefined) =>
    `Stopped; table "${name}" is as it was.${schema === undefined ? "" : ` ${continuing(schema)}.`}`
  if (stage === "filling") return yield* Console.log(asItWas(yield* schemaLeft(name)))
  const replaced = yield* isReplaced(ownerOf(target)).pipe(
    Effect.ensuring(Effect.ignore(leases.release(name))),
    Effect.timeoutOption("3 seconds"),
    Effect.catch(() => Effect.succeed(Option.none<boolean>()))
  )
  yield* Console.log(Option.match(replaced, {
    onNone: () => `Stopped; ${unknownOutcome(name, schemaOf(name))}.`,
    onSome: (isDone) => isDone ? `Stopped after the rows of table "${name}" were replaced.` : asItWas(schemaOf(name))
  }))
})

/** As `resyncOnline` or `resyncAllOnline`, on services that are built first, within the same time limit. */
export const connectAndResyncOnline = Effect.fnUntraced(
  function*<S, E extends { readonly _tag: string; readonly message: string }, R>(
    { all, table, ...options }: ResyncOptions,
    services: Layer.Layer<S, E, R>
  ) {
    yield* requireTables({ all, table })
    const built = yield* beforeChanges(options.timeout)(Layer.build(services))
    if (table === undefined) yield* Effect.provideContext(resyncAllOnline(options), built)
    else yield* Effect.provideContext(resyncOnline({ ...options, table }), built)
  },
  Effect.scoped
)
