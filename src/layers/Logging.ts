/** The program's log: format, level and output. */
import { setLogger } from "@grpc/grpc-js"
import { Effect, Layer, Logger, References } from "effect"
import type { LogLevel } from "effect"
import type { LogFilter, LogFilterLevel } from "../domain/settings/logFilter.ts"

const levels: Record<LogFilterLevel, LogLevel.LogLevel> = {
  off: "None",
  error: "Error",
  warn: "Warn",
  info: "Info",
  debug: "Debug",
  trace: "Trace"
}

/** Logs formatted lines on a terminal and logfmt elsewhere, at the level of the filter for this program. */
export const layer = (filter: LogFilter): Layer.Layer<never> => layerAt(levelOf(filter))

/** As `layer`, at a fixed level. */
export const layerAt = (level: LogFilterLevel): Layer.Layer<never> =>
  Layer.provideMerge(
    grpcLines,
    Layer.merge(
      Logger.layer([process.stdout.isTTY ? Logger.consolePretty() : logFmt]),
      Layer.succeed(References.MinimumLogLevel, levels[level])
    )
  )

/**
 * Routes the lines of grpc-js into the log, which it would print on standard error in any format and level. At DEBUG, because
 * `FlightClient` reports the same failures, except for why a proxy did not connect.
 */
const grpcLines: Layer.Layer<never> = Layer.effectDiscard(
  Effect.map(Effect.context<never>(), (context) => {
    const log = (line: unknown) => void Effect.runForkWith(context)(Effect.logDebug(`grpc-js: ${String(line)}`))
    setLogger({ error: log, info: log, debug: log })
  })
)

/** Effect's own logger writes to standard output regardless of `LogToStderr`. */
const logFmt = Logger.make((options) =>
  (options.fiber.getRef(Logger.LogToStderr) ? toStandardError : toStandardOutput).log(options)
)

const toStandardError = Logger.withConsoleError(Logger.formatLogFmt)
const toStandardOutput = Logger.withConsoleLog(Logger.formatLogFmt)

/** All lines are those of the target `ampsync`, so its level has priority. */
const levelOf = (filter: LogFilter): LogFilterLevel =>
  filter.targets.find(({ target }) => target === "ampsync")?.level ?? filter.level
