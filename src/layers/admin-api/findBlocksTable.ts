/** Walks from a manifest to the dataset that holds the blocks of a network. */
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

/** Dependencies are a few levels deep; a limit keeps a registry that is wrong from being walked for ever. */
const maxDatasets = 32

/** Breadth first: what the config names, the dataset itself, then what those build on. */
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
 * None for a dataset that is not there: another one may answer. A config of the first era writes an owner that is no
 * namespace, and a version that need not be published.
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

/** A table called `blocks` may be anything in a derived dataset, so known columns must include the ones that are read. */
const blocksIn = ({ info }: RegisteredDataset, asked: DatasetReference, network: string): string | undefined => {
  const table = info.tables.find((candidate) => candidate.name === "blocks" && candidate.network === network)
  const names = table?.schema?.fields.map((field) => field.name)
  if (table === undefined || (names !== undefined && !(names.includes("hash") && names.includes("block_num")))) {
    return undefined
  }
  // The first generation is asked without a version where the config names none: that form always works there.
  const revision = info.dialect === "amp" || asked.revision !== undefined ? info.version : undefined
  return sqlTableReference(info.dialect, { namespace: info.namespace, name: info.name, revision }, table.name)
}
