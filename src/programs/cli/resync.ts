/** The verb `resync`. */
import { Effect, Logger } from "effect"
import { Command } from "effect/cli"
import { awaitSignal } from "../../layers/Signals.ts"
import { connectAndResync } from "../verbs/resync.ts"
import { answerUnlessStopped } from "../verbs/untilStopped.ts"
import { tableOfSchema, timeout, toggle } from "./flags.ts"
import { databaseSettings, withHelp } from "./settings.ts"

export const resyncCommand = Command.make(
  "resync",
  {
    table: tableOfSchema,
    yes: toggle("yes", "Do not ask"),
    timeout: timeout("the database is waited for, but for its deletion of rows")
  },
  (options) =>
    answerUnlessStopped(connectAndResync(options), awaitSignal).pipe(
      Effect.provide(databaseSettings),
      Effect.provideService(Logger.LogToStderr, true)
    )
).pipe(
  withHelp(
    "resync",
    "Delete all rows of a table that no process writes, so that the next start syncs it from the first block"
  )
)
