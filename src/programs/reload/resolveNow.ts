/** The config as a start would make it active, for verbs that run once. */
import { Effect } from "effect"
import { elapsedMillis } from "../../domain/elapsed.ts"
import { isUnreachable } from "../../services/AdminApi.ts"
import { untilAnswered } from "../untilAnswered.ts"
import { loadManifest } from "./loadManifest.ts"
import { resolveWithFallback } from "./resolveConfig.ts"

/** Loads the config and resolves its names on the server; retries an Admin API or an Arrow Flight that does not answer. */
export const resolveNow = Effect.gen(function*() {
  const manifest = yield* loadManifest(isUnreachable)
  const sinceMillis = yield* elapsedMillis
  const active = yield* untilAnswered(
    resolveWithFallback(manifest, sinceMillis),
    (error) => isUnreachable(error) || (error._tag === "NothingPlanned" && error.isServerDown)
  )
  for (const warning of active.warnings) yield* Effect.logWarning(warning)
  return active
})
