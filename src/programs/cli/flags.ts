/** The flags that several verbs have, and the parts that flags are made of. */
import { Duration, Schema } from "effect"
import { Flag } from "effect/cli"
import { RESPONSE_TIMEOUT } from "../table/tryTable.ts"

/** `200ms`, `2s`, `1m`. */
const durationOf = (text: string): Duration.Duration => {
  const [, amount, unit] = /^(\d+(?:\.\d+)?)\s*(ms|s|m)$/.exec(text.trim()) ?? []
  if (amount === undefined) throw new Error("not a time")
  return Duration.millis(Number(amount) * (unit === "ms" ? 1 : unit === "s" ? 1_000 : 60_000))
}

/** The default value of a flag, which its description names as well. */
export const withDefault =
  <A>(value: NoInfer<A>, description: string, formatted: string = `${value}`) => (flag: Flag.Flag<A>): Flag.Flag<A> =>
    flag.pipe(Flag.withDefault(value), Flag.withDescription(`${description} (default: ${formatted})`))

/** A flag whose value is a time, with a default. */
export const duration = (name: string, value: Duration.Duration, description: string, formatted: string) =>
  Flag.String(name).pipe(
    Flag.mapTryCatch(durationOf, () => "a time such as 200ms, 2s or 1m"),
    withDefault(value, description, formatted)
  )

/** How long a verb waits; `waitedFor` completes "How long ...". */
export const timeout = (waitedFor: string) =>
  duration(
    "timeout",
    RESPONSE_TIMEOUT,
    `How long ${waitedFor}, such as 500ms, 10s or 2m`,
    Duration.format(RESPONSE_TIMEOUT)
  )

/** A flag that is false where it is not given. */
export const toggle = (name: string, description: string) =>
  Flag.Boolean(name).pipe(Flag.withDefault(false), Flag.withDescription(description))

/** `--json`. */
export const json = toggle("json", "One JSON document instead of text")

/** A port of this machine, with a default. */
export const port = (name: string, value: number, description: string) =>
  Flag.Int(name).pipe(
    Flag.withSchema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 65_535 }))),
    withDefault(value, `${description}; 0 takes a free one`)
  )

/** `--table`, for verbs that read nothing but the database. */
export const tableOfSchema = Flag.String("table").pipe(Flag.withDescription("Name of the table, in DATABASE_SCHEMA"))
