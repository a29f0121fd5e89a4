/** `AdminApi` over HTTP, for servers of both generations. */
import { Effect, Layer } from "effect"
import { HttpClient } from "effect/http"
import { type DatasetReference, type Dialect, formatDatasetReference } from "../domain/manifest/Dataset.ts"
import { AdminApi, AdminApiError } from "../services/AdminApi.ts"
import { SyncConfig, type SyncSettings } from "../services/Config.ts"
import { readAmp } from "./admin-api/amp.ts"
import { findBlocksTable } from "./admin-api/findBlocksTable.ts"
import { listDatasets } from "./admin-api/listDatasets.ts"
import { readNozzle } from "./admin-api/nozzle.ts"
import type { RegisteredDataset } from "./admin-api/RegisteredDataset.ts"
import { type Failure, failure, type Get, makeGet } from "./admin-api/request.ts"

type Server = Pick<SyncSettings, "adminAddr" | "authToken">

const make = Effect.fnUntraced(function*(settings: Server) {
  const get = makeGet(yield* HttpClient.HttpClient, settings)
  return AdminApi.of({
    datasets: Effect.mapError(
      listDatasets(get),
      (error) => new AdminApiError({ operation: "datasets", dataset: "", ...error })
    ),
    dataset: Effect.fn("AdminApi.dataset")((reference) =>
      Effect.mapBoth(loader(get)(reference), {
        onFailure: (error) =>
          new AdminApiError({ operation: "dataset", dataset: formatDatasetReference(reference), ...error }),
        onSuccess: ({ info }) => info
      })
    ),
    blocksTable: Effect.fn("AdminApi.blocksTable")((manifest, network) =>
      Effect.mapError(
        findBlocksTable(loader(get), manifest, network),
        (error) =>
          new AdminApiError({ operation: "blocksTable", dataset: formatDatasetReference(manifest.dataset), ...error })
      )
    )
  })
})

/**
 * Reads datasets from a server of either generation. The detected generation holds for one operation only: the server may
 * have been upgraded by the next one.
 */
const loader = (get: Get): (reference: DatasetReference) => Effect.Effect<RegisteredDataset, Failure> => {
  let dialect: Dialect | undefined
  return Effect.fnUntraced(function*(reference) {
    if (dialect !== "nozzle") {
      const dataset: RegisteredDataset | undefined = yield* Effect.catchIf(
        readAmp(get, reference),
        // Once a server has answered as amp, a missing path is an error like any other.
        (error) => error.reason === "NoSuchRoute" && dialect === undefined,
        () => Effect.succeed(undefined)
      )
      if (dataset !== undefined) {
        dialect = "amp"
        return dataset
      }
    }
    const dataset = yield* readNozzle(get, reference).pipe(
      Effect.mapError((error) => error.reason === "NoSuchRoute" ? noAdminApi(error) : error),
      // Only amp responds so: a gateway without its server may have hidden the path before.
      Effect.catchIf(
        (error) => error.code === "INVALID_PATH",
        () =>
          Effect.mapError(
            readAmp(get, reference),
            (error) => error.reason === "NoSuchRoute" ? { ...error, retryable: true } : error
          )
      )
    )
    dialect = dataset.info.dialect
    return dataset
  })
}

const noAdminApi = (error: Failure): Failure =>
  failure(
    "NoSuchRoute",
    "the server is not an Admin API of a known generation; check AMP_ADMIN_API_ADDR",
    {
      status: error.status
    }
  )

export const layer: Layer.Layer<AdminApi, never, SyncConfig | HttpClient.HttpClient> = Layer.effect(
  AdminApi,
  Effect.flatMap(SyncConfig, make)
)

/** As `layer`, for one server, without the settings of a sync. */
export const layerOn = (server: Server): Layer.Layer<AdminApi, never, HttpClient.HttpClient> =>
  Layer.effect(AdminApi, make(server))
