/** The config as a start would make it active, for verbs that run once. */
import { Clock, Effect, Schedule } from "effect"
import { backoff } from "../../domain/backoff.ts"
import { isUnreachable } from "../../services/AdminApi.ts"
import { loadManifest } from "./loadManifest.ts"
import { resolveWithFallback } from "./resolveConfig.ts"

/** The same as at a start. */
const retrySchedule = backoff("1 second", "30 seconds")

/** Loads the config and resolves its names on the server; retries only an Admin API that does not answer. */
export const resolveNow = Effect.gen(function*() {
  const manifest = yield* loadManifest(isUnreachable)
  const sinceMillis = yield* Clock.currentTimeMillis
  const active = yield* resolveWithFallback(manifest, sinceMillis).pipe(
    Effect.retry(($) => $(retrySchedule).pipe(Schedule.while(({ input }) => isUnreachable(input))))
  )
  for (const warning of active.warnings) yield* Effect.logWarning(warning)
  return active
})
