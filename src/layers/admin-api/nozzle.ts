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
/** A development server registers a version per edit; nobody makes this many of them by hand. */
const maxPages = 50

const pathOf = ({ name }: DatasetReference): string => `/datasets/${encodeURIComponent(name)}/versions`

export const readNozzle = Effect.fnUntraced(function*(get: Get, reference: DatasetReference) {
  const version = yield* Effect.fromResult(resolve(reference, yield* allVersions(get, reference)))
  const path = `${pathOf(reference)}/${encodeURIComponent(version)}`
  const document = yield* getDecoded(get, `${path}/schema`, DatasetDocument).pipe(
    // Builds before and after a few weeks of 2025 lack the route, and list the tables alone.
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
 * The development tool publishes `1.0.1` as `1.0.1-<hash>`, anew on every edit: the newest of those stands in for a version
 * that is not published as such. The hyphen belongs to the prefix, so that 1.0.1 never means 1.0.10.
 */
const resolve = (reference: DatasetReference, versions: ReadonlyArray<string>): Result.Result<string, Failure> => {
  const { revision } = reference
  if (versions.length === 0) return Result.fail(datasetNotFound(reference))
  const found = revision === undefined || revision === "latest" || revision === "dev"
    ? versions[0]
    : versions.find((version) => version === revision) ?? versions.find((version) => version.startsWith(`${revision}-`))
  return found === undefined ? Result.fail(versionNotFound(reference, versions)) : Result.succeed(found)
}
