/** Compares an existing table with what a query needs: columns to add, columns to relax, and conflicts. */
import type { PgColumn } from "../types/PgType.ts"
import { columnList, rowKey, systemColumns, type TableColumn, type TableDefinition } from "./tableDdl.ts"

/** A column according to the catalog. */
export interface ExistingColumn extends TableColumn {
  /** It gets a value without being named in an INSERT: by a default, an identity, or its domain. */
  readonly hasDefault: boolean
  /** PostgreSQL computes it and takes no value. */
  readonly generated: boolean
}

/** A table according to the catalog. */
export interface ExistingTable {
  readonly columns: ReadonlyArray<ExistingColumn>
  readonly primaryKey: ReadonlyArray<string> | undefined
  /** The columns of every unique index, the primary key included. */
  readonly uniqueKeys: ReadonlyArray<ReadonlyArray<string>>
  /** It was created without its keys, which are not built yet. */
  readonly isDeferred: boolean
}

/** The differences between a query and its existing table. */
export interface TableDifference {
  readonly added: ReadonlyArray<TableColumn>
  /** NOT NULL columns for which the query may yield null; never the position, which is checked row by row. */
  readonly relaxed: ReadonlyArray<TableColumn>
  /** One sentence for each difference that ampsync does not resolve. */
  readonly conflicts: ReadonlyArray<string>
}

/**
 * Compares the columns of a query with those of the existing table.
 *
 * `managedColumns` are the columns that ampsync created, where that was recorded. Any other column is no conflict as long as
 * rows can be written without it.
 */
export const compareTable = (
  definition: TableDefinition,
  existing: ExistingTable,
  managedColumns: ReadonlyArray<string> | undefined
): TableDifference => {
  const system = systemColumns(definition.positionColumn)
  const wanted = new Map([...definition.columns, ...system].map((column) => [column.name, column]))
  const have = new Map(existing.columns.map((column) => [column.name, column]))
  const isManaged = (column: ExistingColumn) =>
    managedColumns?.includes(column.name) ?? !(column.hasDefault || column.generated)
  const needed = new Set([definition.positionColumn, ...system.map(({ name }) => name)])
  // A new, empty column in the place of one that was dropped or renamed would hide that its values are lost.
  const isMissing = ({ name }: TableColumn) =>
    !have.has(name) && (needed.has(name) || managedColumns?.includes(name) === true)
  return {
    added: [...wanted.values()].filter((column) => !have.has(column.name)),
    relaxed: definition.columns.filter((column) =>
      column.nullable && column.name !== definition.positionColumn && have.get(column.name)?.nullable === false
    ),
    conflicts: [
      ...existing.columns.flatMap((column) => typeConflict(column, wanted.get(column.name))),
      ...[...wanted.values()].filter(isMissing).map(({ name }) =>
        `column "${name}", which ampsync created, is missing; rename it back, or add it again if it was dropped`
      ),
      ...existing.columns.filter((column) => !wanted.has(column.name)).flatMap((column) =>
        foreignColumnConflict(column, isManaged(column))
      ),
      ...(existing.isDeferred ? [] : keyConflicts(definition, existing))
    ]
  }
}

const typeConflict = (found: ExistingColumn, wanted: TableColumn | undefined): ReadonlyArray<string> => {
  if (wanted === undefined) return []
  if (found.generated) return [`column "${found.name}" is computed by PostgreSQL, and the query yields it too`]
  return found.type === wanted.type
    ? []
    : [`column "${found.name}" is ${found.type}, the query yields ${wanted.type}`]
}

const foreignColumnConflict = (column: ExistingColumn, isManaged: boolean): ReadonlyArray<string> => {
  if (isManaged) return [`column "${column.name}" is not among those the query yields`]
  return column.nullable || column.hasDefault || column.generated
    ? []
    : [
      `column "${column.name}", which ampsync did not create, is NOT NULL without a default, so no row can be written`
    ]
}

const keyConflicts = (
  { positionColumn, primaryKey }: TableDefinition,
  existing: ExistingTable
): ReadonlyArray<string> => {
  const own = rowKey(positionColumn)
  const wanted = primaryKey ?? own
  const found = existing.primaryKey
  if (!sameColumns(wanted, found ?? [])) {
    const has = found === undefined ? "it has no primary key" : `its primary key is ${columnList(found)}`
    const wants = primaryKey === undefined ? "without one in the config it must be" : "the config names"
    return [`${has}, ${wants} ${columnList(wanted)}; ampsync does not change a primary key`]
  }
  return primaryKey === undefined || existing.uniqueKeys.some((key) => sameColumns(key, own))
    ? []
    : [`its unique index on ${columnList(own)}, which rewinds need, is missing`]
}

/** Whether both name the same columns in the same order: another order is another index. */
export const sameColumns = (a: ReadonlyArray<string>, b: ReadonlyArray<string>): boolean =>
  a.length === b.length && a.every((name, index) => name === b[index])

/** The problems of the keys and indexes that the config names, one sentence each. */
export const keyProblems = (
  columns: ReadonlyArray<PgColumn>,
  positionColumn: string,
  { indexes, primaryKey }: {
    readonly primaryKey: ReadonlyArray<string> | undefined
    readonly indexes: ReadonlyArray<ReadonlyArray<string>>
  }
): ReadonlyArray<string> => {
  const all = new Map<string, TableColumn>(
    [...columns, ...systemColumns(positionColumn)].map((column) => [column.name, column])
  )
  const missing = (where: string) => (name: string) =>
    all.has(name) ? [] : [`${where} names column "${name}", which the query does not yield`]
  return [
    ...(primaryKey ?? []).flatMap(missing("primaryKey")),
    ...(primaryKey ?? []).filter((name) => all.get(name)?.nullable).map((name) =>
      `primaryKey names column "${name}", which may be null by the query's schema`
    ),
    ...indexes.flatMap((index) => index.flatMap(missing("indexes")))
  ]
}
