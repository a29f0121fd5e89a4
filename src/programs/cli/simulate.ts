/** The verb `simulate`. */
import { Effect } from "effect"
import { Command, Flag } from "effect/cli"
import { awaitSignal } from "../../layers/Signals.ts"
import { simulate } from "../verbs/simulate.ts"
import { untilStopped } from "../verbs/untilStopped.ts"
import { chain } from "./chainFlags.ts"
import { port, withDefault } from "./flags.ts"
import { loggingAt, withHelp } from "./settings.ts"

export const simulateCommand = Command.make(
  "simulate",
  {
    ...chain,
    host: Flag.String("host").pipe(
      withDefault("127.0.0.1", "Address to listen on; 0.0.0.0 for other machines and containers as well")
    ),
    flightPort: port("flight-port", 1602, "Port of Arrow Flight"),
    adminPort: port("admin-port", 1610, "Port of the Admin API")
  },
  (options) => untilStopped(simulate(options), awaitSignal).pipe(Effect.provide(loggingAt("info")))
).pipe(withHelp("simulate", "Run a Nozzle / Amp server with a simulated chain, for any Flight client"))
