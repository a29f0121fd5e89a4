/** The verb `demo`. */
import { Effect, Layer } from "effect"
import { Command } from "effect/cli"
import { demo } from "../../demo/demo.ts"
import { awaitSignal } from "../../layers/Signals.ts"
import { untilStopped } from "../verbs/untilStopped.ts"
import { chain } from "./chainFlags.ts"
import { toggle } from "./flags.ts"
import { loggingAt, screen, withHelp } from "./settings.ts"

export const demoCommand = Command.make(
  "demo",
  {
    ...chain,
    untilSynced: toggle(
      "until-synced",
      "End when everything has arrived, after comparing every row; exit code 1 where they differ"
    )
  },
  // The demo prints itself what it does, for people to read wherever it goes.
  (options) =>
    untilStopped(demo(options), awaitSignal).pipe(
      Effect.provide(Layer.merge(loggingAt("warn", "pretty"), screen))
    )
).pipe(withHelp("demo", "Watch a simulated chain arrive in a PostgreSQL from npm"))
