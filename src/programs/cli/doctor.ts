/** The verb `doctor`. */
import { Duration, Effect, Layer, Logger } from "effect"
import { Command } from "effect/cli"
import { layer as screen } from "../../layers/Screen.ts"
import { awaitSignal } from "../../layers/Signals.ts"
import { doctor } from "../verbs/doctor/doctor.ts"
import { answerUnlessStopped } from "../verbs/untilStopped.ts"
import { duration, json } from "./flags.ts"
import { loggingAt, withHelp } from "./settings.ts"

export const doctorCommand = Command.make(
  "doctor",
  {
    json,
    timeout: duration(
      "timeout",
      Duration.seconds(20),
      "How long each check may take, such as 500ms, 10s or 2m",
      "20s"
    )
  },
  // Every warning is a check; between the lines of others it would be read twice.
  (options) =>
    answerUnlessStopped(doctor(options), awaitSignal).pipe(
      Effect.provide(Layer.merge(loggingAt("error"), screen(true))),
      Effect.provideService(Logger.LogToStderr, true)
    )
).pipe(withHelp(
  "doctor",
  "Check everything that a start needs, and change nothing; exit code 0 no problem, 1 at least one problem"
))
