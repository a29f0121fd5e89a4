import { Clock, Effect, Schedule } from "effect"
import { backoff } from "../domain/backoff.ts"
import * as log from "../domain/logLines.ts"
import { formatDatasetReference } from "../domain/manifest/Dataset.ts"
import type { Manifest } from "../domain/manifest/Manifest.ts"
import { isRetryable } from "../domain/retryable.ts"
import { StatusRecorder } from "../services/SyncStatus.ts"
import { logUnlisted } from "./logUnlisted.ts"
import { reloadOnChange } from "./reloadOnChange.ts"
import { resolveOrGoOn } from "./resolveGeneration.ts"
import { makeTableFibers } from "./tableFibers.ts"

/** A server that is down, or a dataset that is not published yet, is waited for. */
const patience = backoff("1 second", "30 seconds")

/** Syncs what a manifest says, and from then on what the config says, until it is interrupted. */
export const syncDataset = Effect.fn("syncDataset")(
  function*(manifest: Manifest) {
    const tables = yield* makeTableFibers
    const announceStop = Effect.gen(function*() {
      const generation = yield* tables.generation
      yield* Effect.logInfo(log.shuttingDown(generation?.manifest.tables.length ?? 0))
    })
    return yield* reloadOnChange(tables, manifest, beginGeneration).pipe(Effect.onInterrupt(() => announceStop))
  },
  Effect.scoped,
  Effect.onInterrupt(() => Effect.logInfo(log.tasksEnded))
)

/** The first generation begins without a check of its tables: nothing runs that it could harm, and each table has its own fate. */
const beginGeneration = Effect.fnUntraced(function*(manifest: Manifest) {
  const status = yield* StatusRecorder
  yield* Effect.logInfo(log.preparing(formatDatasetReference(manifest.dataset)))
  // A manifest before this one may have come no further than this.
  yield* status.begin(manifest.tables.map(({ name }) => name))
  const sinceMillis = yield* Clock.currentTimeMillis
  const generation = yield* resolveOrGoOn(manifest, sinceMillis).pipe(
    Effect.tapError((error) => isRetryable(error) ? waiting(manifest, log.tryingAgain(error.message)) : Effect.void),
    Effect.retry(($) => $(patience).pipe(Schedule.while(({ input }) => isRetryable(input)))),
    Effect.tapError((error) => parkAll(manifest, error.message))
  )
  for (const warning of generation.warnings) yield* Effect.logWarning(warning)
  yield* logUnlisted(generation)
  return generation
})

const waiting = Effect.fnUntraced(function*({ tables }: Manifest, reason: string) {
  const status = yield* StatusRecorder
  yield* Effect.logWarning(reason)
  for (const { name } of tables) yield* status.record(name, { _tag: "Waiting", reason })
})

const parkAll = Effect.fnUntraced(function*({ tables }: Manifest, reason: string) {
  const status = yield* StatusRecorder
  for (const { name } of tables) {
    yield* Effect.logError(log.parked(name, reason))
    yield* status.record(name, { _tag: "Parked", reason })
  }
})
