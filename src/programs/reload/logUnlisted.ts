import { Effect } from "effect"
import * as log from "../../domain/logLines.ts"
import { aboutTable } from "../../domain/logTargets.ts"
import { datasetId } from "../../domain/manifest/Dataset.ts"
import { SyncConfig } from "../../services/Config.ts"
import type { ActiveConfig } from "./ActiveConfig.ts"

/** Logs which tables a config and its own dataset do not have in common. */
export const logUnlisted = Effect.fnUntraced(function*({ info, manifest }: ActiveConfig) {
  const { manifest: origin } = yield* SyncConfig
  if (info === undefined) return
  for (const { name } of manifest.tables) {
    if (info.tables.some((table) => table.name === name)) continue
    yield* aboutTable(name)(Effect.logInfo(log.unlisted(name, `${datasetId(info)} ${info.version}`)))
  }
  // TABLES leaves out the others on purpose.
  if (origin._tag === "Dataset") return
  for (const { name } of info.tables) {
    if (!manifest.tables.some((table) => table.name === name)) {
      yield* aboutTable(name)(Effect.logWarning(log.notInConfig(name)))
    }
  }
})
