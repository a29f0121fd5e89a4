/** Resolves the names of a config on the server: its own dataset, and the datasets that its queries read. */
import { Effect, Result } from "effect"
import { elapsedMillis } from "../../domain/elapsed.ts"
import * as log from "../../domain/logLines.ts"
import { type DatasetReference, isExactRevision } from "../../domain/manifest/Dataset.ts"
import type { Manifest } from "../../domain/manifest/Manifest.ts"
import { AdminApi, type DatasetInfo, isUnpublished, isUnreachable } from "../../services/AdminApi.ts"
import { SyncConfig } from "../../services/Config.ts"
import { trackPending } from "../timeLimit.ts"
import type { ActiveConfig } from "./ActiveConfig.ts"
import { resolveReferences } from "./resolveReferences.ts"
import { NothingPlanned, resolveWithoutAdminApi } from "./resolveWithoutAdminApi.ts"

/** Server and Admin API often start together; after this time the sync goes on without one that is silent. */
const SILENT_FOR_MILLIS = 5_000

/** Whether an Admin API that was asked first at `sinceMillis` has been silent for long enough. */
export const isGivenUp = Effect.fnUntraced(function*(error: { readonly _tag: string }, sinceMillis: number) {
  return isUnreachable(error) && (yield* elapsedMillis) - sinceMillis >= SILENT_FOR_MILLIS
})

/**
 * Resolves a manifest through the Admin API: its dataset, and everything that its queries name.
 *
 * A dataset that only a config file names as its own need not be published, unless a query reads it.
 */
export const resolveConfig = Effect.fn("resolveConfig")(function*(config: Manifest) {
  const admin = yield* AdminApi
  const own = yield* trackPending("admin API")(ownDataset(config))
  const info = Result.getOrUndefined(own)
  const { manifest, sources, warnings } = yield* trackPending("admin API")(resolveReferences(config, admin))
  const known = info ?? [...sources.values()].flat()[0]
  return {
    config,
    manifest: { ...manifest, dataset: sentDataset(config.dataset, info) },
    dialect: known === undefined ? (yield* resolveWithoutAdminApi(config)).dialect : known.dialect,
    info,
    sources,
    warnings: Result.isFailure(own) ? [...warnings, log.unpublished(own.failure.message)] : warnings
  } satisfies ActiveConfig
})

/** As `resolveConfig`, but goes on without an Admin API that has been silent since `sinceMillis`, with a warning. */
export const resolveWithFallback = Effect.fn("resolveWithFallback")(function*(config: Manifest, sinceMillis: number) {
  return yield* resolveConfig(config).pipe(
    Effect.catch((error) =>
      Effect.gen(function*() {
        if (!(yield* isGivenUp(error, sinceMillis))) return yield* Effect.fail(error)
        const active = yield* Effect.mapError(
          resolveWithoutAdminApi(config),
          (unplanned) => new NothingPlanned({ ...unplanned, adminApi: error.message })
        )
        return { ...active, warnings: [log.withoutAdminApi(error.message)] } satisfies ActiveConfig as ActiveConfig
      })
    )
  )
})

/** The config's own dataset; a failed `Result` where it is not published and need not be. */
const ownDataset = Effect.fnUntraced(function*({ dataset }: Manifest) {
  const [admin, { manifest: origin }] = [yield* AdminApi, yield* SyncConfig]
  const answer = yield* Effect.result(admin.dataset(dataset))
  if (Result.isSuccess(answer) || (origin._tag === "File" && isUnpublished(answer.failure))) return answer
  return yield* Effect.fail(answer.failure)
})

const sentDataset = (dataset: DatasetReference, info: DatasetInfo | undefined): DatasetReference =>
  info !== undefined && (info.dialect === "amp" || isExactRevision(dataset.revision))
    ? { ...dataset, revision: info.version }
    : dataset
