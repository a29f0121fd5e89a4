/** Checks of the config file and of the servers that the sync reads. */
import { Clock, Deferred, Effect, Option, Result } from "effect"
import { ANY_BLOCK } from "../../../domain/chain/sourceHead.ts"
import { ok, problem, skipped, warning } from "../../../domain/health/Finding.ts"
import { headFinding } from "../../../domain/health/serverFindings.ts"
import { datasetId, type DatasetReference, formatDatasetReference } from "../../../domain/manifest/Dataset.ts"
import type { Manifest } from "../../../domain/manifest/Manifest.ts"
import { counted } from "../../../domain/numbers.ts"
import { AdminApi, isUnpublished, isUnreachable } from "../../../services/AdminApi.ts"
import type { SyncConfig, SyncSettings } from "../../../services/Config.ts"
import { FlightClient } from "../../../services/FlightClient.ts"
import { ManifestSource } from "../../../services/ManifestSource.ts"
import { SourceHead } from "../../../services/SourceHead.ts"
import { type ActiveConfig, expectedNetwork } from "../../reload/ActiveConfig.ts"
import { loadManifest } from "../../reload/loadManifest.ts"
import { resolveWithFallback } from "../../reload/resolveConfig.ts"
import { isAboutQuery } from "../../reload/resolveWithoutAdminApi.ts"
import { trackPending } from "../../timeLimit.ts"
import type { CheckSpec } from "./runChecks.ts"

/** What the checks are run with. */
export type ServerServices = AdminApi | FlightClient | ManifestSource | SourceHead | SyncConfig

/** What the checks hand on. */
export interface Found {
  /** None where the config file is wrong. */
  readonly manifest: Deferred.Deferred<Option.Option<Manifest>>
  readonly active: Deferred.Deferred<ActiveConfig>
}

/** A dataset that no server has: the answer that it is not there is an answer. */
const nobody: DatasetReference = { namespace: "_", name: "ampsync_doctor", revision: undefined }

/** The network of a dataset that is read, where the config has none: a sync takes it from the stream. */
const networkOfSource = Effect.fnUntraced(function*({ sources }: ActiveConfig) {
  const [source] = [...sources?.values() ?? []].flat()
  if (source === undefined) return undefined
  const found = yield* Effect.option(trackPending("admin API")((yield* AdminApi).dataset(source.reference)))
  return Option.getOrUndefined(found)?.tables.find(({ network }) => network !== undefined)?.network
})

export const serverChecks = (
  { adminAddr, flightAddr, manifest: origin }: SyncSettings,
  { active, manifest }: Found
): ReadonlyArray<CheckSpec<ServerServices>> => {
  const config: CheckSpec<ManifestSource> = {
    id: "config",
    title: "Config file",
    needs: [],
    run: origin._tag === "Dataset"
      ? Effect.as(Deferred.succeed(manifest, Option.none()), skipped("DATASET and TABLES stand in its place"))
      : trackPending("config file")(Effect.flatMap(ManifestSource, ({ load }) => load)).pipe(
        Effect.tap((loaded) => Deferred.succeed(manifest, Option.some(loaded))),
        Effect.map(({ tables }) =>
          ok(`${counted(tables.length, "table")}: ${tables.map(({ name }) => name).join(", ")}`)
        ),
        Effect.ensuring(Deferred.succeed(manifest, Option.none()))
      )
  }

  const adminApi: CheckSpec<AdminApi | SyncConfig> = {
    id: "admin-api",
    title: "Admin API",
    needs: [],
    run: Effect.gen(function*() {
      const loaded = yield* Deferred.await(manifest)
      const reference = origin._tag === "Dataset"
        ? origin.reference
        : Option.match(loaded, { onNone: () => nobody, onSome: ({ dataset }) => dataset })
      const answer = yield* Effect.result(trackPending("admin API")((yield* AdminApi).dataset(reference)))
      if (Result.isSuccess(answer)) {
        const { dialect, version } = answer.success
        return ok(`${adminAddr.origin}: dialect ${dialect}; dataset ${datasetId(answer.success)} ${version}`)
      }
      const error = answer.failure
      if (isUnreachable(error)) {
        return warning(
          error.message,
          "check AMP_ADMIN_API_ADDR; a sync goes on without it, but then names and versions are not checked"
        )
      }
      if (isUnpublished(error) && origin._tag === "File") {
        return ok(`${adminAddr.origin} answers; ${formatDatasetReference(reference)} is not published, and need not be`)
      }
      return problem(error.message, "check AMP_ADMIN_API_ADDR, AMP_AUTH_TOKEN and the name of the dataset")
    })
  }

  const flight: CheckSpec<FlightClient | SyncConfig> = {
    id: "flight",
    title: "Arrow Flight",
    needs: [],
    run: Effect.gen(function*() {
      const answer = yield* Effect.result(trackPending("flight")((yield* FlightClient).schema("SELECT 1")))
      // A server that refuses the query has accepted the connection and the token.
      if (Result.isSuccess(answer) || isAboutQuery(answer.failure)) return ok(`${flightAddr.origin} answers`)
      const { message, status } = answer.failure
      return status === "UNAUTHENTICATED" || status === "PERMISSION_DENIED"
        ? problem(`${flightAddr.origin}: ${message}`, "check AMP_AUTH_TOKEN")
        : problem(`${flightAddr.origin}: ${message}`, "check AMP_FLIGHT_ADDR, and whether the server runs")
    })
  }

  const dataset: CheckSpec<AdminApi | FlightClient | ManifestSource | SyncConfig> = {
    id: "dataset",
    title: "Datasets of the queries",
    // What is wrong with the Admin API is not reported a second time, as if the names were wrong.
    needs: origin._tag === "Dataset" ? ["admin-api", "flight"] : ["config", "admin-api", "flight"],
    run: Effect.gen(function*() {
      const loaded = Option.getOrUndefined(yield* Deferred.await(manifest)) ?? (yield* loadManifest(isUnreachable))
      // As if the Admin API had been silent since 1970: a check does not wait for it.
      const resolved = yield* resolveWithFallback(loaded, 0)
      yield* Deferred.succeed(active, resolved)
      const { dialect, info, manifest: { dataset: own }, warnings } = resolved
      if (warnings.length > 0) {
        return warning(warnings.join(". "), "correct name, namespace and dependencies of the config")
      }
      return ok(
        `${formatDatasetReference(own)}${info === undefined ? "" : ` (${info.version})`}, names as ${
          dialect ?? "they are"
        }`
      )
    }).pipe(
      Effect.catch(({ message }) =>
        Effect.succeed(
          problem(message, "correct name, namespace and dependencies of the config, or DATASET and TABLES")
        )
      )
    )
  }

  const head: CheckSpec<AdminApi | SourceHead | SyncConfig> = {
    id: "head",
    title: "Newest block of the source",
    needs: ["dataset"],
    run: Effect.gen(function*() {
      const config = yield* Deferred.await(active)
      const network = config.manifest.tables.map((table) =>
        expectedNetwork(config, table)
      ).find((name) => name !== undefined) ?? (yield* networkOfSource(config))
      if (network === undefined) {
        return skipped(
          "neither the Admin API nor the config names a network; add network to the config, such as \"mainnet\""
        )
      }
      const answer = yield* Effect.result(
        trackPending("flight")((yield* SourceHead).check(config.manifest, network, ANY_BLOCK))
      )
      if (Result.isFailure(answer)) {
        return warning(
          answer.failure.message,
          "make the blocks table of the network readable: add its raw dataset to dependencies; without it the lag is unknown"
        )
      }
      const { head: found } = answer.success
      if (found === undefined) return warning(`network "${network}" has no block yet`, "wait until the server has one")
      const now = yield* Clock.currentTimeMillis
      const age = found.atSeconds === undefined ? undefined : now - found.atSeconds * 1_000
      return headFinding(
        `network "${network}" is at block ${found.block}${found.isExact ? "" : " or a later one"}`,
        age
      )
    })
  }

  return [config, adminApi, flight, dataset, head]
}
