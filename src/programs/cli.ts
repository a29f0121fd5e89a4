/**
 * The verbs of the command line and their options. Without a verb it syncs, as the first ampsync did.
 */
import { NodeServices } from "@effect/platform-node"
import { Duration, Effect, Layer, Logger, Schema } from "effect"
import { Command, Flag } from "effect/cli"
import { VERSION } from "../domain/version.ts"
import { layer as configFromEnvironment } from "../layers/Config.ts"
import { layer as logging, layerAt } from "../layers/Logging.ts"
import { runMain } from "../layers/runMain.ts"
import { awaitSignal } from "../layers/Signals.ts"
import { services } from "./ampsync.ts"
import { demo } from "./demo.ts"
import { inTime, plan } from "./plan.ts"
import { resync, resyncServices } from "./resync.ts"
import { simulate } from "./simulate.ts"
import { sync } from "./sync.ts"
import { untilStopped } from "./untilStopped.ts"

/** `200ms`, `2s`, `1m`. */
const durationOf = (text: string): Duration.Duration => {
  const [, amount, unit] = /^(\d+(?:\.\d+)?)\s*(ms|s|m)$/.exec(text.trim()) ?? []
  if (amount === undefined) throw new Error("not a time")
  return Duration.millis(Number(amount) * (unit === "ms" ? 1 : unit === "s" ? 1_000 : 60_000))
}

const block = Flag.Int("blocks").pipe(Flag.withSchema(Schema.Int.check(Schema.isGreaterThanOrEqualTo(1))))
const dialect = Flag.Literals("dialect", ["nozzle", "amp"]).pipe(
  Flag.withDefault("amp"),
  Flag.withDescription("Server generation to play")
)
const count = (name: string) => Flag.Int(name).pipe(Flag.withSchema(Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))))
const chain = {
  dialect,
  seed: Flag.Int("seed").pipe(Flag.withDefault(7), Flag.withDescription("The same seed gives the same chain")),
  blocks: block.pipe(Flag.withDefault(10_000), Flag.withDescription("Blocks there are at the start")),
  blockTime: Flag.String("block-time").pipe(
    Flag.mapTryCatch(durationOf, () => "expected a time such as 200ms or 2s"),
    Flag.withDefault(Duration.seconds(1)),
    Flag.withDescription("Time from one new block to the next")
  ),
  reorgEvery: count("reorg-every").pipe(
    Flag.withDefault(20),
    Flag.withDescription("Every so many new blocks the last ones are replaced; 0 for never")
  ),
  reorgDepth: count("reorg-depth").pipe(Flag.withDefault(3), Flag.withDescription("How many blocks a reorg replaces"))
}

const port = (name: string, standard: number) =>
  Flag.Int(name).pipe(
    Flag.withSchema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 65_535 }))),
    Flag.withDefault(standard),
    Flag.withDescription("0 takes a free one")
  )

const simulateCommand = Command.make(
  "simulate",
  { ...chain, flightPort: port("flight-port", 1602), adminPort: port("admin-port", 1610) },
  (options) => untilStopped(simulate(options), awaitSignal).pipe(Effect.provide(layerAt("info")))
).pipe(Command.withDescription("Run a Nozzle / Amp server with a made-up chain, for any Flight client"))

const demoCommand = Command.make(
  "demo",
  {
    ...chain,
    untilSynced: Flag.Boolean("until-synced").pipe(
      Flag.withDefault(false),
      Flag.withDescription("End when everything has arrived, after comparing every row; exit code 1 where they differ")
    )
  },
  // The demo says itself what it does; lines of ours between its own would be erased by the next redraw.
  (options) => untilStopped(demo(options), awaitSignal).pipe(Effect.provide(layerAt("warn")))
).pipe(Command.withDescription("Watch a simulated chain arrive in a PostgreSQL that comes with the package"))

const planCommand = Command.make(
  "plan",
  {
    json: Flag.Boolean("json").pipe(
      Flag.withDefault(false),
      Flag.withDescription("One JSON document instead of text")
    )
  },
  (options) =>
    inTime(Effect.provide(plan(options), services)).pipe(
      Effect.provide(Layer.merge(logging, Layer.succeed(Logger.LogToStderr, true))),
      Effect.provide(configFromEnvironment)
    )
).pipe(Command.withDescription(
  "Print what a start would do to the database, without doing it; exit code 0 nothing, 3 changes, 4 a table is refused"
))

const resyncCommand = Command.make(
  "resync",
  {
    table: Flag.String("table").pipe(Flag.withDescription("Name of the table in PostgreSQL")),
    yes: Flag.Boolean("yes").pipe(Flag.withDefault(false), Flag.withDescription("Do not ask"))
  },
  (options) =>
    untilStopped(Effect.provide(resync(options), resyncServices), awaitSignal).pipe(
      Effect.provide(Layer.merge(logging, Layer.succeed(Logger.LogToStderr, true))),
      Effect.provide(configFromEnvironment)
    )
).pipe(
  Command.withDescription("Delete all rows of a table that no process writes, so that the next start fills it anew")
)

const syncCommand = Command.make("ampsync", {}, () =>
  untilStopped(Effect.provide(sync, services), awaitSignal).pipe(
    Effect.provide(logging),
    Effect.provide(configFromEnvironment)
  )).pipe(
    Command.withDescription(
      "Stream the tables of a Nozzle / Amp dataset into PostgreSQL; settings are in the environment"
    ),
    Command.withSubcommands([simulateCommand, demoCommand, planCommand, resyncCommand])
  )

/** Runs the verb that the command line names, and ends the process. */
export const main = (): void =>
  runMain(Command.run(syncCommand, { version: VERSION }).pipe(Effect.provide(NodeServices.layer)))
