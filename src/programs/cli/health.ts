/** The verb `health`. */
import { NodeHttpClient } from "@effect/platform-node"
import { Duration, Effect, Layer } from "effect"
import { Command } from "effect/cli"
import { healthSettings } from "../../layers/Config.ts"
import { awaitSignal } from "../../layers/Signals.ts"
import { answerUnlessStopped } from "../verbs/untilStopped.ts"
import { duration, toggle } from "./flags.ts"
import { loggingAt, withHelp } from "./settings.ts"

/** Nothing else of the program describes HTTP endpoints: every other start is shorter without it. */
const health = Effect.promise(() => import("../verbs/health.ts"))

export const healthCommand = Command.make(
  "health",
  {
    ready: toggle("ready", "Whether every table is synced as well, as /readyz has it"),
    timeout: duration("timeout", Duration.seconds(5), "How long the answer may take, such as 500ms, 10s or 2m", "5s")
  },
  (options) =>
    answerUnlessStopped(
      Effect.gen(function*() {
        const settings = yield* healthSettings
        const { health: check } = yield* health
        yield* check(settings, options)
      }),
      awaitSignal
    ).pipe(Effect.provide(Layer.merge(NodeHttpClient.layerNodeHttp, loggingAt("error"))))
).pipe(withHelp(
  "health",
  "Ask a process on this machine by its HEALTH_PORT whether it is alive; exit code 0 it is, 1 it is not, 2 a setting is wrong"
))
