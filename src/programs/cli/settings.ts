/** The settings that a verb reads: the layers that decode them, and the lines of its help. */
import { Effect, Layer } from "effect"
import { Command } from "effect/cli"
import { settingsHelp } from "../../domain/settings/help.ts"
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

/** A description, followed in the verb's own help by the settings that it reads; the list of verbs leaves out the exit codes. */
export const withHelp = (verb: Verb, description: string) => <const C extends Command.Command.Any>(command: C): C =>
  command.pipe(
    Command.withDescription(`${description}\n${settingsHelp(verb)}`),
    Command.withShortDescription(description.split("; exit code")[0]!)
  ) as C
