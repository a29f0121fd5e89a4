import { Effect, Metric, Queue, Ref, Result, Schedule, Stream } from "effect"
import { backoff } from "../domain/backoff.ts"
import { datasetId } from "../domain/Dataset.ts"
import type { Manifest } from "../domain/Manifest.ts"
import { AdminApi } from "../services/AdminApi.ts"
import { AmpsyncConfig } from "../services/Config.ts"
import { type LoadError, ManifestSource } from "../services/ManifestSource.ts"
import { SyncStatus } from "../services/SyncStatus.ts"
import { checkGeneration, type ReloadRefused } from "./checkGeneration.ts"
import { type Generation, namesExactVersion } from "./Generation.ts"
import * as log from "./logLines.ts"
import type { makeTableFibers } from "./tableFibers.ts"

type TableFibers = Effect.Success<typeof makeTableFibers>

type Loaded = Result.Result<Manifest, LoadError>

const patience = backoff("1 second", "30 seconds")

const reloads = Metric.counter("ampsync_reloads_total", {
  description: "Changes of the config or of the dataset's version, by outcome",
  incremental: true
})

/**
 * Takes every change of the config, and every newly published version of a dataset that is named without one, for as long
 * as this runs. `begin` puts the first manifest into force; a change that comes before it has takes its place.
 *
 * Invariant I5: a change is checked first, and as a whole. Until all of it is good, everything that runs goes on.
 */
export const reloadOnChange = Effect.fn("reloadOnChange")(function*<E, R>(
  tables: TableFibers,
  initial: Manifest,
  begin: (manifest: Manifest) => Effect.Effect<Generation, E, R>
) {
  const manifests = yield* ManifestSource
  const { manifest: origin } = yield* AmpsyncConfig
  // Of changes that come faster than they are taken, the newest is all that counts.
  const changes = yield* Queue.sliding<Loaded>(1)
  yield* Effect.forkScoped(Stream.runForEach(manifests.changes, (loaded) => Queue.offer(changes, loaded)))
  if (origin._tag === "File") yield* Effect.logInfo(log.watching(origin.path))

  /** Works on one manifest until it is in force, refused, or out of date. */
  const reach = Effect.fnUntraced(function*(manifest: Manifest) {
    const current = yield* tables.generation
    const check = Effect.gen(function*() {
      return current === undefined ? yield* begin(manifest) : yield* untilGood(current, manifest)
    })
    const next = yield* Effect.raceFirst(check, Effect.as(Queue.peek(changes), undefined))
    return next === undefined ? undefined : { next, counts: yield* tables.apply(next) }
  })

  const takeChange = Effect.gen(function*() {
    const change = yield* nextChange(changes, tables)
    if (Result.isFailure(change)) return yield* refuse(change.failure.message, log.keepingPrevious)
    const reached = yield* reach(change.success)
    if (reached === undefined) return
    const { dataset } = change.success
    yield* Effect.logInfo(log.reloaded(dataset.name, dataset.revision ?? reached.next.info.version))
    yield* Effect.logInfo(log.tablesAfterReload(reached.counts))
    yield* noteOutcome(undefined)
  })
  yield* Effect.ignore(reach(initial))
  // What went wrong is told where it did; the next change is waited for.
  return yield* Effect.forever(Effect.ignore(takeChange))
}, Effect.scoped)

/** Waits for the file, or for the server, whichever comes first. */
const nextChange = Effect.fnUntraced(function*(changes: Queue.Queue<Loaded>, tables: TableFibers) {
  const current = yield* tables.generation
  const published = current === undefined ? Effect.never : newVersion(current)
  // Looks before it takes: what is taken by the one who loses a race would be lost.
  const version = yield* Effect.raceFirst(Effect.as(Queue.peek(changes), undefined), published)
  if (version !== undefined) return version
  const loaded = yield* Queue.take(changes)
  yield* Effect.logInfo(log.manifestChanged)
  return loaded
})

/** Checks until it is good, or can never be. What is down is waited for, and said once. */
const untilGood = Effect.fnUntraced(function*(current: Generation, manifest: Manifest) {
  const told = yield* Ref.make("")
  const tell = (error: ReloadRefused) =>
    Effect.gen(function*() {
      if ((yield* Ref.getAndSet(told, error.message)) === error.message) return
      yield* refuse(error.message, error.retryable ? log.keepingPreviousForNow : log.keepingPrevious)
    })
  return yield* checkGeneration(current, manifest).pipe(
    Effect.tapError(tell),
    Effect.retry(($) => $(patience).pipe(Schedule.while(({ input }) => input.retryable)))
  )
})

const refuse = Effect.fnUntraced(function*(reason: string, consequence: string) {
  yield* Effect.logError(log.reloadFailed(reason))
  yield* Effect.logWarning(consequence)
  yield* noteOutcome(reason)
})

const noteOutcome = Effect.fnUntraced(function*(reason: string | undefined) {
  const status = yield* SyncStatus
  yield* status.reloaded(reason)
  yield* Metric.update(Metric.withAttributes(reloads, { outcome: reason === undefined ? "applied" : "failed" }), 1)
})

/** Waits until the server has another version than the one in use, where that is asked for and no version is named. */
const newVersion = Effect.fnUntraced(function*({ info, manifest }: Generation) {
  const { versionPollInterval } = yield* AmpsyncConfig
  if (versionPollInterval === undefined || namesExactVersion(manifest)) return yield* Effect.never
  const [admin, manifests] = [yield* AdminApi, yield* ManifestSource]
  const published = yield* Effect.delay(admin.dataset(manifest.dataset), versionPollInterval).pipe(
    // A server that does not answer has nothing new to say.
    Effect.catch((error) => Effect.as(Effect.logDebug(error.message), info)),
    Effect.repeat({ while: ({ dialect, version }) => version === info.version && dialect === info.dialect })
  )
  yield* Effect.logInfo(log.newVersion(datasetId(manifest.dataset), published.version))
  // The names of tables are written otherwise in the other dialect.
  return published.dialect === info.dialect ? Result.succeed(manifest) : yield* Effect.result(manifests.load)
})
