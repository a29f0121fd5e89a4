/** One valid config with what the server said of it, and what differs from one to the next. */
import { Equal } from "effect"
import type { ArrowSchema } from "../../domain/arrow/ArrowSchema.ts"
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
import type { DatasetInfo } from "../../services/AdminApi.ts"
import type { TableRequest } from "../../services/TableSink.ts"

export interface ActiveConfig {
  /** As it is configured, which may mean something else when it is resolved again. */
  readonly config: Manifest
  /** With queries as they are sent. */
  readonly manifest: Manifest
  /** Undefined where no query names a dataset. */
  readonly dialect: Dialect | undefined
  /** The config's own dataset; undefined while the Admin API is silent, and where the dataset is not published. */
  readonly info: DatasetInfo | undefined
  /** By table: the datasets that its query reads, as far as the server knows them; undefined while the Admin API is silent. */
  readonly sources: ReadonlyMap<string, ReadonlyArray<Source>> | undefined
  /** What the server cannot be asked for as the config has it, one sentence each. */
  readonly warnings: ReadonlyArray<string>
}

/** What is named without a version, and the version that is in use. */
export interface FollowedDataset {
  readonly reference: DatasetReference
  /** `namespace/name`. */
  readonly dataset: string
  readonly version: string
}

/** Every dataset whose newest version is not read before somebody asks for it, each once. */
export const followedDatasets = ({ config, info, sources }: ActiveConfig): ReadonlyArray<FollowedDataset> => {
  const own = info === undefined ? [] : [{ ...info, reference: config.dataset }]
  const all = [...own, ...[...sources?.values() ?? []].flat()]
    .filter(({ reference }) => !isExactRevision(reference.revision))
    .map((source) => ({ reference: source.reference, dataset: datasetId(source), version: source.version }))
  return [...new Map(all.map((one) => [formatDatasetReference(one.reference), one])).values()]
}

export interface Difference {
  readonly started: ReadonlyArray<TableSpec>
  readonly changed: ReadonlyArray<TableSpec>
  readonly unchanged: ReadonlyArray<TableSpec>
  /** Names of tables that are there no longer. */
  readonly removed: ReadonlyArray<string>
}

export const compareConfigs = (current: ActiveConfig | undefined, next: ActiveConfig): Difference => {
  const before = new Map(current?.manifest.tables.map((table) => [table.name, table]))
  const names = new Set(next.manifest.tables.map(({ name }) => name))
  const asBefore = current !== undefined && readsSameData(current, next)
  const isUnchanged = (table: TableSpec) =>
    asBefore && isSameTable(before.get(table.name), table) && isSame(sourcesOf(current, table), sourcesOf(next, table))
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

/** What is not known is no difference. */
const isSame = (before: string | undefined, after: string | undefined): boolean =>
  before === undefined || after === undefined || before === after

/** What a table reads and what is recorded of it, to be compared; undefined while that is not known. */
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

/** Everything but the text of the query, of which the fingerprint leaves out what makes no difference. */
const isSameTable = (before: TableSpec | undefined, after: TableSpec): boolean =>
  before !== undefined && Equal.equals(withoutText(before), withoutText(after))

const withoutText = ({ query: _, ...rest }: TableSpec): Omit<TableSpec, "query"> => rest

export const requestOf = (active: ActiveConfig, table: TableSpec, schema: ArrowSchema): TableRequest => ({
  table: table.name,
  dataset: datasetId(active.manifest.dataset),
  version: recordedVersion(active, table.name),
  fingerprint: table.fingerprint,
  schema,
  settings: table.settings,
  wideIntegers: table.wideIntegers
})
