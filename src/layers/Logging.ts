/** The program's log: which lines, in which format, to which output. */
import { setLogger } from "@grpc/grpc-js"
import { Effect, Layer, Logger, References } from "effect"
import type { LogLevel } from "effect"
import { isColored } from "../domain/display/isColored.ts"
import { inTarget, logTargets } from "../domain/logTargets.ts"
import { levelOfTarget, type LogFilter, type LogFilterLevel, logLevels } from "../domain/settings/logFilter.ts"
import type { LogFormat } from "../domain/settings/logFormat.ts"
import { LogOutput, type LogStream } from "../services/LogOutput.ts"
import { entryOf, formatJson, formatLogfmt, formatPretty, type LogEntry } from "./logging/format.ts"

const levels: Record<LogFilterLevel, LogLevel.LogLevel> = {
  off: "None",
  error: "Error",
  warn: "Warn",
  info: "Info",
  debug: "Debug",
  trace: "Trace"
}

/** `format` is undefined where nothing is set: `pretty` on a terminal, `logfmt` elsewhere. */
export interface LogSettings {
  readonly filter: LogFilter
  readonly format: LogFormat | undefined
}

/** Logs the lines that the filter selects. */
export const layer = ({ filter, format }: LogSettings): Layer.Layer<never> =>
  Layer.provideMerge(
    grpcLines,
    Layer.merge(
      Logger.layer([linesTo(filter, format)]),
      Layer.succeed(References.MinimumLogLevel, levels[mostVerbose(filter)])
    )
  )

/** What no target lets through is not even made. */
const mostVerbose = (filter: LogFilter): LogFilterLevel =>
  logLevels[Math.max(...logTargets.map((target) => logLevels.indexOf(levelOfTarget(filter, target))))]!

const linesTo = (filter: LogFilter, format: LogFormat | undefined) =>
  Logger.make((options) => {
    const entry = entryOf(options, options.fiber.getRef(References.CurrentLogAnnotations))
    if (!isSelected(filter, entry)) return
    const stream = options.fiber.getRef(Logger.LogToStderr) ? "stderr" : "stdout"
    options.fiber.getRef(LogOutput).write(formatted(entry, stream, format), stream)
  })

const isSelected = (filter: LogFilter, { level, target }: LogEntry): boolean =>
  logLevels.indexOf(levelOfTarget(filter, target)) >= logLevels.findIndex((name) => name === rankedAs(level))

const rankedAs = (level: string): string => level === "FATAL" ? "error" : level.toLowerCase()

const formatted = (entry: LogEntry, stream: LogStream, format: LogFormat | undefined): string => {
  switch (format ?? (process[stream].isTTY ? "pretty" : "logfmt")) {
    case "json":
      return formatJson(entry)
    case "logfmt":
      return formatLogfmt(entry)
    case "pretty":
      return formatPretty(entry, isColored(process.env, process[stream].isTTY))
  }
}

/**
 * Routes the lines of grpc-js into the log, which it would print on standard error in any format and level. At DEBUG, because
 * `FlightClient` reports the same failures, except for why a proxy did not connect.
 */
const grpcLines: Layer.Layer<never> = Layer.effectDiscard(
  Effect.map(Effect.context<never>(), (context) => {
    const log = (line: unknown) =>
      void Effect.runForkWith(context)(
        inTarget("ampsync::flight_client")(Effect.logDebug(`grpc-js: ${String(line)}`))
      )
    setLogger({ error: log, info: log, debug: log })
  })
)
