/**
 * The Admin API of the present generation: namespaces, revisions, manifests.
 *
 * Source: Amp, docs/schemas/openapi/admin.spec.json.
 */
import { Effect, Result, Schema } from "effect"
import { type DatasetReference, parseDatasetReference } from "../../domain/manifest/Dataset.ts"
import { datasetNotFound, type RegisteredDataset, schemaOf, versionNotFound } from "./RegisteredDataset.ts"
import { type Failure, type Get, getDecoded } from "./request.ts"

const Versions = Schema.Struct({
  versions: Schema.Array(Schema.Struct({ version: Schema.String, manifest_hash: Schema.optional(Schema.String) })),
  special_tags: Schema.optional(Schema.Struct({
    latest: Schema.optional(Schema.NullOr(Schema.String)),
    dev: Schema.optional(Schema.NullOr(Schema.String))
  }))
})

const RegisteredManifest = Schema.Struct({
  network: Schema.optional(Schema.NullOr(Schema.String)),
  dependencies: Schema.optional(Schema.Record(Schema.String, Schema.Unknown)),
  tables: Schema.Record(
    Schema.String,
    Schema.Struct({
      network: Schema.optional(Schema.NullOr(Schema.String)),
      schema: Schema.optional(Schema.Struct({ arrow: Schema.Struct({ fields: Schema.Unknown }) }))
    })
  )
})

const pathOf = ({ name, namespace }: DatasetReference): string =>
  `/datasets/${encodeURIComponent(namespace)}/${encodeURIComponent(name)}/versions`

/** Reads a dataset at one version. Fails with `NoSuchRoute` on a server of the first generation. */
export const readAmp = Effect.fnUntraced(function*(get: Get, reference: DatasetReference) {
  const versions = yield* getDecoded(get, pathOf(reference), Versions)
  const version = yield* Effect.fromResult(resolve(reference, versions))
  const manifest = yield* getDecoded(
    get,
    `${pathOf(reference)}/${encodeURIComponent(version)}/manifest`,
    RegisteredManifest
  )
  const { name, namespace } = reference
  const tables = Object.entries(manifest.tables).map(([table, { network, schema }]) => ({
    name: table,
    network: network ?? manifest.network ?? undefined,
    schema: schemaOf(schema?.arrow.fields)
  }))
  return {
    info: { dialect: "amp", namespace, name, version, tables },
    dependencies: Object.values(manifest.dependencies ?? {}).flatMap((dependency) => {
      const parsed = typeof dependency === "string" ? parseDatasetReference(dependency) : undefined
      return parsed !== undefined && Result.isSuccess(parsed) ? [parsed.success] : []
    })
  } satisfies RegisteredDataset
})

/** Resolves a revision to a version or a manifest hash. Names are exact; the newest version is the one tagged `latest`. */
const resolve = (
  reference: DatasetReference,
  { special_tags, versions }: typeof Versions.Type
): Result.Result<string, Failure> => {
  const { revision } = reference
  const names = versions.map(({ version }) => version)
  const latest = special_tags?.latest ?? names[0]
  const dev = special_tags?.dev ?? undefined
  if (names.length === 0 && dev === undefined) return Result.fail(datasetNotFound(reference))
  const found = revision === undefined
    // A dataset under development may have no version at all.
    ? latest ?? dev
    : revision === "latest"
    ? latest
    : revision === "dev"
    ? dev
    // A manifest that no version refers to any more is still available under its hash.
    : names.includes(revision) || /^[0-9a-f]{64}$/.test(revision)
    ? revision
    : undefined
  return found === undefined ? Result.fail(versionNotFound(reference, names)) : Result.succeed(found)
}
