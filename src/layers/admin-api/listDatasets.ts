/** The list of datasets, of either generation: only the present one has namespaces. */
import { Effect, Schema } from "effect"
import { type DatasetReference, defaultNamespace } from "../../domain/manifest/Dataset.ts"
import { type Get, getDecoded } from "./request.ts"

const Datasets = Schema.Struct({
  datasets: Schema.Array(Schema.Struct({
    namespace: Schema.optional(Schema.NullOr(Schema.String)),
    name: Schema.String,
    latest_version: Schema.optional(Schema.NullOr(Schema.String)),
    versions: Schema.optional(Schema.NullOr(Schema.Array(Schema.String)))
  }))
})

/** All datasets of the server, each with its newest version. */
export const listDatasets = (get: Get): Effect.Effect<ReadonlyArray<DatasetReference>, Effect.Error<ReturnType<Get>>> =>
  Effect.map(
    getDecoded(get, "/datasets", Datasets),
    ({ datasets }) =>
      datasets.map(({ latest_version: latest, name, namespace, versions }) => ({
        namespace: namespace ?? defaultNamespace,
        name,
        revision: latest ?? versions?.[0]
      }))
  )
