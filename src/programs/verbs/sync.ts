/** The verb without a name: syncs until it is stopped. */
import { Effect, Schedule } from "effect"
import { backoff } from "../../domain/backoff.ts"
import * as log from "../../domain/logLines.ts"
import type { Manifest } from "../../domain/manifest/Manifest.ts"
import { makeWaitReporter } from "../../domain/reportWait.ts"
import { isRetryable } from "../../domain/retryable.ts"
import { Bookkeeping } from "../../services/Bookkeeping.ts"
import { DatabaseConfig, SyncConfig } from "../../services/Config.ts"
import { isLocked } from "../../services/PgPool.ts"
import { StatusRecorder } from "../../services/SyncStatus.ts"
import { loadManifest } from "../reload/loadManifest.ts"
import { namesExactVersions } from "../reload/resolveReferences.ts"
import { syncDataset } from "../reload/syncDataset.ts"
import { logSummaries } from "../report/logSummaries.ts"
import { reportStates } from "../report/reportStates.ts"
import { sendHeartbeats } from "../report/sendHeartbeats.ts"

const retrySchedule = backoff("500 millis", "30 seconds")

/** Loads the config file and prepares the database; fails with what an operator must correct, and retries what may heal. */
export const prepare = Effect.gen(function*() {
  const bookkeeping = yield* Bookkeeping
  const { versionPollInterval } = yield* SyncConfig
  yield* Effect.logInfo(log.starting)
  const manifest = yield* loadManifest(isRetryable)
  yield* Effect.logInfo(log.loadedManifest(manifest.dataset.name, manifest.dataset.revision))
  if (versionPollInterval !== undefined && namesExactVersions(manifest)) {
    yield* Effect.logWarning(log.pollsInVain)
  }
  const { databaseSchema, publication } = yield* DatabaseConfig
  const tables = `the bookkeeping tables in schema "${databaseSchema}" (DATABASE_SCHEMA)`
  const walLevel = yield* makeWaitReporter("ampsync")(
    () => ({ for: `${tables}: the database is slow` }),
    Effect.andThen(bookkeeping.ensure, bookkeeping.walLevel)
  ).pipe(
    Effect.retry(($) =>
      $(retrySchedule).pipe(
        Schedule.while(({ input }) => isRetryable(input)),
        Schedule.tap(({ duration, input }) => {
          const reason = isLocked(input) ? `${input.message}; another session holds a lock on ${tables}` : input.message
          return Effect.logWarning(log.bookkeepingFailed(reason, duration))
        })
      )
    )
  )
  yield* Effect.logInfo(log.checkpointsReady)
  if (publication !== undefined && walLevel !== "logical") {
    yield* Effect.logWarning(log.cannotBeFollowed(publication, walLevel))
  }
  return manifest
})

/** Syncs the tables of a manifest until interrupted; meanwhile heartbeats and states are written to the database. */
export const run = Effect.fn("run")(function*(manifest: Manifest) {
  yield* sendHeartbeats((yield* StatusRecorder).heartbeat)
  yield* reportStates
  yield* logSummaries
  return yield* syncDataset(manifest)
}, Effect.scoped)

/** Runs `prepare`, then `run`. */
export const sync = Effect.flatMap(prepare, run)
