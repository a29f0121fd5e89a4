/** `AdminApi` over HTTP, for servers of both generations. */
import { Effect, Layer } from "effect"
import { HttpClient } from "effect/http"
import { type DatasetReference, type Dialect, formatDatasetReference } from "../domain/manifest/Dataset.ts"
import { AdminApi, AdminApiError } from "../services/AdminApi.ts"
import { SyncConfig } from "../services/Config.ts"
import { readAmp } from "./admin-api/amp.ts"
import { findBlocksTable } from "./admin-api/findBlocksTable.ts"
import { readNozzle } from "./admin-api/nozzle.ts"
import type { RegisteredDataset } from "./admin-api/RegisteredDataset.ts"
import { type Failure, failure, type Get, makeGet } from "./admin-api/request.ts"

const make = Effect.gen(function*() {
  const settings = yield* SyncConfig
  const get = makeGet(yield* HttpClient.HttpClient, settings)
  return AdminApi.of({
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
 * Reads datasets of whichever generation answers. What it learns lives as long as one question: the server may be another
 * one the next time, after an upgrade.
 */
const loader = (get: Get): (reference: DatasetReference) => Effect.Effect<RegisteredDataset, Failure> => {
  let dialect: Dialect | undefined
  return Effect.fnUntraced(function*(reference) {
    if (dialect !== "nozzle") {
      const answer: RegisteredDataset | undefined = yield* Effect.catchIf(
        readAmp(get, reference),
        // Once a server is known to have namespaces, a missing path is an error like any other.
        (error) => error.reason === "NoSuchRoute" && dialect === undefined,
        () => Effect.succeed(undefined)
      )
      if (answer !== undefined) {
        dialect = "amp"
        return answer
      }
    }
    const answer = yield* readNozzle(get, reference).pipe(
      Effect.mapError((error) => error.reason === "NoSuchRoute" ? noAdminApi(error) : error),
      // The answer of the present generation: what hid its path, as a gateway whose server is away, may be over.
      Effect.catchIf(
        (error) => error.code === "INVALID_PATH",
        () =>
          Effect.mapError(
            readAmp(get, reference),
            (error) => error.reason === "NoSuchRoute" ? { ...error, retryable: true } : error
          )
      )
    )
    dialect = answer.info.dialect
    return answer
  })
}

const noAdminApi = (error: Failure): Failure =>
  failure("NoSuchRoute", "the server there is not an Admin API of a known generation; check AMP_ADMIN_API_ADDR", {
    status: error.status
  })

export const layer: Layer.Layer<AdminApi, never, SyncConfig | HttpClient.HttpClient> = Layer.effect(AdminApi, make)
