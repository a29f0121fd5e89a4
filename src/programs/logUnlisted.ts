import { Effect } from "effect"
import { datasetId } from "../domain/Dataset.ts"
import type { Generation } from "./Generation.ts"
import * as log from "./logLines.ts"

/** Logs the tables of a config that the Admin API does not list for its dataset. */
export const logUnlisted = Effect.fnUntraced(function*({ info, manifest }: Generation) {
  if (info === undefined) return
  for (const { name } of manifest.tables) {
    if (info.tables.some((table) => table.name === name)) continue
    yield* Effect.logInfo(log.unlisted(name, `${datasetId(info)} ${info.version}`))
  }
})
