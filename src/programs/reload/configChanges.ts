/** The events after which another config may have to be activated: changes of the file and changes on the server. */
import { Duration, Effect, Result, Stream } from "effect"
import * as log from "../../domain/logLines.ts"
import type { Manifest } from "../../domain/manifest/Manifest.ts"
import { AdminApi, isUnreachable } from "../../services/AdminApi.ts"
import { SyncConfig } from "../../services/Config.ts"
import type { FlightClient } from "../../services/FlightClient.ts"
import { type LoadError, ManifestSource } from "../../services/ManifestSource.ts"
import { type ActiveConfig, type FollowedDataset, followedDatasets } from "./ActiveConfig.ts"
import { resolveConfig } from "./resolveConfig.ts"
import { lookUp } from "./resolveReferences.ts"

export type LoadedManifest = Result.Result<Manifest, LoadError>

export type ConfigChange =
  | { readonly _tag: "FileChanged"; readonly loaded: LoadedManifest }
  /** The server has another version of a dataset that the active config names without one, or is of the other generation. */
  | { readonly _tag: "VersionPublished"; readonly loaded: LoadedManifest }
  /** The Admin API answers that was silent when the active config was resolved. */
  | { readonly _tag: "AdminApiAnswered"; readonly known: ActiveConfig }

/** Changes of the config file. */
export const fileChanges = Stream.unwrap(
  Effect.map(
    ManifestSource,
    ({ changes }) => Stream.map(changes, (loaded): ConfigChange => ({ _tag: "FileChanged", loaded }))
  )
)

/** Changes on the server, for as long as `active` is the active config. */
export const serverChanges = (
  active: ActiveConfig
): Stream.Stream<ConfigChange, never, AdminApi | FlightClient | ManifestSource | SyncConfig> =>
  active.sources === undefined ? adminApiAnswers(active) : publishedVersions(active)

/** First delay until an Admin API that was skipped is asked again; it doubles up to a minute. */
const FIRST_RETRY_SECONDS = 5

const adminApiAnswers = ({ config }: ActiveConfig) =>
  Stream.fromEffectRepeat(Effect.gen(function*() {
    let reported: string | undefined
    for (let seconds = FIRST_RETRY_SECONDS;; seconds = Math.min(60, 2 * seconds)) {
      const answer = yield* Effect.result(Effect.delay(resolveConfig(config), Duration.seconds(seconds)))
      if (Result.isSuccess(answer)) {
        return { _tag: "AdminApiAnswered", known: answer.success } satisfies ConfigChange as ConfigChange
      }
      const { message } = answer.failure
      // The active config keeps running, but one that the server contradicts would not start again.
      const level = isUnreachable(answer.failure) || message === reported ? Effect.logDebug : Effect.logWarning
      yield* level(message)
      reported = message
    }
  }))

/** Each set of versions is emitted once: one that was rejected is not tried again. */
const publishedVersions = (active: ActiveConfig) =>
  Stream.unwrap(Effect.gen(function*() {
    const { versionPollInterval } = yield* SyncConfig
    const [admin, manifests] = [yield* AdminApi, yield* ManifestSource]
    const inUse = followedDatasets(active).map((one) => ({ ...one, dialect: active.dialect }))
    if (versionPollInterval === undefined || inUse.length === 0) return Stream.never
    const ask = Effect.forEach(
      inUse,
      (one) => Effect.map(lookUp(admin, one.reference), ({ dialect, version }) => ({ ...one, dialect, version }))
    ).pipe(
      // A server that does not answer has nothing new to report.
      Effect.catch((error) => Effect.as(Effect.logDebug(error.message), inUse))
    )
    return Stream.fromEffectRepeat(Effect.delay(ask, versionPollInterval)).pipe(
      Stream.filter((found) => versionsKey(found) !== versionsKey(inUse)),
      Stream.changesWith((before, found) => versionsKey(before) === versionsKey(found)),
      Stream.mapEffect(Effect.fnUntraced(function*(found) {
        for (const [index, { dataset, version }] of found.entries()) {
          if (inUse[index]?.version !== version) yield* Effect.logInfo(log.newVersion(dataset, version))
        }
        // The other dialect writes the names of tables differently.
        const isSameDialect = found.every(({ dialect }) => dialect === (active.dialect ?? dialect))
        const loaded: LoadedManifest = isSameDialect
          ? Result.succeed(active.config)
          : yield* Effect.result(manifests.load)
        return { _tag: "VersionPublished", loaded } satisfies ConfigChange as ConfigChange
      }))
    )
  }))

const versionsKey = (found: ReadonlyArray<FollowedDataset & Pick<ActiveConfig, "dialect">>): string =>
  JSON.stringify(found.map(({ dialect, version }) => [dialect, version]))
