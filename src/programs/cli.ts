/**
 * The verbs of the command line and their options. Without a verb it syncs, as the first ampsync did.
 */
import { NodeServices } from "@effect/platform-node"
import { Duration, Effect, Layer, Logger, Schema } from "effect"
import { CliConfig, Command, Flag, GlobalFlag } from "effect/cli"
import { demo } from "../demo/demo.ts"
import { settingsHelp } from "../domain/settings/help.ts"
import type { Verb } from "../domain/settings/Setting.ts"
import { VERSION } from "../domain/version.ts"
import { databaseLayer, layer as settingsLayer, logFilter } from "../layers/Config.ts"
import { layer as healthApi } from "../layers/HealthApi.ts"
import { layer as loggers, layerAt } from "../layers/Logging.ts"
import { runMain } from "../layers/runMain.ts"
import { awaitSignal, stopWithOutput } from "../layers/Signals.ts"
import { layer as syncStatus } from "../layers/SyncStatus.ts"
import { services } from "./ampsync.ts"
import { RESPONSE_TIMEOUT } from "./table/tryTable.ts"
import { plan, PlanFailed } from "./verbs/plan.ts"
import { connectAndResync } from "./verbs/resync.ts"
import { simulate } from "./verbs/simulate.ts"
import { sync } from "./verbs/sync.ts"
import { withTimeLimit } from "./verbs/timeLimit.ts"
import { answerUnlessStopped, untilStopped } from "./verbs/untilStopped.ts"

const logging = Layer.unwrap(Effect.map(logFilter, loggers))

/** Settings from the environment; what is wrong or ignored in them is reported as they are read. */
const allSettings = Layer.provideMerge(settingsLayer, logging)
const databaseSettings = Layer.provideMerge(databaseLayer, logging)

/** `200ms`, `2s`, `1m`. */
const durationOf = (text: string): Duration.Duration => {
  const [, amount, unit] = /^(\d+(?:\.\d+)?)\s*(ms|s|m)$/.exec(text.trim()) ?? []
  if (amount === undefined) throw new Error("not a time")
  return Duration.millis(Number(amount) * (unit === "ms" ? 1 : unit === "s" ? 1_000 : 60_000))
}

/** A description, followed in the verb's own help by the settings that it reads. */
const withHelp = (verb: Verb, description: string) => <const C extends Command.Command.Any>(command: C): C =>
  command.pipe(
    Command.withDescription(`${description}\n${settingsHelp(verb)}`),
    Command.withShortDescription(description)
  ) as C

/** The default value of a flag, which its description names as well. */
const withDefault =
  <A>(value: NoInfer<A>, description: string, formatted: string = `${value}`) => (flag: Flag.Flag<A>): Flag.Flag<A> =>
    flag.pipe(Flag.withDefault(value), Flag.withDescription(`${description} (default: ${formatted})`))

const block = Flag.Int("blocks").pipe(Flag.withSchema(Schema.Int.check(Schema.isGreaterThanOrEqualTo(1))))
const count = (name: string) => Flag.Int(name).pipe(Flag.withSchema(Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))))
const chain = {
  dialect: Flag.Literals("dialect", ["nozzle", "amp"]).pipe(withDefault("amp", "Server generation to simulate")),
  seed: Flag.Int("seed").pipe(withDefault(7, "The same seed gives the same chain")),
  blocks: block.pipe(withDefault(10_000, "Blocks of the chain at the start")),
  blockTime: Flag.String("block-time").pipe(
    Flag.mapTryCatch(durationOf, () => "a time such as 200ms, 2s or 1m"),
    withDefault(Duration.seconds(1), "Time from one new block to the next, such as 200ms, 2s or 1m", "1s")
  ),
  reorgEvery: count("reorg-every").pipe(
    withDefault(20, "New blocks between two reorgs; 0 for no reorgs")
  ),
  reorgDepth: count("reorg-depth").pipe(withDefault(3, "Blocks that a reorg replaces"))
}

const port = (name: string, value: number, description: string) =>
  Flag.Int(name).pipe(
    Flag.withSchema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 65_535 }))),
    withDefault(value, `${description}; 0 takes a free one`)
  )

const simulateCommand = Command.make(
  "simulate",
  {
    ...chain,
    flightPort: port("flight-port", 1602, "Port of Arrow Flight"),
    adminPort: port("admin-port", 1610, "Port of the Admin API")
  },
  (options) => untilStopped(simulate(options), awaitSignal).pipe(Effect.provide(layerAt("info")))
).pipe(Command.withDescription("Run a Nozzle / Amp server with a simulated chain, for any Flight client"))

const demoCommand = Command.make(
  "demo",
  {
    ...chain,
    untilSynced: Flag.Boolean("until-synced").pipe(
      Flag.withDefault(false),
      Flag.withDescription("End when everything has arrived, after comparing every row; exit code 1 where they differ")
    )
  },
  // The demo prints itself what it does; log lines between its own would be erased by the next redraw.
  (options) => untilStopped(demo(options), awaitSignal).pipe(Effect.provide(layerAt("warn")))
).pipe(Command.withDescription("Watch a simulated chain arrive in a PostgreSQL that comes with the package"))

const timeout = (waitedFor: string) =>
  Flag.String("timeout").pipe(
    Flag.mapTryCatch(durationOf, () => "a time such as 200ms, 2s or 1m"),
    withDefault(RESPONSE_TIMEOUT, `How long ${waitedFor}, such as 500ms, 10s or 2m`, Duration.format(RESPONSE_TIMEOUT))
  )

const planCommand = Command.make(
  "plan",
  {
    json: Flag.Boolean("json").pipe(
      Flag.withDefault(false),
      Flag.withDescription("One JSON document instead of text")
    ),
    timeout: timeout("it may take in all, and so wait for a database that is down or a server that is silent")
  },
  ({ json, timeout }) =>
    Effect.provide(plan({ json }), services).pipe(
      withTimeLimit(timeout, (reason) => new PlanFailed({ reason })),
      (planning) => answerUnlessStopped(planning, awaitSignal),
      Effect.provide(allSettings),
      Effect.provideService(Logger.LogToStderr, true)
    )
).pipe(withHelp(
  "plan",
  "Print what a start would do to the database, without doing it; exit code 0 nothing, 3 changes, 4 a table is rejected, "
    + "1 no plan could be made, 2 a setting or the config file is wrong"
))

const resyncCommand = Command.make(
  "resync",
  {
    table: Flag.String("table").pipe(Flag.withDescription("Name of the table, in DATABASE_SCHEMA")),
    yes: Flag.Boolean("yes").pipe(Flag.withDefault(false), Flag.withDescription("Do not ask")),
    timeout: timeout("the database is waited for, but for its deletion of rows")
  },
  (options) =>
    answerUnlessStopped(connectAndResync(options), awaitSignal).pipe(
      Effect.provide(databaseSettings),
      Effect.provideService(Logger.LogToStderr, true)
    )
).pipe(
  withHelp(
    "resync",
    "Delete all rows of a table that no process writes, so that the next start syncs it from the first block"
  )
)

/** The health API begins beside the other services: one that waits for the database is alive. */
const servicesWithHealth = Layer.merge(services, Layer.provide(healthApi, syncStatus))

const syncCommand = Command.make(
  "ampsync",
  {},
  () =>
    untilStopped(Effect.provide(sync, servicesWithHealth), awaitSignal).pipe(
      Effect.provide(allSettings)
    )
).pipe(
  withHelp("sync", "Stream the tables of a Nozzle / Amp dataset into PostgreSQL until SIGTERM, SIGINT or SIGHUP"),
  Command.withSubcommands([simulateCommand, demoCommand, planCommand, resyncCommand])
)

/** Without the flag of the log level: `RUST_LOG` sets it, and would override the flag. */
const cliConfig = CliConfig.layer({ builtIns: GlobalFlag.BuiltIns.filter((flag) => flag !== GlobalFlag.LogLevel) })

/** Runs the verb that the command line names, and ends the process. */
export const main = (): void => {
  stopWithOutput()
  runMain(
    Command.run(syncCommand, { version: VERSION }).pipe(Effect.provide(Layer.merge(NodeServices.layer, cliConfig)))
  )
}
