/** The verb `verify`. */
import { Effect, Layer, Logger, Option, Schema } from "effect"
import { Command, Flag } from "effect/cli"
import { awaitSignal } from "../../layers/Signals.ts"
import { layer as storedRows } from "../../layers/StoredRows.ts"
import { services } from "../ampsync.ts"
import { answerUnlessStopped } from "../verbs/untilStopped.ts"
import { connectAndVerify } from "../verbs/verify.ts"
import { json, tableOfSchema, timeout } from "./flags.ts"
import { allSettings, withHelp } from "./settings.ts"

const block = (name: string, description: string) =>
  Flag.Int(name).pipe(
    Flag.withSchema(Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))),
    Flag.withDescription(description),
    Flag.map(BigInt),
    Flag.optional
  )

export const verifyCommand = Command.make(
  "verify",
  {
    table: tableOfSchema,
    from: block("from", "First block to compare (default: the first one of the chain)"),
    to: block("to", "Last block to compare (default: the watermark)"),
    json,
    timeout: timeout("server and database may take to answer, and the stream may be silent")
  },
  ({ from, to, ...options }) =>
    connectAndVerify(
      { ...options, from: Option.getOrUndefined(from), to: Option.getOrUndefined(to) },
      Layer.provideMerge(storedRows, services)
    ).pipe(
      (verifying) => answerUnlessStopped(verifying, awaitSignal),
      Effect.provide(allSettings),
      Effect.provideService(Logger.LogToStderr, true)
    )
).pipe(withHelp(
  "verify",
  "Stream a table again, and compare it with what is stored, without changing anything; exit code 0 equal, 3 something differs, "
    + "4 equal as far as it could be compared, 1 it could not be compared, 2 the command line, a setting or the config file is wrong"
))
