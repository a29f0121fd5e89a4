/**
 * Finds the datasets that the queries of a config read, and rewrites the queries with the server's names of them.
 *
 * Aliases and `self` exist only inside of a dataset that is deployed; a query that is sent on its own has to name datasets.
 */
import { Result } from "effect"
import { replaceSchemas, type SchemaName, schemaNames } from "../sql/schemaNames.ts"
import { streamed, type StreamingQuery } from "../sql/streamingQuery.ts"
import { tokenize } from "../sql/tokenize.ts"
import {
  type DatasetReference,
  defaultNamespace,
  type Dialect,
  hasNozzleForm,
  isExactRevision,
  namePattern,
  parseDatasetReference,
  sqlSchema
} from "./Dataset.ts"
import type { Manifest } from "./Manifest.ts"
import type { TableSpec } from "./TableSpec.ts"

/** The meaning of a schema name in a query, according to the config. */
export type NamedDataset =
  /** The dataset of the config itself. */
  | { readonly _tag: "Self"; readonly reference: DatasetReference }
  | { readonly _tag: "Dependency"; readonly alias: string; readonly reference: DatasetReference }
  /** A dataset by its own name; only the server can tell whether it exists. */
  | { readonly _tag: "Named"; readonly reference: DatasetReference }

/** A dataset that a query reads, at the version that the server resolved it to. */
export interface Source {
  readonly dialect: Dialect
  /** The reference in the config. */
  readonly reference: DatasetReference
  /** Namespace and name on the server. */
  readonly namespace: string
  readonly name: string
  readonly version: string
}

/** The reference that replaces a dataset in a query that is sent. */
export interface SentDataset {
  readonly dialect: Dialect
  readonly reference: DatasetReference
}

/** Returns the reference to send for a dataset of the config; undefined where the text stays unchanged. */
export type SentAs = (named: NamedDataset) => SentDataset | undefined

/** Looks a schema name up in the config; undefined for a name that cannot be a dataset. */
const namedDataset = (manifest: Manifest, { isQuoted, name }: SchemaName): NamedDataset | undefined => {
  if (name === "self") return { _tag: "Self", reference: manifest.dataset }
  const aliases = Object.entries(manifest.dependencies)
  const [alias, reference] = aliases.find(([key]) => key === name) ??
    // The server folds unquoted names to lower case, whatever their case in the config.
    aliases.find(([key]) => !isQuoted && key.toLowerCase() === name) ?? []
  if (alias !== undefined && reference !== undefined) return { _tag: "Dependency", alias, reference }
  if (isQuoted && !namePattern.test(name)) {
    const parsed = parseDatasetReference(name)
    return Result.isSuccess(parsed) ? { _tag: "Named", reference: parsed.success } : undefined
  }
  // `anvil__0_1_0` already contains a version for a nozzle server.
  if (!namePattern.test(name) || /__\d/.test(name)) return undefined
  return { _tag: "Named", reference: { namespace: defaultNamespace, name, revision: undefined } }
}

const schemasOf = (query: StreamingQuery): ReadonlyArray<SchemaName> =>
  Result.match(tokenize(query.batch), { onFailure: () => [], onSuccess: schemaNames })

/** The datasets that the query of a table names, each once. */
export const namedDatasets = (manifest: Manifest, { query }: TableSpec): ReadonlyArray<NamedDataset> => {
  const named = schemasOf(query).flatMap((schema) => namedDataset(manifest, schema) ?? [])
  return [...new Map(named.map((one) => [namedKey(one), one])).values()]
}

/** A key that is equal for equal datasets of the config. */
export const namedKey = ({ _tag, reference: { name, namespace, revision } }: NamedDataset): string =>
  JSON.stringify([_tag, namespace, name, revision])

/** The reference that a query is sent with: on amp always to one version, on nozzle where the config names one. */
export const sentReference = ({ dialect, name, namespace, reference, version }: Source): DatasetReference => ({
  namespace,
  name,
  revision: dialect === "amp" || isExactRevision(reference.revision) ? version : undefined
})

/** Whether the config names a version that the server's SQL cannot express. */
export const isPinLeftOut = (source: Source): boolean => {
  const { revision } = sentReference(source)
  return source.dialect === "nozzle" && revision !== undefined && !hasNozzleForm(revision)
}

/**
 * The references to send where the Admin API could not resolve them: those of the config, so that the server reads its
 * newest version where the config names none. `isOwnerKnown` is false where the `owner` of a nozzle config is no namespace of the server.
 */
export const sentUnresolved = (dialect: Dialect, isOwnerKnown: boolean): SentAs => ({ reference }) => {
  const { isOwned, name, namespace, revision } = reference
  return {
    dialect,
    reference: { namespace: isOwned === true && !isOwnerKnown ? defaultNamespace : namespace, name, revision }
  }
}

/** The query with its schemas replaced by the server's names; the user's text is kept as well. */
const resolveQuery = (manifest: Manifest, query: StreamingQuery, sentAs: SentAs): StreamingQuery => {
  const batch = replaceSchemas(query.batch, schemasOf(query), (schema) => {
    const named = namedDataset(manifest, schema)
    const sent = named === undefined ? undefined : sentAs(named)
    if (named === undefined || sent === undefined) return undefined
    const { dialect, reference } = sent
    // A nozzle server accepts the name unchanged.
    if (named._tag === "Named" && (dialect === "nozzle" || isExactRevision(named.reference.revision))) return undefined
    // On nozzle only tables have versions, functions do not.
    return sqlSchema(
      dialect,
      dialect === "nozzle" && schema.isFunction ? { ...reference, revision: undefined } : reference
    )
  })
  return { ...query, batch, streaming: streamed(batch) }
}

/** The manifest with the queries to send. */
export const resolveQueries = (manifest: Manifest, sentAs: SentAs): Manifest => ({
  ...manifest,
  tables: manifest.tables.map((table) => ({ ...table, query: resolveQuery(manifest, table.query, sentAs) }))
})

/** Schemas of the tables that a query reads, as written in the text that is sent. */
export const tableSchemas = ({ query }: TableSpec): ReadonlyArray<string> =>
  schemasOf(query).filter(({ isFunction }) => !isFunction).map(({ end, start }) => query.batch.slice(start, end))
