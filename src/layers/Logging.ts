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

/** Lines for a person on a terminal, logfmt for everything else, at the level that the filter has for this program. */
export const layer = (filter: LogFilter): Layer.Layer<never> => layerAt(levelOf(filter))

export const layerAt = (level: LogFilterLevel): Layer.Layer<never> =>
  Layer.provideMerge(
    grpcLines,
    Layer.merge(
      Logger.layer([process.stdout.isTTY ? Logger.consolePretty() : logFmt]),
      Layer.succeed(References.MinimumLogLevel, levels[level])
    )
  )

/**
 * What grpc-js would print on standard error past every format and level. `FlightClient` reports the same failures in words of
 * its own, but for why a proxy did not connect: hence the level.
 */
const grpcLines: Layer.Layer<never> = Layer.effectDiscard(
  Effect.map(Effect.context<never>(), (context) => {
    const log = (line: unknown) => void Effect.runForkWith(context)(Effect.logDebug(`grpc-js: ${String(line)}`))
    setLogger({ error: log, info: log, debug: log })
  })
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
