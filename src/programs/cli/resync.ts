/** The verb `resync`. */
import { Effect, Logger, Option } from "effect"
import { Command, Flag } from "effect/cli"
import { awaitSignal } from "../../layers/Signals.ts"
import { exchangeServices } from "../ampsync.ts"
import { connectAndResync } from "../verbs/resync.ts"
import { connectAndResyncOnline } from "../verbs/resync/resyncOnline.ts"
import { answerUnlessStopped } from "../verbs/untilStopped.ts"
import { tableOfSchema, timeout, toggle } from "./flags.ts"
import { allSettings, databaseSettings, withHelp } from "./settings.ts"

export const resyncCommand = Command.make(
  "resync",
  {
    table: Flag.optional(tableOfSchema),
    all: toggle(
      "all",
      "Every table of DATABASE_SCHEMA, instead of one; one that fails does not keep the others from it"
    ),
    online: toggle(
      "online",
      "Fill a second table and then replace the rows that differ, while readers and a sync use the table; reads the settings " +
        "of a sync, and the config"
    ),
    yes: toggle("yes", "Do not ask"),
    timeout: timeout("the database is waited for, but for its changes of rows")
  },
  Effect.fnUntraced(
    function*({ online, table, ...others }) {
      const options = { ...others, table: Option.getOrUndefined(table) }
      if (!online) {
        return yield* Effect.provide(answerUnlessStopped(connectAndResync(options), awaitSignal), databaseSettings)
      }
      yield* Effect.provide(
        answerUnlessStopped(connectAndResyncOnline(options, exchangeServices), awaitSignal),
        allSettings
      )
    },
    Effect.provideService(Logger.LogToStderr, true)
  )
).pipe(
  withHelp(
    "resync",
    "Fill a table again from the first block: delete all rows of one that no process writes, so that the next start does it, or " +
      "do it at once while it is used (--online)"
  )
)
