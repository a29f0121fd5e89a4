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
    // Time for the reload to begin with it.
    meanwhile(stage, stage.configOf(at(changedQueries, amount)), millis + RELOAD_MILLIS)
} as const satisfies Acts<string>
