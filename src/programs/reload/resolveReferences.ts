/** Resolves the dataset names in the queries of a config through the Admin API. */
import { Effect, Result, Schema } from "effect"
import * as log from "../../domain/logLines.ts"
import { type DatasetReference, defaultNamespace, isExactRevision } from "../../domain/manifest/Dataset.ts"
import type { Manifest } from "../../domain/manifest/Manifest.ts"
import {
  isPinLeftOut,
  type NamedDataset,
  namedDatasets,
  namedKey,
  resolveQueries,
  type SentAs,
  sentReference,
  type Source
} from "../../domain/manifest/references.ts"
import { type AdminApi, type AdminApiError, isUnpublished } from "../../services/AdminApi.ts"

/** A config depends on datasets that the server does not have: only a change of the config or of the server helps. */
export class UnknownDependencies extends Schema.TaggedError<UnknownDependencies>()("UnknownDependencies", {
  /** At least one; each is a sentence of its own. */
  problems: Schema.Array(Schema.String)
}) {
  override get message() {
    return this.problems.join("; ")
  }
  /** Waiting for a version that may never be published would look like a slow server. */
  get retryable() {
    return false
  }
}

/** A manifest whose queries can be sent, and what they read. */
export interface Resolution {
  readonly manifest: Manifest
  /** By table: the datasets that its query reads, as far as the server knows them. */
  readonly sources: ReadonlyMap<string, ReadonlyArray<Source>>
  /** What cannot be requested from the server as the config has it, one sentence each. */
  readonly warnings: ReadonlyArray<string>
}

/**
 * Resolves aliases, `self` and names without a version, and replaces them in the queries by what they are on the server. A
 * version that the config names must exist; where it names none, the server's newest one is used.
 *
 * The fingerprints of the tables stay those of the queries as they are written.
 */
export const resolveReferences = Effect.fn("resolveReferences")(
  function*(manifest: Manifest, admin: AdminApi["Service"]) {
    const named = new Map(manifest.tables.map((table) => [table.name, namedDatasets(manifest, table)]))
    const all = [...new Map([...named.values()].flat().map((one) => [namedKey(one), one])).entries()]
    const results = yield* Effect.forEach(
      all,
      ([key, one]) => Effect.map(Effect.result(find(admin, one)), (found) => [key, one, found] as const),
      { concurrency: 4 }
    )
    const problems: Array<string> = []
    const sources = new Map<string, Source>()
    for (const [key, one, found] of results) {
      if (Result.isSuccess(found)) sources.set(key, found.success)
      else if (!isOptional(one, found.failure)) return yield* Effect.fail(found.failure)
      else if (one._tag === "Dependency") problems.push(log.unknownDependency(one.alias, one.reference, found.failure))
      // Any other name is sent to the server as it is: it may know it, and reports it where it does not.
    }
    if (problems.length > 0) return yield* new UnknownDependencies({ problems })
    const sourceOf = (one: NamedDataset) => sources.get(namedKey(one))
    const warnings = new Set(
      [...sources.values()].filter(isPinLeftOut).map(({ name, version }) => log.pinLeftOut(name, version))
    )
    const sentAs: SentAs = (one) => {
      const source = sourceOf(one)
      return source === undefined ? undefined : { dialect: source.dialect, reference: sentReference(source) }
    }
    return {
      manifest: {
        ...resolveQueries(manifest, sentAs),
        dependencies: Object.fromEntries(
          Object.entries(manifest.dependencies).map(([alias, reference]) => [
            alias,
            sentAs({ _tag: "Dependency", alias, reference })?.reference ?? reference
          ])
        )
      },
      sources: new Map([...named].map(([table, ones]) => [table, ones.flatMap((one) => sourceOf(one) ?? [])])),
      warnings: [...warnings]
    } satisfies Resolution
  }
)

/** A name that the Admin API does not resolve may still be known to the server. */
const isOptional = ({ _tag }: NamedDataset, error: AdminApiError): boolean =>
  _tag !== "Self" && (isAbsent(error) || (_tag === "Named" && !error.retryable))

/** The server has no such dataset or version, or finds that there can be none. */
const isAbsent = (error: AdminApiError): boolean => isUnpublished(error) || error.reason === "Rejected"

const find = (admin: AdminApi["Service"], { reference }: NamedDataset): Effect.Effect<Source, AdminApiError> =>
  lookUp(admin, reference).pipe(
    Effect.map(({ dialect, name, namespace, version }): Source => ({ dialect, namespace, name, version, reference }))
  )

/**
 * Looks a dataset up in the namespace that the reference names. The owner in configs of the first generation need not be a
 * namespace: where the server has none of that name, the default namespace is tried.
 */
export const lookUp = (admin: AdminApi["Service"], reference: DatasetReference) =>
  admin.dataset(reference).pipe(
    Effect.catchIf(
      ({ reason }) => reason === "DatasetNotFound" && reference.isOwned === true,
      () => admin.dataset({ namespace: defaultNamespace, name: reference.name, revision: reference.revision })
    )
  )

/** Whether every dataset is named with its version, so that no publication changes what is read. */
export const namesExactVersions = (manifest: Manifest): boolean =>
  [manifest.dataset, ...manifest.tables.flatMap((table) => namedDatasets(manifest, table)).map((_) => _.reference)]
    .every(({ revision }) => isExactRevision(revision))
