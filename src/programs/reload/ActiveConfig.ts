/** A config as the server resolved it, and the difference between two of them. */
import { Equal } from "effect"
import type { ArrowSchema } from "../../domain/arrow/ArrowSchema.ts"
import { fingerprint } from "../../domain/fingerprint.ts"
import {
  datasetId,
  type DatasetReference,
  type Dialect,
  formatDatasetReference,
  isExactRevision
} from "../../domain/manifest/Dataset.ts"
import type { Manifest } from "../../domain/manifest/Manifest.ts"
import type { Source } from "../../domain/manifest/references.ts"
import type { TableSpec } from "../../domain/manifest/TableSpec.ts"
import type { StreamingQuery } from "../../domain/sql/streamingQuery.ts"
import type { DatasetInfo, DatasetTable } from "../../services/AdminApi.ts"
import type { ActiveConfigStatus } from "../../services/SyncStatus.ts"
import type { TableRequest } from "../../services/TableSink.ts"

/** A valid config and what its names mean on the server. */
export interface ActiveConfig {
  /** As it is written; its names may mean something else when they are resolved again. */
  readonly config: Manifest
  /** With queries as they are sent. */
  readonly manifest: Manifest
  /** Undefined where no query names a dataset. */
  readonly dialect: Dialect | undefined
  /** The config's own dataset; undefined while the Admin API is silent, and where the dataset is not published. */
  readonly info: DatasetInfo | undefined
  /** By table: the datasets that its query reads, as far as the server knows them; undefined while the Admin API is silent. */
  readonly sources: ReadonlyMap<string, ReadonlyArray<Source>> | undefined
  /** What cannot be requested from the server as the config has it, one sentence each. */
  readonly warnings: ReadonlyArray<string>
}

/** A dataset that the config names without a version, and the version that is in use. */
export interface FollowedDataset {
  readonly reference: DatasetReference
  /** `namespace/name`. */
  readonly dataset: string
  readonly version: string
}

/** Every dataset whose newest version is in use only until a newer one is published, each once. */
export const followedDatasets = ({ config, info, sources }: ActiveConfig): ReadonlyArray<FollowedDataset> => {
  const own = info === undefined ? [] : [{ ...info, reference: config.dataset }]
  const all = [...own, ...[...sources?.values() ?? []].flat()]
    .filter(({ reference }) => !isExactRevision(reference.revision))
    .map((source) => ({ reference: source.reference, dataset: datasetId(source), version: source.version }))
  return [...new Map(all.map((one) => [formatDatasetReference(one.reference), one])).values()]
}

/** The tables of a config, compared with those of the one before it. */
export interface Difference {
  readonly started: ReadonlyArray<TableSpec>
  readonly changed: ReadonlyArray<TableSpec>
  readonly unchanged: ReadonlyArray<TableSpec>
  /** Names of tables that the new config lacks. */
  readonly removed: ReadonlyArray<string>
}

/** Compares what is known of both; what is not known on one side is no difference. */
export const compareConfigs = (current: ActiveConfig | undefined, next: ActiveConfig): Difference => {
  const before = new Map(current?.manifest.tables.map((table) => [table.name, table]))
  const names = new Set(next.manifest.tables.map(({ name }) => name))
  const isSameSource = current !== undefined && readsSameData(current, next)
  const isUnchanged = (table: TableSpec) =>
    isSameSource && isSameTable(before.get(table.name), table) &&
    isSame(sourcesOf(current, table), sourcesOf(next, table))
  return {
    started: next.manifest.tables.filter(({ name }) => !before.has(name)),
    changed: next.manifest.tables.filter((table) => before.has(table.name) && !isUnchanged(table)),
    unchanged: next.manifest.tables.filter((table) => isUnchanged(table)),
    removed: [...before.keys()].filter((name) => !names.has(name))
  }
}

const readsSameData = (current: ActiveConfig, next: ActiveConfig): boolean =>
  datasetId(current.manifest.dataset) === datasetId(next.manifest.dataset) &&
  isSame(current.dialect, next.dialect)

const isSame = (before: string | undefined, after: string | undefined): boolean =>
  before === undefined || after === undefined || before === after

/** The datasets that a table reads and the version recorded for it, as one comparable text; undefined while not known. */
const sourcesOf = (active: ActiveConfig, { name }: TableSpec): string | undefined =>
  active.sources === undefined ? undefined : JSON.stringify([
    active.sources.get(name)?.map((source) => [datasetId(source), source.version]),
    recordedVersion(active, name)
  ])

/** The version of the one dataset that a table reads; where it reads several or others, that of the dataset it belongs to. */
const recordedVersion = ({ config, info, sources }: ActiveConfig, table: string): string | undefined => {
  const [only, ...others] = new Map(sources?.get(table)?.map((source) => [datasetId(source), source])).values()
  if (only !== undefined && others.length === 0) return only.version
  const { revision } = config.dataset
  return info?.version ?? (isExactRevision(revision) ? revision : undefined)
}

/** Compares everything but the text of the query: the fingerprint leaves out what makes no difference in it. */
const isSameTable = (before: TableSpec | undefined, after: TableSpec): boolean =>
  before !== undefined && Equal.equals(withoutText(before), withoutText(after))

const withoutText = ({ query: _, ...rest }: TableSpec): Omit<TableSpec, "query"> => rest

/** What the database needs to know of a table whose query has the columns of `schema`. */
export const requestOf = (active: ActiveConfig, table: TableSpec, schema: ArrowSchema): TableRequest => ({
  table: table.name,
  dataset: datasetId(active.manifest.dataset),
  version: recordedVersion(active, table.name),
  fingerprint: table.fingerprint,
  schema,
  settings: table.settings,
  wideIntegers: table.wideIntegers
})

/** The table's query as the active config resolves it: the same data may have been named otherwise before. */
export const sentQuery = ({ manifest }: ActiveConfig, { name, query }: TableSpec): StreamingQuery =>
  manifest.tables.find((table) => table.name === name)?.query ?? query

/** What the Admin API reports of the table. */
export const publishedTable = ({ info }: ActiveConfig, table: TableSpec): DatasetTable | undefined =>
  info?.tables.find(({ name }) => name === table.name)

/** The network of a table before its stream names one. */
export const expectedNetwork = (active: ActiveConfig, table: TableSpec): string | undefined =>
  publishedTable(active, table)?.network ?? active.manifest.network

/** What people and probes may know of a config. */
export const statusOf = ({ config, dialect, info, manifest, sources }: ActiveConfig): Omit<
  ActiveConfigStatus,
  "atMillis"
> => ({
  dataset: formatDatasetReference(config.dataset),
  version: info?.version,
  dialect,
  sources: sources === undefined ? undefined : [
    ...new Map(
      [...sources.values()].flat().map((source) => [
        `${datasetId(source)}@${source.version}`,
        { dataset: datasetId(source), version: source.version }
      ])
    ).values()
  ],
  fingerprint: fingerprint(JSON.stringify([
    formatDatasetReference(config.dataset),
    config.tables.map((table) => [table.name, table.fingerprint, table.settings]).toSorted()
  ])),
  tables: manifest.tables.map(({ name }) => name),
  queries: [...config.tables, ...manifest.tables].flatMap(({ query }) => [query.streaming, query.batch, query.sql])
})
