/** The targets of log lines: the module that each line comes from, by which `RUST_LOG` selects. */
import { Effect } from "effect"
import { rootTarget } from "./logText.ts"

/**
 * A module per room of the program that logs, and `ampsync` for the rest: settings, start and stop.
 *
 * A line has the target of the room whose source logs it; test/end-to-end/logLines.test.ts checks that of every line.
 */
export const logTargets = [
  "ampsync",
  "ampsync::table",
  "ampsync::reload",
  "ampsync::report",
  "ampsync::pg_pool",
  "ampsync::flight_client",
  "ampsync::admin_api",
  "ampsync::health_api",
  "ampsync::telemetry"
] as const

export type LogTarget = typeof logTargets[number]

/** Other names of targets: filters are carried over from the first ampsync, whose crate for PostgreSQL was `sqlx`. */
const otherNames: Readonly<Record<string, LogTarget>> = { sqlx: "ampsync::pg_pool" }

/** Whether `prefix` is `target` or a module around it. */
export const isWithin = (target: string, prefix: string): boolean =>
  target === prefix || target.startsWith(`${prefix}::`)

/** The target that a directive means: a known one for one of its other names, else what it names. */
export const meantTarget = (named: string): string =>
  Object.entries(otherNames).find(([name]) => isWithin(named, name))?.[1] ?? named

/** Whether a directive means a module of this program and there is none of this name. */
export const isUnknownTarget = (named: string): boolean =>
  isWithin(named, rootTarget) && !logTargets.some((target) => isWithin(target, named))

/** Gives the lines that `effect` logs a target; an inner one has priority. */
export const inTarget = (target: LogTarget): <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R> =>
  Effect.annotateLogs("target", target)

/** Names the table that the lines of `effect` are about. */
export const aboutTable = (table: string): <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R> =>
  Effect.annotateLogs("table", table)
