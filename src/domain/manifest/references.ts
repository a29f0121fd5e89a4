/**
 * Which datasets the queries of a config read, and the same queries with the names that the server knows.
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

/** What a schema of a query means by the config. */
export type NamedDataset =
  /** The dataset of the config itself. */
  | { readonly _tag: "Self"; readonly reference: DatasetReference }
  | { readonly _tag: "Dependency"; readonly alias: string; readonly reference: DatasetReference }
  /** A dataset by its own name, if it is one: the server decides. */
  | { readonly _tag: "Named"; readonly reference: DatasetReference }

/** A dataset that a query reads, at the version that the server resolved it to. */
export interface Source {
  readonly dialect: Dialect
  /** As the config names it. */
  readonly reference: DatasetReference
  /** `namespace/name`, as the server has it. */
  readonly namespace: string
  readonly name: string
  readonly version: string
}

/** A dataset as a query is sent with it. */
export interface SentDataset {
  readonly dialect: Dialect
  readonly reference: DatasetReference
}

/** What a config names, as it is sent; undefined where it stays as it is written. */
export type SentAs = (named: NamedDataset) => SentDataset | undefined

/** Undefined for a name that can be no dataset. */
const namedDataset = (manifest: Manifest, { isQuoted, name }: SchemaName): NamedDataset | undefined => {
  if (name === "self") return { _tag: "Self", reference: manifest.dataset }
  const aliases = Object.entries(manifest.dependencies)
  const [alias, reference] = aliases.find(([key]) => key === name) ??
    // The server folds what has no quotes, whatever the case in the config.
    aliases.find(([key]) => !isQuoted && key.toLowerCase() === name) ?? []
  if (alias !== undefined && reference !== undefined) return { _tag: "Dependency", alias, reference }
  if (isQuoted && !namePattern.test(name)) {
    const parsed = parseDatasetReference(name)
    return Result.isSuccess(parsed) ? { _tag: "Named", reference: parsed.success } : undefined
  }
  // `anvil__0_1_0` is a version in itself for a server of the first generation.
  if (!namePattern.test(name) || /__\d/.test(name)) return undefined
  return { _tag: "Named", reference: { namespace: defaultNamespace, name, revision: undefined } }
}

const schemasOf = (query: StreamingQuery): ReadonlyArray<SchemaName> =>
  Result.match(tokenize(query.batch), { onFailure: () => [], onSuccess: schemaNames })

/** What the query of a table names, each once. */
export const namedDatasets = (manifest: Manifest, { query }: TableSpec): ReadonlyArray<NamedDataset> => {
  const named = schemasOf(query).flatMap((schema) => namedDataset(manifest, schema) ?? [])
  return [...new Map(named.map((one) => [namedKey(one), one])).values()]
}

export const namedKey = ({ _tag, reference: { name, namespace, revision } }: NamedDataset): string =>
  JSON.stringify([_tag, namespace, name, revision])

/** The reference that a query is sent with: on amp always to one version, on nozzle where the config names one. */
export const sentReference = ({ dialect, name, namespace, reference, version }: Source): DatasetReference => ({
  namespace,
  name,
  revision: dialect === "amp" || isExactRevision(reference.revision) ? version : undefined
})

/** The version is named in the config, and the server's SQL has no form of it. */
export const isPinLeftOut = (source: Source): boolean => {
  const { revision } = sentReference(source)
  return source.dialect === "nozzle" && revision !== undefined && !hasNozzleForm(revision)
}

/**
 * The datasets of a config as a server of the dialect is sent them that could not be asked for them: as the config names
 * them, without a version where it names none. `isOwnerKnown` is false where the owner of a config of the first era is none.
 */
export const sentUnresolved = (dialect: Dialect, isOwnerKnown: boolean): SentAs => ({ reference }) => {
  const { isOwned, name, namespace, revision } = reference
  return {
    dialect,
    reference: {
      namespace: isOwned === true && !isOwnerKnown ? defaultNamespace : namespace,
      name,
      revision: isExactRevision(revision) ? revision : undefined
    }
  }
}

/** The query with its schemas replaced by what the server calls them; what the user wrote stays beside it. */
export const resolveQuery = (manifest: Manifest, query: StreamingQuery, sentAs: SentAs): StreamingQuery => {
  const batch = replaceSchemas(query.batch, schemasOf(query), (schema) => {
    const named = namedDataset(manifest, schema)
    const sent = named === undefined ? undefined : sentAs(named)
    if (named === undefined || sent === undefined) return undefined
    const { dialect, reference } = sent
    // Of the first generation a name already is what it accepts.
    if (named._tag === "Named" && (dialect === "nozzle" || isExactRevision(named.reference.revision))) return undefined
    // Only tables of the first generation have versions.
    return sqlSchema(
      dialect,
      dialect === "nozzle" && schema.isFunction ? { ...reference, revision: undefined } : reference
    )
  })
  return { ...query, batch, streaming: streamed(batch) }
}

/** The manifest with its queries as they are sent. */
export const resolveQueries = (manifest: Manifest, sentAs: SentAs): Manifest => ({
  ...manifest,
  tables: manifest.tables.map((table) => ({ ...table, query: resolveQuery(manifest, table.query, sentAs) }))
})

/** Schemas of the tables that a query reads, as they stand in the text that is sent. */
export const tableSchemas = ({ query }: TableSpec): ReadonlyArray<string> =>
  schemasOf(query).filter(({ isFunction }) => !isFunction).map(({ end, start }) => query.batch.slice(start, end))
