import { Duration, Effect, Queue, Ref, Result, Schedule, Stream } from "effect"
import { backoff } from "../domain/backoff.ts"
import * as log from "../domain/logLines.ts"
import { datasetId } from "../domain/manifest/Dataset.ts"
import type { Manifest } from "../domain/manifest/Manifest.ts"
import { isRetryable } from "../domain/retryable.ts"
import { AdminApi, isSilent } from "../services/AdminApi.ts"
import { SyncConfig } from "../services/Config.ts"
import { type LoadError, ManifestSource } from "../services/ManifestSource.ts"
import { StatusRecorder } from "../services/SyncStatus.ts"
import { checkGeneration, type ReloadRefused } from "./checkGeneration.ts"
import { type FollowedDataset, followedDatasets, type Generation } from "./Generation.ts"
import { logUnlisted } from "./logUnlisted.ts"
import { resolveGeneration } from "./resolveGeneration.ts"
import { lookUp } from "./resolveReferences.ts"
import type { makeTableFibers } from "./tableFibers.ts"

type TableFibers = Effect.Success<typeof makeTableFibers>

type Loaded = Result.Result<Manifest, LoadError>

const patience = backoff("1 second", "30 seconds")

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
  const { manifest: origin } = yield* SyncConfig
  // Of changes that come faster than they are taken, the newest is all that counts.
  const changes = yield* Queue.sliding<Loaded>(1)
  yield* Effect.forkScoped(Stream.runForEach(manifests.changes, (loaded) => Queue.offer(changes, loaded)))
  if (origin._tag === "File") yield* Effect.logInfo(log.watching(origin.path))

  /** What `work` gives, or nothing when a change comes before it is done. */
  const untilChange = <A, E2, R2>(work: Effect.Effect<A, E2, R2>) =>
    Effect.raceFirst(work, Effect.as(Queue.peek(changes), undefined))

  const takeFromFile = Effect.tap(Queue.take(changes), () => Effect.logInfo(log.manifestChanged))

  const putIntoForce = Effect.fnUntraced(function*(next: Generation, before?: Generation) {
    const counts = yield* tables.apply(next)
    const { dataset } = next.config
    if (before !== undefined) yield* noteVersions(before, next)
    yield* Effect.logInfo(log.reloaded(dataset.name, dataset.revision ?? next.info?.version))
    yield* Effect.logInfo(log.tablesAfterReload(counts))
    yield* noteOutcome(undefined)
    return next
  })

  /** Begins with the newest manifest there is: a config that is no good does not take the place of one that is waited for. */
  const reachFirst = Effect.gen(function*() {
    let wanted = initial
    for (;;) {
      // What went wrong is told where it did; a change is waited for.
      const first = yield* untilChange(Effect.catch(begin(wanted), () => Effect.never))
      if (first !== undefined) {
        if (wanted !== initial) return yield* putIntoForce(first)
        yield* tables.apply(first)
        return first
      }
      const change = yield* takeFromFile
      if (Result.isSuccess(change)) wanted = change.success
      else yield* refuse(change.failure.message, log.keepingPrevious)
    }
  })

  /** Nothing that runs is disturbed by what was not known before. */
  const learn = Effect.fnUntraced(function*(before: Generation, next: Generation) {
    yield* Effect.logInfo(log.adminApiAnswers(datasetId(next.config.dataset), next.info?.version))
    yield* noteVersions(before, next)
    yield* logUnlisted(next)
    // The settings may name tables that the dataset lacks.
    if (origin._tag === "Dataset") yield* Effect.catch(manifests.load, ({ message }) => Effect.logWarning(message))
    yield* tables.apply(next)
    return next
  })

  const refusedVersion = yield* Ref.make<string | undefined>(undefined)
  const takeChange = Effect.fnUntraced(function*(current: Generation) {
    if (current.sources === undefined) {
      const known = yield* untilChange(untilKnown(current))
      if (known !== undefined) return yield* learn(current, known)
    }
    // Looks before it takes: what is taken by the one who loses a race would be lost.
    const published = current.sources === undefined
      ? undefined
      : yield* untilChange(newVersion(current, refusedVersion))
    const change = published?.manifest ?? (yield* takeFromFile)
    if (Result.isFailure(change)) return void (yield* refuse(change.failure.message, log.keepingPrevious))
    const next = yield* untilChange(untilGood(current, change.success)).pipe(
      Effect.tapError(() => published === undefined ? Effect.void : Ref.set(refusedVersion, published.versions))
    )
    return next === undefined ? undefined : yield* putIntoForce(next, current)
  })
  let current = yield* reachFirst
  for (;;) current = (yield* Effect.orElseSucceed(takeChange(current), () => undefined)) ?? current
}, Effect.scoped)

/** Checks until it is good, or can never be. What is down is waited for, and said once, however its words change. */
const untilGood = Effect.fnUntraced(function*(current: Generation, manifest: Manifest) {
  const waiting = yield* Ref.make(false)
  const tell = (error: ReloadRefused) =>
    Effect.gen(function*() {
      if (!isRetryable(error)) return yield* refuse(error.message, log.keepingPrevious)
      if (yield* Ref.getAndSet(waiting, true)) return yield* Effect.logDebug(log.reloadFailed(error.message))
      yield* refuse(error.message, log.keepingPreviousForNow)
    })
  return yield* checkGeneration(current, manifest).pipe(
    Effect.tapError(tell),
    Effect.retry(($) => $(patience).pipe(Schedule.while(({ input }) => isRetryable(input))))
  )
})

const refuse = Effect.fnUntraced(function*(reason: string, consequence: string) {
  yield* Effect.logError(log.reloadFailed(reason))
  yield* Effect.logWarning(consequence)
  yield* noteOutcome(reason)
})

const noteOutcome = Effect.fnUntraced(function*(reason: string | undefined) {
  const status = yield* StatusRecorder
  yield* status.reloaded(reason)
})

/** What is read otherwise than before, and what cannot be read as it is configured. */
const noteVersions = Effect.fnUntraced(function*(before: Generation, next: Generation) {
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

/** An Admin API that was gone on without is asked again after so long, then after twice as long, and at last every minute. */
const ASK_AGAIN_SECONDS = 5

/** Waits until the Admin API answers for everything that a generation names. */
const untilKnown = Effect.fnUntraced(function*({ config }: Generation) {
  let reported: string | undefined
  for (let seconds = ASK_AGAIN_SECONDS;; seconds = Math.min(60, 2 * seconds)) {
    const answer = yield* Effect.result(Effect.delay(resolveGeneration(config), Duration.seconds(seconds)))
    if (Result.isSuccess(answer)) return answer.success
    const { message } = answer.failure
    // What runs goes on, but a config that the server contradicts is one that does not start again.
    const level = isSilent(answer.failure) || message === reported ? Effect.logDebug : Effect.logWarning
    yield* level(message)
    reported = message
  }
})

/**
 * Waits until the server has another version than the one in use of a dataset that is named without one, where that is asked
 * for. The versions that were refused together are not tried again.
 */
const newVersion = Effect.fnUntraced(
  function*(current: Generation, refused: Ref.Ref<string | undefined>) {
    const { versionPollInterval } = yield* SyncConfig
    const followed = followedDatasets(current)
    if (versionPollInterval === undefined || followed.length === 0) return yield* Effect.never
    const [admin, manifests] = [yield* AdminApi, yield* ManifestSource]
    const { dialect } = current
    const known = [versionsKey(followed), yield* Ref.get(refused)]
    const ask = Effect.forEach(
      followed,
      (one) =>
        Effect.map(lookUp(admin, one.reference), (info) => ({ ...one, version: info.version, dialect: info.dialect }))
    )
    const found = yield* Effect.delay(ask, versionPollInterval).pipe(
      // A server that does not answer has nothing new to say.
      Effect.catch((error) => Effect.as(Effect.logDebug(error.message), followed.map((one) => ({ ...one, dialect })))),
      Effect.repeat({
        while: (now) => known.includes(versionsKey(now)) && now.every((one) => one.dialect === dialect)
      })
    )
    for (const [index, { dataset, version }] of found.entries()) {
      if (followed[index]?.version !== version) yield* Effect.logInfo(log.newVersion(dataset, version))
    }
    // The names of tables are written otherwise in the other dialect.
    const isSameDialect = found.every((one) => one.dialect === dialect)
    return {
      versions: versionsKey(found),
      manifest: isSameDialect ? Result.succeed(current.config) : yield* Effect.result(manifests.load)
    }
  }
)

const versionsKey = (followed: ReadonlyArray<FollowedDataset>): string =>
  JSON.stringify(followed.map(({ version }) => version))
