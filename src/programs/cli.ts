/**
 * The verbs of the command line, one file each in `cli`. Without a verb it syncs, as the first ampsync did.
 */
import { NodeServices } from "@effect/platform-node"
import { Effect, Layer } from "effect"
import { CliConfig, Command, GlobalFlag } from "effect/cli"
import { VERSION } from "../domain/version.ts"
import { runMain } from "../layers/runMain.ts"
import { stopWithOutput } from "../layers/Signals.ts"
import { demoCommand } from "./cli/demo.ts"
import { doctorCommand } from "./cli/doctor.ts"
import { grantsCommand } from "./cli/grants.ts"
import { healthCommand } from "./cli/health.ts"
import { initCommand } from "./cli/init.ts"
import { planCommand } from "./cli/plan.ts"
import { presenter } from "./cli/presenter.ts"
import { publishCommand } from "./cli/publish.ts"
import { resyncCommand } from "./cli/resync.ts"
import { rewindCommand } from "./cli/rewind.ts"
import { simulateCommand } from "./cli/simulate.ts"
import { statusCommand } from "./cli/status.ts"
import { syncCommand } from "./cli/sync.ts"
import { verifyCommand } from "./cli/verify.ts"

const ampsync = syncCommand.pipe(
  Command.withSubcommands([
    initCommand,
    planCommand,
    doctorCommand,
    statusCommand,
    healthCommand,
    grantsCommand,
    resyncCommand,
    rewindCommand,
    verifyCommand,
    publishCommand,
    simulateCommand,
    demoCommand
  ])
)

/**
 * Without the flag of the log level: `RUST_LOG` sets it, and would override the flag. Without the wizard, which asks for flags alone:
 * what a verb needs most are settings.
 */
const cliConfig = CliConfig.layer({
  builtIns: GlobalFlag.BuiltIns.filter((flag) => flag !== GlobalFlag.LogLevel && flag !== GlobalFlag.Wizard)
})

/** Runs the verb that the command line names, and ends the process. */
export const main = (): void => {
  stopWithOutput()
  runMain(
    Command.run(ampsync, { version: VERSION }).pipe(
      Effect.provide(Layer.mergeAll(NodeServices.layer, cliConfig, presenter))
    )
  )
}
