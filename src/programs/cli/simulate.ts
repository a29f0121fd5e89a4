/** The verb `simulate`. */
import { Effect, Option } from "effect"
import { Command, Flag } from "effect/cli"
import { awaitSignal } from "../../layers/Signals.ts"
import { simulate } from "../verbs/simulate.ts"
import { untilStopped } from "../verbs/untilStopped.ts"
import { chain } from "./chainFlags.ts"
import { port, withDefault } from "./flags.ts"
import { loggingAt, withHelp } from "./settings.ts"

const httpUrl = (text: string): URL => {
  const url = new URL(text)
  if (!/^https?:$/.test(url.protocol)) throw new Error(url.protocol)
  return url
}

export const simulateCommand = Command.make(
  "simulate",
  {
    ...chain,
    host: Flag.String("host").pipe(
      withDefault("127.0.0.1", "Address to listen on; 0.0.0.0 for other machines and containers as well")
    ),
    evmRpc: Flag.String("evm-rpc").pipe(
      Flag.mapTryCatch(httpUrl, () => "an http or https URL such as http://localhost:8545"),
      Flag.withDescription(
        "JSON-RPC of an EVM node, such as Anvil, whose chain is served instead of a made-up one (default: none)"
      ),
      Flag.optional
    ),
    flightPort: port("flight-port", 1602, "Port of Arrow Flight"),
    adminPort: port("admin-port", 1610, "Port of the Admin API")
  },
  ({ evmRpc, ...options }) =>
    untilStopped(simulate({ ...options, evmRpc: Option.getOrUndefined(evmRpc) }), awaitSignal).pipe(
      Effect.provide(loggingAt("info"))
    )
).pipe(withHelp("simulate", "Run a Nozzle / Amp server with a simulated chain, for any Flight client"))
