/** What a query needs of a table that is there already, and what speaks against it. */
import type { PgColumn } from "../types/PgType.ts"
import { columnList, rowKey, systemColumns, type TableColumn, type TableDefinition } from "./tableDdl.ts"

/** A column as the catalog has it. */
export interface ExistingColumn extends TableColumn {
  /** It has a value although nobody gives one: a default, an identity, or one of its domain. */
  readonly hasDefault: boolean
  /** PostgreSQL computes it and takes no value. */
  readonly generated: boolean
}

/** A table as the catalog has it. */
export interface ExistingTable {
  readonly columns: ReadonlyArray<ExistingColumn>
  readonly primaryKey: ReadonlyArray<string> | undefined
  /** The columns of every index that makes all rows differ in them, the primary key included. */
  readonly uniqueKeys: ReadonlyArray<ReadonlyArray<string>>
}

export interface TableDifference {
  readonly added: ReadonlyArray<TableColumn>
  /** Columns that allow no null although the query may yield one; never the position, which is checked row by row. */
  readonly relaxed: ReadonlyArray<TableColumn>
  /** One sentence for each difference that cannot be bridged. */
  readonly conflicts: ReadonlyArray<string>
}

/**
 * Compares what a query yields with the table that is there.
 *
 * `ours` are the columns we made, where that was recorded. Every other column is its owner's business, as long as rows can
 * be written without it.
 */
export const compareTable = (
  definition: TableDefinition,
  existing: ExistingTable,
  ours: ReadonlyArray<string> | undefined
): TableDifference => {
  const system = systemColumns(definition.positionColumn)
  const wanted = new Map([...definition.columns, ...system].map((column) => [column.name, column]))
  const have = new Map(existing.columns.map((column) => [column.name, column]))
  const isOurs = (column: ExistingColumn) => ours?.includes(column.name) ?? !(column.hasDefault || column.generated)
  const needed = new Set([definition.positionColumn, ...system.map(({ name }) => name)])
  // An empty column in the place of one that is gone, or has another name now, would pass for what was stored.
  const isGone = ({ name }: TableColumn) => !have.has(name) && (needed.has(name) || ours?.includes(name) === true)
  return {
    added: [...wanted.values()].filter((column) => !have.has(column.name)),
    relaxed: definition.columns.filter((column) =>
      column.nullable && column.name !== definition.positionColumn && have.get(column.name)?.nullable === false
    ),
    conflicts: [
      ...existing.columns.flatMap((column) => typeConflict(column, wanted.get(column.name))),
      ...[...wanted.values()].filter(isGone).map(({ name }) =>
        `column "${name}" is gone, although ampsync made it; rename it back, or add it again if it was dropped`
      ),
      ...existing.columns.filter((column) => !wanted.has(column.name)).flatMap((column) =>
        strangerConflict(column, isOurs(column))
      ),
      ...keyConflicts(definition, existing)
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

const strangerConflict = (column: ExistingColumn, isOurs: boolean): ReadonlyArray<string> => {
  if (isOurs) return [`column "${column.name}" is not among those the query yields`]
  return column.nullable || column.hasDefault || column.generated
    ? []
    : [
      `column "${column.name}", which ampsync did not make, allows no null and has no default, so no row can be written`
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
    const wants = primaryKey === undefined ? "without one in the config it must be" : "the config asks for"
    return [`${has}, ${wants} ${columnList(wanted)}; a primary key cannot be changed here`]
  }
  return primaryKey === undefined || existing.uniqueKeys.some((key) => sameColumns(key, own))
    ? []
    : [`its unique index on ${columnList(own)}, which rewinds need, is gone`]
}

/** In the same order: an index on the same columns in another one is another index. */
export const sameColumns = (a: ReadonlyArray<string>, b: ReadonlyArray<string>): boolean =>
  a.length === b.length && a.every((name, index) => name === b[index])

/** What is wrong with the keys and indexes that the config asks for, one sentence each. */
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
