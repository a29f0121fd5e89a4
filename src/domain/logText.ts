/** Texts of the log that need no logger. It imports nothing: a signal may come before anything else is loaded. */

/** What a line has in logfmt and JSON, in this order; other annotations follow. */
export interface LogPairs {
  /** RFC 3339 in UTC, with milliseconds. */
  readonly timestamp: string
  readonly level: string
  readonly message: string
  readonly target: string
  readonly table?: string
  readonly cause?: string
}

/** Of every line that is logged outside of a room with a target of its own. */
export const rootTarget = "ampsync"

/**
 * Escapes control characters and line separators as JSON does, and those that JSON leaves as they are: a text of a server must
 * neither begin a line nor steer the terminal.
 */
export const escapeControls = (text: string): string =>
  text.replaceAll(/[\p{Cc}\u2028\u2029]/gu, (character) => {
    const json = JSON.stringify(character).slice(1, -1)
    return json === character ? `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}` : json
  })

/** One object on one line. */
export const jsonLine = (pairs: LogPairs): string => escapeControls(JSON.stringify(pairs))

/** A line that is written outside of the log: an object under `LOG_FORMAT=json`, else the text. */
export const lineOutsideOfLog = (format: string | undefined, level: string, message: string): string =>
  format?.trim().toLowerCase() === "json"
    ? jsonLine({ timestamp: new Date().toISOString(), level, message, target: rootTarget })
    : message
