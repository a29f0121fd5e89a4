/** The verb `plan`. */
import { Effect, Logger } from "effect"
import { Command } from "effect/cli"
import { awaitSignal } from "../../layers/Signals.ts"
import { services } from "../ampsync.ts"
import { withTimeLimit } from "../timeLimit.ts"
import { plan, PlanFailed } from "../verbs/plan.ts"
import { answerUnlessStopped } from "../verbs/untilStopped.ts"
import { json, timeout, toggle } from "./flags.ts"
import { allSettings, withHelp } from "./settings.ts"

export const planCommand = Command.make(
  "plan",
  {
    json,
    sql: toggle("sql", "Print the statements of the bookkeeping as well"),
    timeout: timeout("it may take in all, and so wait for a database that is down or a server that is silent")
  },
  ({ timeout, ...options }) =>
    Effect.provide(plan(options), services).pipe(
      withTimeLimit(timeout, (reason) => new PlanFailed({ reason })),
      (planning) => answerUnlessStopped(planning, awaitSignal),
      Effect.provide(allSettings),
      Effect.provideService(Logger.LogToStderr, true)
    )
).pipe(withHelp(
  "plan",
  "Print what a start would do to the database, without doing it; exit code 0 nothing, 3 changes, 4 a table is rejected, "
    + "1 no plan could be made, 2 a setting or the config file is wrong"
))
