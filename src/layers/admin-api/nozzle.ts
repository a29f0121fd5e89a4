/**
 * The Admin API of the first generation: no namespaces, versions in pages, schemas of a version.
 *
 * Source: Amp at 2025-10-03, crates/services/admin-api.
 */
import { Effect, Result, Schema } from "effect"
import type { DatasetReference } from "../../domain/manifest/Dataset.ts"
import { datasetNotFound, type RegisteredDataset, schemaOf, versionNotFound } from "./RegisteredDataset.ts"
import { type Failure, failure, type Get, getDecoded } from "./request.ts"

const VersionsPage = Schema.Struct({
  versions: Schema.Array(Schema.String),
  next_cursor: Schema.optional(Schema.NullOr(Schema.String))
})

const DatasetDocument = Schema.Struct({
  tables: Schema.Array(Schema.Struct({
    name: Schema.String,
    network: Schema.optional(Schema.NullOr(Schema.String)),
    schema: Schema.optional(Schema.Struct({ arrow: Schema.Struct({ fields: Schema.Unknown }) }))
  }))
})

/** The server's own maximum. */
const pageSize = 1000
/** A development server registers a version per edit; this is more than anybody makes. */
const maxPages = 50

const pathOf = ({ name }: DatasetReference): string => `/datasets/${encodeURIComponent(name)}/versions`

/** Reads a dataset at one version. Fails with `NoSuchRoute` where the server has no such path. */
export const readNozzle = Effect.fnUntraced(function*(get: Get, reference: DatasetReference) {
  const version = yield* Effect.fromResult(resolve(reference, yield* allVersions(get, reference)))
  const path = `${pathOf(reference)}/${encodeURIComponent(version)}`
  const document = yield* getDecoded(get, `${path}/schema`, DatasetDocument).pipe(
    // Only builds of a few weeks in 2025 have the route; the others list the tables without schemas.
    Effect.catchIf(
      (error) => error.reason === "NoSuchRoute",
      () => getDecoded(get, path, DatasetDocument)
    )
  )
  const tables = document.tables.map(({ name, network, schema }) => ({
    name,
    network: network ?? undefined,
    schema: schemaOf(schema?.arrow.fields)
  }))
  const { name, namespace } = reference
  return { info: { dialect: "nozzle", namespace, name, version, tables }, dependencies: [] } satisfies RegisteredDataset
})

/** Newest first, as the server sorts them. */
const allVersions = Effect.fnUntraced(function*(get: Get, reference: DatasetReference) {
  const versions: Array<string> = []
  let cursor: string | undefined
  for (let page = 0; page < maxPages; page++) {
    const after = cursor === undefined ? "" : `&last_version=${encodeURIComponent(cursor)}`
    const found = yield* getDecoded(get, `${pathOf(reference)}?limit=${pageSize}${after}`, VersionsPage)
    versions.push(...found.versions)
    cursor = found.next_cursor ?? undefined
    if (cursor === undefined || found.versions.length < pageSize) return versions
  }
  return yield* Effect.fail(
    failure("UnexpectedAnswer", `the list of versions does not end after ${pageSize * maxPages} entries`)
  )
})

/**
 * Resolves a revision to a version. The development tool publishes `1.0.1` as `1.0.1-<hash>` on every edit: the newest of
 * those stands for a version that is not published as such. The prefix includes the hyphen, so that 1.0.1 never means 1.0.10.
 */
const resolve = (reference: DatasetReference, versions: ReadonlyArray<string>): Result.Result<string, Failure> => {
  const { revision } = reference
  if (versions.length === 0) return Result.fail(datasetNotFound(reference))
  const found = revision === undefined || revision === "latest" || revision === "dev"
    ? versions[0]
    : versions.find((version) => version === revision) ?? versions.find((version) => version.startsWith(`${revision}-`))
  return found === undefined ? Result.fail(versionNotFound(reference, versions)) : Result.succeed(found)
}
