/** Syncs the tables of a config for as long as the program runs. */
import { type Duration, Effect, Schedule, Stream, SubscriptionRef } from "effect"
import { backoff } from "../../domain/backoff.ts"
import { elapsedMillis } from "../../domain/elapsed.ts"
import * as log from "../../domain/logLines.ts"
import { aboutTable, inTarget } from "../../domain/logTargets.ts"
import { datasetId, formatDatasetReference } from "../../domain/manifest/Dataset.ts"
import type { Manifest } from "../../domain/manifest/Manifest.ts"
import { isRetryable } from "../../domain/retryable.ts"
import { Bookkeeping } from "../../services/Bookkeeping.ts"
import { StatusRecorder } from "../../services/SyncStatus.ts"
import { makeTableFibers } from "../table/tableFibers.ts"
import type { ActiveConfig } from "./ActiveConfig.ts"
import { logUnlisted } from "./logUnlisted.ts"
import { reloadOnChange } from "./reloadOnChange.ts"
import { resolveWithFallback } from "./resolveConfig.ts"

/** For a server that is down, or a dataset that is not published yet. */
const retrySchedule = backoff("1 second", "30 seconds")

/** Syncs the tables of a manifest, and from then on those of the config as it changes, until it is interrupted. */
export const syncDataset = Effect.fn("syncDataset")(
  function*(manifest: Manifest) {
    const [tables, status] = [yield* makeTableFibers, yield* StatusRecorder]
    const announceStop = Effect.gen(function*() {
      yield* status.activated(undefined)
      const active = yield* SubscriptionRef.get(tables.active)
      yield* Effect.logInfo(log.shuttingDown(active?.manifest.tables.length ?? 0))
    })
    yield* Effect.forkScoped(reportRemoved(tables.active))
    return yield* reloadOnChange(tables, manifest, startFirst).pipe(Effect.onInterrupt(() => announceStop))
  },
  Effect.scoped,
  Effect.onInterrupt(() => Effect.logInfo(log.tasksEnded)),
  inTarget("ampsync::reload")
)

/** Resolves the first config. Its tables are not checked: nothing runs that they could harm, and each is retried on its own. */
const startFirst = Effect.fnUntraced(function*(manifest: Manifest) {
  const status = yield* StatusRecorder
  yield* Effect.logInfo(log.preparing(formatDatasetReference(manifest.dataset)))
  // A manifest before this one may have got no further, and its tables may be others.
  yield* status.begin(manifest.tables.map(({ name }) => name))
  const sinceMillis = yield* elapsedMillis
  const active = yield* resolveWithFallback(manifest, sinceMillis).pipe(
    Effect.retry(($) =>
      $(retrySchedule).pipe(
        Schedule.while(({ input }) => isRetryable(input)),
        Schedule.tap(({ duration, input }) => waiting(manifest, input.message, duration))
      )
    ),
    Effect.tapError((error) => parkAll(manifest, error.message))
  )
  for (const warning of active.warnings) yield* Effect.logWarning(warning)
  yield* logUnlisted(active)
  return active
})

/** A process that was killed counts as gone by then. */
const SECOND_CHECK = "10 seconds"

/** Tables that left the config while no process ran must not be taken for ones that are behind. */
const reportRemoved = Effect.fnUntraced(function*(active: SubscriptionRef.SubscriptionRef<ActiveConfig | undefined>) {
  yield* SubscriptionRef.changes(active).pipe(
    Stream.filter((config) => config !== undefined),
    Stream.take(1),
    Stream.runDrain
  )
  yield* reportRemovedOnce(active).pipe(
    Effect.tapError(({ message }) => Effect.logWarning(log.statesNotReported(message))),
    Effect.retry(retrySchedule),
    Effect.repeat({ times: 1, schedule: Schedule.spaced(SECOND_CHECK) })
  )
})

const reportRemovedOnce = Effect.fnUntraced(function*(
  active: SubscriptionRef.SubscriptionRef<ActiveConfig | undefined>
) {
  const bookkeeping = yield* Bookkeeping
  const config = yield* SubscriptionRef.get(active)
  if (config === undefined) return
  const { dataset, tables } = config.manifest
  const removed = yield* bookkeeping.abandoned(datasetId(dataset), tables.map(({ name }) => name))
  yield* bookkeeping.report(
    removed.map((table) => ({ table, state: "removed", reason: log.tableRemoved(table), ageMillis: 0 }))
  )
  for (const name of removed) yield* aboutTable(name)(Effect.logWarning(log.tableRemoved(name)))
})

const waiting = Effect.fnUntraced(function*({ tables }: Manifest, reason: string, delay: Duration.Duration) {
  const status = yield* StatusRecorder
  yield* Effect.logWarning(log.tryingAgain(reason, delay))
  for (const { name } of tables) yield* status.record(name, { _tag: "Waiting", reason })
})

const parkAll = Effect.fnUntraced(function*({ tables }: Manifest, reason: string) {
  const status = yield* StatusRecorder
  for (const { name } of tables) {
    yield* aboutTable(name)(Effect.logError(log.parked(name, reason)))
    yield* status.record(name, { _tag: "Parked", reason })
  }
})
