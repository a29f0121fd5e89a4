/** The verb `rewind`. */
import { Effect, Logger, Schema } from "effect"
import { Command, Flag } from "effect/cli"
import { awaitSignal } from "../../layers/Signals.ts"
import { connectAndRewind } from "../verbs/rewind.ts"
import { answerUnlessStopped } from "../verbs/untilStopped.ts"
import { tableOfSchema, timeout, toggle } from "./flags.ts"
import { databaseSettings, withHelp } from "./settings.ts"

const isBlock = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))

export const rewindCommand = Command.make(
  "rewind",
  {
    table: tableOfSchema,
    toBlock: Flag.Int("to-block").pipe(
      Flag.withSchema(isBlock),
      Flag.withDescription("Newest block that may stay; the table goes back to its newest watermark at or below it"),
      Flag.map(BigInt)
    ),
    yes: toggle("yes", "Do not ask"),
    timeout: timeout("the database is waited for, but for its deletion of rows")
  },
  (options) =>
    answerUnlessStopped(connectAndRewind(options), awaitSignal).pipe(
      Effect.provide(databaseSettings),
      Effect.provideService(Logger.LogToStderr, true)
    )
).pipe(
  withHelp(
    "rewind",
    "Delete the newest blocks of a table that no process writes, so that the next start reads them again"
  )
)
