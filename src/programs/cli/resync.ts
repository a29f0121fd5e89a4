/** The verb `resync`. */
import { Effect, Logger, Option } from "effect"
import { Command, Flag } from "effect/cli"
import { awaitSignal } from "../../layers/Signals.ts"
import { connectAndResync } from "../verbs/resync.ts"
import { answerUnlessStopped } from "../verbs/untilStopped.ts"
import { tableOfSchema, timeout, toggle } from "./flags.ts"
import { databaseSettings, withHelp } from "./settings.ts"

export const resyncCommand = Command.make(
  "resync",
  {
    table: Flag.optional(tableOfSchema),
    all: toggle(
      "all",
      "Every table of DATABASE_SCHEMA, instead of one; one that fails does not keep the others from it"
    ),
    yes: toggle("yes", "Do not ask"),
    timeout: timeout("the database is waited for, but for its deletion of rows")
  },
  ({ table, ...options }) =>
    answerUnlessStopped(connectAndResync({ ...options, table: Option.getOrUndefined(table) }), awaitSignal).pipe(
      Effect.provide(databaseSettings),
      Effect.provideService(Logger.LogToStderr, true)
    )
).pipe(
  withHelp(
    "resync",
    "Delete all rows of a table that no process writes, so that the next start syncs it from the first block"
  )
)
