/** The value of `RUST_LOG`: a level for everything, and other levels for parts of the program. */
import { Result } from "effect"
import { isUnknownTarget, isWithin, meantTarget } from "../logTargets.ts"

export const logLevels = ["off", "error", "warn", "info", "debug", "trace"] as const

export type LogFilterLevel = typeof logLevels[number]

/** A parsed `RUST_LOG`. */
export interface LogFilter {
  readonly level: LogFilterLevel
  /** In the order of the text; `levelOfTarget` decides between them. */
  readonly targets: ReadonlyArray<{ readonly target: string; readonly level: LogFilterLevel }>
  /** Parts of the text that name no target, such as `info;ampsync=debug` or `ampsync::tabel=debug`; absent where there are none. */
  readonly ignored?: ReadonlyArray<string>
}

export const defaultLogFilter: LogFilter = { level: "info", targets: [] }

/**
 * Parses `info`, `ampsync=debug,warn`, `warn,ampsync::table=trace`, `warn,sqlx=error`.
 *
 * A target without a level means all of its lines, as in Rust's env_logger. Fails with the part whose level is wrong. Parts
 * that name no target of this program are kept out of the filter: those of other programs silently.
 */
export const parseLogFilter = (text: string): Result.Result<LogFilter, string> => {
  let level: LogFilterLevel = defaultLogFilter.level
  const targets: Array<LogFilter["targets"][number]> = []
  const ignored: Array<string> = []
  for (const directive of text.split(",").map((part) => part.trim()).filter((part) => part !== "")) {
    const [target = "", name, ...rest] = directive.split("=").map((part) => part.trim())
    const found = levelOf(name ?? target)
    // Brackets and braces select by span, which these lines do not have.
    if (/[;\s]/.test(target) || /[[\]{}]/.test(directive) || isUnknownTarget(target)) {
      ignored.push(directive)
      continue
    }
    if (rest.length > 0 || target === "") return Result.fail(`contains "${directive}"`)
    if (name === undefined) {
      if (found !== undefined) level = found
      else if (/^[\w:./-]+$/.test(target) && (target === "ampsync" || target.includes("::"))) {
        targets.push({ target: meantTarget(target), level: "trace" })
      } else return Result.fail(`contains the unknown level "${target}"`)
    } else if (found === undefined) {
      return Result.fail(`contains the unknown level "${name}"`)
    } else targets.push({ target: meantTarget(target), level: found })
  }
  return Result.succeed({ level, targets, ...(ignored.length > 0 ? { ignored } : {}) })
}

/** The level of a target's lines: that of its longest prefix in the filter, and of two that are equal the last. */
export const levelOfTarget = ({ level, targets }: LogFilter, target: string): LogFilterLevel =>
  targets.reduce<LogFilter["targets"][number]>(
    (best, next) => isWithin(target, next.target) && next.target.length >= best.target.length ? next : best,
    { target: "", level }
  ).level

const levelOf = (name: string): LogFilterLevel | undefined => {
  const lower = name.toLowerCase()
  return logLevels.find((level) => level === (lower === "warning" ? "warn" : lower))
}
