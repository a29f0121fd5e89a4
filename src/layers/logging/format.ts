/** One entry of the log as one line of text. */
import { Cause, Formatter } from "effect"
import type { Logger } from "effect"
import { escapeControls, jsonLine, type LogPairs, rootTarget } from "../../domain/logText.ts"

/** An entry; `target`, `table` and others come from the annotations. */
export interface LogEntry {
  readonly time: Date
  /** `INFO`, `WARN` */
  readonly level: string
  readonly message: string
  readonly target: string
  readonly table: string | undefined
  readonly cause: string | undefined
  readonly others: Readonly<Record<string, string>>
}

/** Reads what Effect gives a logger. `annotations` are those of the line's fiber. */
export const entryOf = (
  { cause, date, logLevel, message }: Logger.Options<unknown>,
  { table, target, ...others }: Readonly<Record<string, unknown>>
): LogEntry => ({
  time: date,
  level: logLevel.toUpperCase(),
  message: (Array.isArray(message) ? message : [message]).map(textOf).join(" "),
  target: target === undefined ? rootTarget : textOf(target),
  table: table === undefined ? undefined : textOf(table),
  cause: cause.reasons.length === 0 ? undefined : Cause.pretty(cause),
  others: Object.fromEntries(Object.entries(others).map(([name, value]) => [name, textOf(value)]))
})

const textOf = (value: unknown): string => typeof value === "string" ? value : Formatter.format(value)

/** The pairs of logfmt and JSON, in the order of the documentation. */
const pairsOf = ({ cause, level, message, others, table, target, time }: LogEntry): LogPairs => ({
  timestamp: time.toISOString(),
  level,
  message,
  target,
  ...(table === undefined ? {} : { table }),
  ...(cause === undefined ? {} : { cause }),
  ...others
})

export const formatJson = (entry: LogEntry): string => jsonLine(pairsOf(entry))

export const formatLogfmt = (entry: LogEntry): string =>
  Object.entries(pairsOf(entry)).map(([name, value]) => `${name}=${logfmtValue(value)}`).join(" ")

const logfmtValue = (value: string): string =>
  value === "" || /[\s"=\\]/.test(value) || escapeControls(value) !== value
    ? escapeControls(JSON.stringify(value))
    : value

const STYLES: Readonly<Record<string, number>> = { FATAL: 31, ERROR: 31, WARN: 33, INFO: 32, DEBUG: 34, TRACE: 35 }
const DIM = 2
const LEVEL_WIDTH = 5

/** For people: the time of day here, and the table only where the message does not name it. */
export const formatPretty = (entry: LogEntry, isColored: boolean): string => {
  const style = (code: number, text: string) => isColored ? `\u001b[${code}m${text}\u001b[0m` : text
  const { cause, level, message, others, table } = entry
  const pairs = Object.entries({ ...(table === undefined || namesTable(message, table) ? {} : { table }), ...others })
  return [
    style(DIM, timeOfDay(entry.time)),
    style(STYLES[level] ?? 0, level.padEnd(LEVEL_WIDTH)),
    escapeControls(cause === undefined ? message : `${message}: ${cause}`),
    ...pairs.map(([name, value]) => style(DIM, `${name}=${logfmtValue(value)}`))
  ].join(" ")
}

const timeOfDay = (time: Date): string =>
  [time.getHours(), time.getMinutes(), time.getSeconds()].map((part) => String(part).padStart(2, "0")).join(":") +
  `.${String(time.getMilliseconds()).padStart(3, "0")}`

const namesTable = (message: string, table: string): boolean =>
  message.includes(`'${table}'`) || message.includes(`"${table}"`) || message.endsWith(`: ${table}`)
