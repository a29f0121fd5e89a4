/** Searches a manifest's dependencies for the dataset with the blocks of a network. */
import { Effect, Option, Result } from "effect"
import {
  type DatasetReference,
  defaultNamespace,
  formatDatasetReference,
  sqlTableReference
} from "../../domain/manifest/Dataset.ts"
import type { Manifest } from "../../domain/manifest/Manifest.ts"
import type { RegisteredDataset } from "./RegisteredDataset.ts"
import type { Failure } from "./request.ts"

/** Dependencies are a few levels deep; the limit ends the search in a registry that is wrong. */
const maxDatasets = 32

/**
 * Finds the table of blocks of `network`, ready to stand behind FROM. Breadth first: what the config names, the dataset
 * itself, then their dependencies.
 */
export const findBlocksTable = Effect.fnUntraced(function*(
  load: (reference: DatasetReference) => Effect.Effect<RegisteredDataset, Failure>,
  manifest: Manifest,
  network: string
) {
  const queue = [...Object.values(manifest.dependencies), manifest.dataset]
  const seen = new Set<string>()
  for (let next = queue.shift(); next !== undefined && seen.size < maxDatasets; next = queue.shift()) {
    const id = formatDatasetReference(next)
    if (seen.has(id)) continue
    seen.add(id)
    const registered = yield* loadLeniently(load, next)
    if (Option.isNone(registered)) continue
    const found = blocksIn(registered.value, next, network)
    if (found !== undefined) return Option.some(found)
    queue.push(...registered.value.dependencies)
  }
  return Option.none<string>()
})

/**
 * Returns none for a dataset that is not published: another one may have the table. A config of the first ampsync has an
 * owner that is no namespace, and a version that need not be published.
 */
const loadLeniently = Effect.fnUntraced(function*(
  load: (reference: DatasetReference) => Effect.Effect<RegisteredDataset, Failure>,
  reference: DatasetReference
) {
  const { name, namespace, revision } = reference
  const attempts: ReadonlyArray<DatasetReference> = [
    reference,
    ...(revision === undefined ? [] : [{ namespace, name, revision: undefined }]),
    ...(namespace === defaultNamespace ? [] : [{ namespace: defaultNamespace, name, revision: undefined }])
  ]
  for (const attempt of attempts) {
    const found = yield* Effect.result(load(attempt))
    if (Result.isSuccess(found)) return Option.some(found.success)
    const { reason } = found.failure
    if (reason !== "DatasetNotFound" && reason !== "VersionNotFound") return yield* Effect.fail(found.failure)
  }
  return Option.none<RegisteredDataset>()
})

/** A table `blocks` of a derived dataset may be anything, so known columns must include the ones that are read. */
const blocksIn = ({ info }: RegisteredDataset, requested: DatasetReference, network: string): string | undefined => {
  const table = info.tables.find((candidate) => candidate.name === "blocks" && candidate.network === network)
  const names = table?.schema?.fields.map((field) => field.name)
  if (table === undefined || (names !== undefined && !(names.includes("hash") && names.includes("block_num")))) {
    return undefined
  }
  // Where the config names no version, nozzle gets none: that form always works there.
  const revision = info.dialect === "amp" || requested.revision !== undefined ? info.version : undefined
  return sqlTableReference(info.dialect, { namespace: info.namespace, name: info.name, revision }, table.name)
}
