/** Changes of the config file. */
import { Effect } from "effect"
import type { Stage } from "../stage.ts"
import { changedQueries, chaosTables } from "../tables.ts"
import { type Acts, at } from "./act.ts"

/** Another config for a while. */
const meanwhile = (stage: Stage, text: string, millis: number) =>
  stage.writeConfig(text).pipe(
    Effect.andThen(Effect.sleep(millis)),
    Effect.andThen(stage.writeConfig(stage.configWithout()))
  )

const RELOAD_MILLIS = 1000

export const configActs = {
  "reload-invalid": (stage, { millis }) => meanwhile(stage, "{ \"name\": \"example\", ", millis),
  "reload-without-table": (stage, { millis, target }) =>
    meanwhile(stage, stage.configWithout(at(chaosTables, target).as), millis),
  "reload-changed-query": (stage, { amount, millis }) =>
    Effect.gen(function*() {
      const { database } = stage.postgres
      const present = yield* database.query("SELECT WHERE to_regclass('transactions') IS NOT NULL")
      // A table that is made by the query without a column gets it later, empty in the rows before.
      const queries = at(changedQueries, present.length === 0 ? 0 : amount)
      // Time for the reload to begin with it.
      yield* meanwhile(stage, stage.configOf(queries), millis + RELOAD_MILLIS)
    })
} as const satisfies Acts<string>
