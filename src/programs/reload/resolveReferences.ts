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

/** A config depends on what the server does not have: nothing but a change of the one or the other helps. */
export class UnknownDependencies extends Schema.TaggedError<UnknownDependencies>()("UnknownDependencies", {
  /** At least one; each stands alone. */
  problems: Schema.Array(Schema.String)
}) {
  override get message() {
    return this.problems.join("; ")
  }
  /** Waiting for a version that may never be would look like a server that is slow. */
  get retryable() {
    return false
  }
}

/** A manifest whose queries can be sent, and what they read. */
export interface Resolution {
  readonly manifest: Manifest
  /** By table: the datasets that its query reads, as far as the server knows them. */
  readonly sources: ReadonlyMap<string, ReadonlyArray<Source>>
  /** What the server cannot be asked for as the config has it, one sentence each. */
  readonly warnings: ReadonlyArray<string>
}

/**
 * Resolves aliases, `self` and names without a version, and puts what they are on the server into the queries. A version
 * that the config names must exist; where it names none the server's newest one is taken, for as long as the result is used.
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
      else if (!mayGoOn(one, found.failure)) return yield* Effect.fail(found.failure)
      else if (one._tag === "Dependency") problems.push(log.unknownDependency(one.alias, one.reference, found.failure))
      // Any other name goes to the server as it is, which may know it and says so where it does not.
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

/** A name that the Admin API cannot explain, whatever the reason, may still be one for the server. */
const mayGoOn = ({ _tag }: NamedDataset, error: AdminApiError): boolean =>
  _tag !== "Self" && (isAbsent(error) || (_tag === "Named" && !error.retryable))

/** The server has no such dataset or version, or finds that there can be none. */
const isAbsent = (error: AdminApiError): boolean => isUnpublished(error) || error.reason === "Rejected"

const find = (admin: AdminApi["Service"], { reference }: NamedDataset): Effect.Effect<Source, AdminApiError> =>
  lookUp(admin, reference).pipe(
    Effect.map(({ dialect, name, namespace, version }): Source => ({ dialect, namespace, name, version, reference }))
  )

/** The owner of the first era is no namespace; where it is none of the server, the dataset is looked for in the one that is always there. */
export const lookUp = (admin: AdminApi["Service"], reference: DatasetReference) =>
  admin.dataset(reference).pipe(
    Effect.catchIf(
      ({ reason }) => reason === "DatasetNotFound" && reference.isOwned === true,
      () => admin.dataset({ namespace: defaultNamespace, name: reference.name, revision: reference.revision })
    )
  )

/** Whether every dataset is named with its version, so that nothing that is published changes what is read. */
export const namesExactVersions = (manifest: Manifest): boolean =>
  [manifest.dataset, ...manifest.tables.flatMap((table) => namedDatasets(manifest, table)).map((_) => _.reference)]
    .every(({ revision }) => isExactRevision(revision))
