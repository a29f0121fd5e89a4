/** Loads the manifest, also where the Admin API does not answer. */
import { Effect, Result, Schedule } from "effect"
import { backoff } from "../../domain/backoff.ts"
import { elapsedMillis } from "../../domain/elapsed.ts"
import * as log from "../../domain/logLines.ts"
import { inTarget } from "../../domain/logTargets.ts"
import { type Dialect, formatDatasetReference } from "../../domain/manifest/Dataset.ts"
import { datasetManifest } from "../../domain/manifest/datasetManifest.ts"
import type { Manifest } from "../../domain/manifest/Manifest.ts"
import type { TableSpec } from "../../domain/manifest/TableSpec.ts"
import { type ManifestOrigin, SyncConfig } from "../../services/Config.ts"
import { FlightClient } from "../../services/FlightClient.ts"
import { type LoadError, ManifestError, ManifestSource } from "../../services/ManifestSource.ts"
import { trackPending } from "../timeLimit.ts"
import { isGivenUp } from "./resolveConfig.ts"
import { isAboutQuery } from "./resolveWithoutAdminApi.ts"

const retrySchedule = backoff("500 millis", "30 seconds")

/**
 * Retries the errors that `shouldRetry` accepts, and fails with any other. The tables of a dataset that the settings name
 * are looked up over Flight once the Admin API was silent for some seconds.
 */
export const loadManifest = Effect.fn("loadManifest")(function*(shouldRetry: (error: LoadError) => boolean) {
  const [manifests, { manifest: origin }] = [yield* ManifestSource, yield* SyncConfig]
  const sinceMillis = yield* elapsedMillis
  return yield* trackPending("admin API")(manifests.load).pipe(
    Effect.catch((error) =>
      Effect.flatMap(
        isGivenUp(error, sinceMillis),
        (isGivenUp) => isGivenUp && origin._tag === "Dataset" ? manifestFromFlight(origin, error) : Effect.fail(error)
      )
    ),
    Effect.retry(($) =>
      $(retrySchedule).pipe(
        Schedule.while(({ input }) => shouldRetry(input)),
        Schedule.tap(({ duration, input }) => Effect.logWarning(log.tryingAgain(input.message, duration)))
      )
    )
  )
}, inTarget("ampsync::reload"))

/** Tries the names of tables as each generation writes them; fails with `error` where the server plans none of them. */
const manifestFromFlight = Effect.fn("manifestFromFlight")(function*(
  { reference, tables }: Extract<ManifestOrigin, { readonly _tag: "Dataset" }>,
  error: LoadError
): Effect.fn.Return<Manifest, LoadError, FlightClient | SyncConfig> {
  for (const dialect of ["amp", "nozzle"] satisfies ReadonlyArray<Dialect>) {
    const manifest = datasetManifest(reference, dialect, tables)
    if (Result.isFailure(manifest)) return yield* unusable(reference, manifest.failure)
    const answers = yield* Effect.forEach(manifest.success.tables, (table) => Effect.result(checkPlanned(table)))
    const failures = answers.flatMap((answer) => Result.isFailure(answer) ? [answer.failure] : [])
    if (failures.length === 0) return manifest.success
    const isDown = failures.some(({ cause }) => !isAboutQuery(cause))
    if (failures.length < answers.length && !isDown) return yield* unusable(reference, failures.map((_) => _.problem))
    yield* Effect.logWarning(log.notOverFlight(formatDatasetReference(reference), failures[0]!.cause.message))
    if (isDown) break
  }
  return yield* Effect.fail(error)
})

const checkPlanned = Effect.fnUntraced(function*({ name, query }: TableSpec) {
  const flight = yield* FlightClient
  yield* Effect.mapError(
    trackPending("flight")(flight.schema(query.batch)),
    (cause) => ({ cause, problem: `table ${JSON.stringify(name)}: ${cause.message}` })
  )
})

const unusable = (reference: Parameters<typeof formatDatasetReference>[0], problems: ReadonlyArray<string>) =>
  Effect.fail(
    new ManifestError({
      operation: "select",
      path: formatDatasetReference(reference),
      file: undefined,
      line: undefined,
      problems
    })
  )
