/** The verb `status`. */
import { Duration, Effect, Layer, Logger } from "effect"
import { Command } from "effect/cli"
import { layer as screen } from "../../layers/Screen.ts"
import { awaitSignal } from "../../layers/Signals.ts"
import { status } from "../verbs/status/status.ts"
import { answerUnlessStopped, untilStopped } from "../verbs/untilStopped.ts"
import { duration, json, toggle } from "./flags.ts"
import { databaseSettings, withHelp } from "./settings.ts"

export const statusCommand = Command.make(
  "status",
  {
    json,
    watch: toggle("watch", "Again every two seconds, until it is stopped"),
    timeout: duration(
      "timeout",
      Duration.seconds(10),
      "How long the database may take for an answer, such as 500ms, 10s or 2m",
      "10s"
    )
  },
  (options) =>
    (options.watch
      ? Effect.asVoid(untilStopped(status(options), awaitSignal))
      : answerUnlessStopped(status(options), awaitSignal)).pipe(
        Effect.provide(Layer.merge(databaseSettings, screen(true))),
        Effect.provideService(Logger.LogToStderr, true)
      )
).pipe(withHelp(
  "status",
  "Print from the database alone how each table is; exit code 0 all is well, 3 something needs attention, 1 it cannot be "
    + "read, 2 a setting is wrong"
))
