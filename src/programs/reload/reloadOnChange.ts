/** Hot reload: activates the first config and every valid change of it. */
import { Effect, Option, Ref, Result, Schedule, Stream, SubscriptionRef } from "effect"
import { backoff } from "../../domain/backoff.ts"
import { elapsedMillis } from "../../domain/elapsed.ts"
import * as log from "../../domain/logLines.ts"
import { datasetId } from "../../domain/manifest/Dataset.ts"
import type { Manifest } from "../../domain/manifest/Manifest.ts"
import { isRetryable } from "../../domain/retryable.ts"
import { SyncConfig } from "../../services/Config.ts"
import { ManifestSource } from "../../services/ManifestSource.ts"
import { StatusRecorder } from "../../services/SyncStatus.ts"
import type { makeTableFibers } from "../table/tableFibers.ts"
import { type ActiveConfig, followedDatasets } from "./ActiveConfig.ts"
import { checkConfig, type ReloadRejected } from "./checkConfig.ts"
import { CheckedTables } from "./CheckedTables.ts"
import { type ConfigChange, fileChanges, serverChanges } from "./configChanges.ts"
import { logUnlisted } from "./logUnlisted.ts"

type TableFibers = Effect.Success<typeof makeTableFibers>

const retrySchedule = backoff("1 second", "30 seconds")
/** Between two warnings about a config that is tried again and again. */
const WARNING_INTERVAL_MILLIS = 10 * 60_000

/**
 * Activates `initial`, and from then on every change of the config and every newly published version of a dataset that is
 * named without one, for as long as this runs. `startFirst` resolves the first config; a change that comes before it is done
 * takes its place.
 *
 * Invariant I5: a change is checked first, and as a whole. Until all of it is good, everything that runs goes on. A newer
 * change interrupts the check of an older one, never its activation.
 */
export const reloadOnChange = Effect.fn("reloadOnChange")(function*<E, R>(
  tables: TableFibers,
  initial: Manifest,
  startFirst: (manifest: Manifest) => Effect.Effect<ActiveConfig, E, R>
) {
  const manifests = yield* ManifestSource
  const { manifest: origin } = yield* SyncConfig
  if (origin._tag === "File") yield* Effect.logInfo(log.watching(origin.path))
  // What may yet become active, in the order in which it does: none of it is lost where a newer change interrupts.
  /** The active config, with what the Admin API answered at last. */
  const known = yield* Ref.make(Option.none<ActiveConfig>())
  /** The newest manifest of the config file. */
  const pending = yield* Ref.make(Option.some(initial))
  /** The active config at other versions, or in the names of a server of the other generation. */
  const published = yield* Ref.make(Option.none<Manifest>())
  /** Also where a newer change interrupts a check, what it found stays. */
  const checks = new WeakMap<Manifest, CheckedTables>()

  const check = (before: ActiveConfig, manifest: Manifest) => {
    const checked = checks.get(manifest) ?? new CheckedTables()
    checks.set(manifest, checked)
    return checkConfig(before, manifest, checked)
  }

  const note = Effect.fnUntraced(function*(change: ConfigChange) {
    switch (change._tag) {
      case "FileChanged": {
        yield* Effect.logInfo(log.manifestChanged)
        const active = yield* SubscriptionRef.get(tables.active)
        if (Result.isSuccess(change.loaded)) return yield* Ref.set(pending, Option.some(change.loaded.success))
        // An invalid config replaces one under check, but not the first one, which is retried until it is valid.
        if (active !== undefined) yield* Ref.set(pending, Option.none())
        return yield* reject(change.loaded.failure.message, log.keepingPrevious)
      }
      case "VersionPublished":
        if (Result.isFailure(change.loaded)) return yield* reject(change.loaded.failure.message, log.keepingPrevious)
        return yield* Ref.set(published, Option.some(change.loaded.success))
      case "AdminApiAnswered":
        // The settings may name tables that the dataset lacks.
        if (origin._tag === "Dataset") yield* Effect.catch(manifests.load, ({ message }) => Effect.logWarning(message))
        return yield* Ref.set(known, Option.some(change.known))
    }
  })

  /** Adds to the active config what its server now reports; tables that read the same go on undisturbed. */
  const activateKnown = Effect.gen(function*() {
    const before = yield* SubscriptionRef.get(tables.active)
    const next = Option.getOrUndefined(yield* Ref.getAndSet(known, Option.none()))
    if (next === undefined || before === undefined || before.sources !== undefined) return
    // An edit that was activated meanwhile is resolved again.
    if (next.config !== before.config) return
    yield* Effect.logInfo(log.adminApiAnswers(datasetId(next.config.dataset), next.info?.version))
    yield* logVersions(before, next)
    yield* logUnlisted(next)
    yield* tables.apply(next)
  })

  const activate = Effect.fnUntraced(function*(next: ActiveConfig, before: ActiveConfig | undefined) {
    const counts = yield* tables.apply(next)
    if (before === undefined && next.config === initial) return
    const { dataset } = next.config
    if (before !== undefined) yield* logVersions(before, next)
    yield* Effect.logInfo(log.reloaded(dataset.name, dataset.revision, next.info?.version))
    yield* Effect.logInfo(log.tablesAfterReload(counts))
    yield* recordOutcome(undefined)
  })

  /** Checks and activates what is wanted; true where something waits for a server or database. */
  const reloadOnce = (reported: Map<Manifest, Reported>) =>
    Effect.uninterruptibleMask(Effect.fnUntraced(function*(restore) {
      yield* activateKnown
      let isWaiting = false
      // An edit comes first: where it becomes active, it does so at the versions that there are now.
      for (const wanted of [pending, published]) {
        const manifest = Option.getOrUndefined(yield* Ref.get(wanted))
        if (manifest === undefined) continue
        const before = yield* SubscriptionRef.get(tables.active)
        const next: Result.Result<ActiveConfig, ReloadRejected> = before === undefined
          // The cause is logged already; only a change of the config helps.
          ? Result.succeed(yield* restore(Effect.catch(startFirst(manifest), () => Effect.never)))
          : yield* restore(Effect.result(check(before, manifest)))
        if (Result.isFailure(next)) {
          reported.set(manifest, yield* reportRejected(next.failure, reported.get(manifest)))
          isWaiting ||= isRetryable(next.failure)
          if (isRetryable(next.failure)) continue
        } else {
          yield* activate(next.success, before)
          yield* Ref.set(published, Option.none())
          // What is still wanted is reported again, as the status has the newest outcome alone.
          reported.clear()
        }
        yield* Ref.update(wanted, Option.filter((newest) => newest !== manifest))
      }
      return isWaiting
    }))

  const reload = Effect.suspend(() =>
    Effect.repeat(reloadOnce(new Map()), ($) => $(retrySchedule).pipe(Schedule.while(({ input }) => input)))
  )

  const onServer = SubscriptionRef.changes(tables.active).pipe(
    Stream.switchMap((active) => active === undefined ? Stream.never : serverChanges(active))
  )
  yield* Stream.merge(fileChanges, onServer).pipe(
    Stream.mapEffect(note),
    Stream.merge(Stream.succeed(undefined)),
    // Changes that come during an activation are handled as one.
    Stream.buffer({ capacity: 1, strategy: "sliding" }),
    Stream.switchMap(() => Stream.fromEffect(reload)),
    Stream.runDrain
  )
  return yield* Effect.die(new Error("the changes of the config came to an end"))
})

/** What is logged and recorded of a config that is tried again. */
interface Reported {
  readonly reason: string
  readonly warnedAtMillis: number
}

/**
 * An outage is logged once for each config that waits for its end, even where its message changes, and again every ten minutes:
 * by then the reason may be another one. The status always has the newest.
 */
const reportRejected = Effect.fnUntraced(function*(error: ReloadRejected, last: Reported | undefined) {
  const [reason, nowMillis] = [error.message, yield* elapsedMillis]
  if (last === undefined || !isRetryable(error)) {
    yield* reject(reason, isRetryable(error) ? log.keepingPreviousForNow : log.keepingPrevious)
    return { reason, warnedAtMillis: nowMillis }
  }
  const isDue = nowMillis - last.warnedAtMillis >= WARNING_INTERVAL_MILLIS
  yield* (isDue ? Effect.logWarning : Effect.logDebug)(log.reloadFailed(reason))
  if (reason !== last.reason) yield* (yield* StatusRecorder).reloadStillFails(reason)
  return { reason, warnedAtMillis: isDue ? nowMillis : last.warnedAtMillis }
})

const reject = Effect.fnUntraced(function*(reason: string, consequence: string) {
  yield* Effect.logError(log.reloadFailed(reason))
  yield* Effect.logWarning(consequence)
  yield* recordOutcome(reason)
})

const recordOutcome = Effect.fnUntraced(function*(reason: string | undefined) {
  const status = yield* StatusRecorder
  yield* status.reloaded(reason)
})

/** Logs the datasets that are read at another version than before, and the warnings that are new. */
const logVersions = Effect.fnUntraced(function*(before: ActiveConfig, next: ActiveConfig) {
  const versions = new Map(followedDatasets(before).map(({ dataset, version }) => [dataset, version]))
  for (const { dataset, version } of followedDatasets(next)) {
    const old = versions.get(dataset)
    versions.delete(dataset)
    if (old !== undefined && old !== version) yield* Effect.logInfo(log.versionTaken(dataset, old, version))
  }
  for (const warning of next.warnings) {
    if (!before.warnings.includes(warning)) yield* Effect.logWarning(warning)
  }
})
