/** The settings that a verb reads: the layers that decode them, and what its help needs for their lines. */
import { Context, Effect, Layer } from "effect"
import { Command } from "effect/cli"
import type { LogFilterLevel } from "../../domain/settings/logFilter.ts"
import type { LogFormat } from "../../domain/settings/logFormat.ts"
import type { Verb } from "../../domain/settings/Setting.ts"
import { databaseLayer, layer as settingsLayer, logSettings } from "../../layers/Config.ts"
import { layer as loggers } from "../../layers/Logging.ts"
import { layer as screenLayer } from "../../layers/Screen.ts"

/** The log, as the settings have it. */
export const logging = Layer.unwrap(Effect.map(logSettings, loggers))

/** For verbs with a level of their own, and perhaps a format that they have where none is set. */
export const loggingAt = (level: LogFilterLevel, standard?: LogFormat) =>
  Layer.unwrap(
    Effect.map(logSettings, ({ format = standard }) => loggers({ filter: { level, targets: [] }, format }))
  )

/** The terminal of a person, who reads lines that are made for people. */
export const screen = Layer.unwrap(
  Effect.map(logSettings, ({ format }) => screenLayer(format === undefined || format === "pretty"))
)

/** Settings from the environment; what is wrong or ignored in them is reported as they are read. */
export const allSettings = Layer.provideMerge(settingsLayer, logging)

/** As `allSettings`, for a verb that needs nothing but the database. */
export const databaseSettings = Layer.provideMerge(databaseLayer, logging)

/** The verb of a command, whose settings follow its help. */
export class SettingsOf extends Context.Service<SettingsOf, Verb>()("ampsync/SettingsOf") {}

/** The description of a verb, and whose settings its help ends with; the list of verbs leaves out the exit codes. */
export const withHelp = (verb: Verb, description: string) => <const C extends Command.Command.Any>(command: C): C =>
  command.pipe(
    Command.withDescription(description),
    Command.withShortDescription(description.split("; exit code")[0]!),
    Command.annotate(SettingsOf, verb)
  ) as C
