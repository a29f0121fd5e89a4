/** One valid config with what the server said of it, and what differs from one to the next. */
import { Equal } from "effect"
import type { ArrowSchema } from "../domain/arrow/ArrowSchema.ts"
import { datasetId } from "../domain/Dataset.ts"
import type { Manifest } from "../domain/Manifest.ts"
import type { TableSpec } from "../domain/TableSpec.ts"
import type { DatasetInfo } from "../services/AdminApi.ts"
import type { TableRequest } from "../services/TableSink.ts"

export interface Generation {
  readonly manifest: Manifest
  readonly info: DatasetInfo
}

export interface Difference {
  readonly started: ReadonlyArray<TableSpec>
  readonly changed: ReadonlyArray<TableSpec>
  readonly unchanged: ReadonlyArray<TableSpec>
  /** Names of tables that are there no longer. */
  readonly removed: ReadonlyArray<string>
}

export const compareGenerations = (current: Generation | undefined, next: Generation): Difference => {
  const before = new Map(current?.manifest.tables.map((table) => [table.name, table]))
  const names = new Set(next.manifest.tables.map(({ name }) => name))
  const asBefore = current !== undefined && readsSameData(current, next)
  const isUnchanged = (table: TableSpec) => asBefore && isSameTable(before.get(table.name), table)
  return {
    started: next.manifest.tables.filter(({ name }) => !before.has(name)),
    changed: next.manifest.tables.filter((table) => before.has(table.name) && !isUnchanged(table)),
    unchanged: next.manifest.tables.filter((table) => isUnchanged(table)),
    removed: [...before.keys()].filter((name) => !names.has(name))
  }
}

/** A query that names no version of its dataset reads another one when a newer is published; an exact one goes on. */
const readsSameData = (current: Generation, next: Generation): boolean =>
  datasetId(current.manifest.dataset) === datasetId(next.manifest.dataset) &&
  current.info.dialect === next.info.dialect &&
  (namesExactVersion(next.manifest) || current.info.version === next.info.version)

export const namesExactVersion = ({ dataset: { revision } }: Manifest): boolean =>
  revision !== undefined && revision !== "latest" && revision !== "dev"

/** Everything but the text of the query, of which the fingerprint leaves out what makes no difference. */
const isSameTable = (before: TableSpec | undefined, after: TableSpec): boolean =>
  before !== undefined && Equal.equals(withoutText(before), withoutText(after))

const withoutText = ({ query: _, ...rest }: TableSpec): Omit<TableSpec, "query"> => rest

export const requestOf = ({ info, manifest }: Generation, table: TableSpec, schema: ArrowSchema): TableRequest => ({
  table: table.name,
  dataset: datasetId(manifest.dataset),
  version: info.version,
  fingerprint: table.fingerprint,
  schema,
  settings: table.settings,
  wideIntegers: table.wideIntegers
})
