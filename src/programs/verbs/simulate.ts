/** The verb `simulate`: a simulated server for any Flight client. */
import { Console, Effect, Schedule, Stdio } from "effect"
import { tip } from "../../demo/display/demoText.ts"
import { plain } from "../../domain/display/Line.ts"
import { type Simulator, type SimulatorOptions, startSimulator } from "../../simulator/Simulator.ts"
import type { NodeNeedsAmp, SimulatorError } from "../../simulator/SimulatorError.ts"

/** The addresses of the simulator, its datasets and a query to try. */
const startText = (simulator: Simulator, options: SimulatorOptions): string => {
  const dataset = options.rawName ?? "anvil"
  const table = simulator.dialect === "amp" ? `"_/${dataset}@${options.version ?? "0.1.0"}".logs` : `${dataset}.logs`
  const blocks = options.evmRpc === undefined
    ? `${simulator.chain.tip + 1n} blocks`
    : `the chain of the node at ${options.evmRpc.origin}, as blocks`
  return [
    `Simulating ${
      simulator.dialect === "amp" ? "an amp" : "a nozzle"
    } server: ${blocks} of network "${simulator.network}".`,
    `  Arrow Flight  ${simulator.flightUrl}`,
    `  Admin API     ${simulator.adminUrl}`,
    `  Datasets      ${dataset} (raw) and ${
      options.derivedName ?? "example"
    }, each with tables blocks, transactions, logs`,
    `  Try           SELECT * FROM ${table} SETTINGS stream = true`
  ].join("\n")
}

/** Without a terminal: writing now and then is also how a closed pipe is noticed. */
const printTip = Effect.fnUntraced(function*({ chain }: Simulator) {
  const stdio = yield* Stdio.Stdio
  if (yield* stdio.stdoutIsTerminal) return
  const line = Effect.suspend(() => Console.log(plain(tip(chain.tip, chain.reorgs))))
  yield* Effect.repeat(Effect.delay(line, "10 seconds"), Schedule.forever)
})

/** Runs the simulator alone until it is interrupted. */
export const simulate = (
  options: SimulatorOptions
): Effect.Effect<never, NodeNeedsAmp | SimulatorError, Stdio.Stdio> =>
  startSimulator(options).pipe(
    Effect.tap((simulator) => Console.log(startText(simulator, options))),
    Effect.tap(printTip),
    Effect.andThen(Effect.never),
    Effect.scoped
  )
