import { Effect, Layer, Logger, References } from "effect"
import type { LogLevel } from "effect"
import type { LogFilter, LogFilterLevel } from "../domain/logFilter.ts"
import { AmpsyncConfig } from "../services/Config.ts"

const levels: Record<LogFilterLevel, LogLevel.LogLevel> = {
  off: "None",
  error: "Error",
  warn: "Warn",
  info: "Info",
  debug: "Debug",
  trace: "Trace"
}

/** Lines for a person on a terminal, logfmt for everything else, at the level of `RUST_LOG`. */
export const layer: Layer.Layer<never, never, AmpsyncConfig> = Layer.unwrap(
  Effect.map(AmpsyncConfig, ({ log }) => layerAt(levelOf(log)))
)

export const layerAt = (level: LogFilterLevel): Layer.Layer<never> =>
  Layer.merge(
    Logger.layer([process.stdout.isTTY ? Logger.consolePretty() : logFmt]),
    Layer.succeed(References.MinimumLogLevel, levels[level])
  )

/** Effect's own writes to standard output whatever `LogToStderr` says. */
const logFmt = Logger.make((options) =>
  (options.fiber.getRef(Logger.LogToStderr) ? toStandardError : toStandardOutput).log(options)
)

const toStandardError = Logger.withConsoleError(Logger.formatLogFmt)
const toStandardOutput = Logger.withConsoleLog(Logger.formatLogFmt)

/** All lines are ours, so `ampsync=debug` decides where it is said. */
const levelOf = (filter: LogFilter): LogFilterLevel =>
  filter.targets.find(({ target }) => target === "ampsync")?.level ?? filter.level
