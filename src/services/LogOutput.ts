/**
 * Where finished lines of the log go.
 *
 * Owns no format: it is given one line of text without its line break, as often as there is an entry. `Screen` takes over what
 * the console writes to, so that lines and drawing do not mix.
 */
import { Context } from "effect"

export type LogStream = "stdout" | "stderr"

export interface LogWriter {
  /** Writes one line at once. `stream` is standard error where the result of the verb is on standard output. */
  readonly write: (line: string, stream: LogStream) => void
}

/** By default the console of the process. */
export const LogOutput: Context.Reference<LogWriter> = Context.Reference<LogWriter>("ampsync/services/LogOutput", {
  defaultValue: () => ({
    write: (line, stream) => (stream === "stderr" ? console.error : console.log)(line)
  })
})
