import { quoteIdentifier } from "./identifiers.ts"

/** A column as PostgreSQL has it; `type` as `format_type` prints it. */
export interface TableColumn {
  readonly name: string
  readonly type: string
  readonly nullable: boolean
}

export interface TableDefinition {
  readonly schema: string
  readonly table: string
  readonly columns: ReadonlyArray<TableColumn>
  /** The column that says where in the chain a row stands. */
  readonly positionColumn: string
}

/** Counts the rows of one position: makes the primary key of a table with many rows per block. */
export const ROW_INDEX = "_row_index"
/** Position column of a query that yields no block number: the last block of the range that delivered the row. */
export const RANGE_END = "_range_end"

/** The columns we add to those of the query. */
export const systemColumns = (positionColumn: string): ReadonlyArray<TableColumn> => [
  { name: ROW_INDEX, type: "integer", nullable: false },
  ...(positionColumn === RANGE_END ? [{ name: RANGE_END, type: "bigint", nullable: false }] : [])
]

export const qualifiedName = (table: { readonly schema: string; readonly table: string }): string =>
  `${quoteIdentifier(table.schema)}.${quoteIdentifier(table.table)}`

/** Statements that create the table and what its readers and our rewinds need. */
export const createTable = (definition: TableDefinition, lz4: boolean): ReadonlyArray<string> => {
  const all = [...definition.columns, ...systemColumns(definition.positionColumn)]
  const columns = all.map((column) => `${columnDdl(column, lz4)}${column.nullable ? "" : " NOT NULL"}`)
  // The key also is the index that makes a rewind O(depth), and the identity without which a published table rejects DELETE.
  const key = `PRIMARY KEY (${quoteIdentifier(definition.positionColumn)}, ${ROW_INDEX})`
  return [
    `CREATE TABLE ${qualifiedName(definition)} (${[...columns, key].join(", ")})`,
    ...(definition.positionColumn !== "block_num" && all.some((column) => column.name === "block_num")
      ? [`CREATE INDEX ON ${qualifiedName(definition)} (block_num)`]
      : [])
  ]
}

/**
 * One statement that brings a table to what the query yields: new columns, nullable because rows of earlier blocks have no
 * value for them, and columns that may be null from now on. None where nothing is to be done.
 */
export const alterTable = (
  definition: TableDefinition,
  { added, relaxed }: TableDifference,
  lz4: boolean
): string | undefined => {
  const changes = [
    ...added.map((column) => `ADD COLUMN ${columnDdl(column, lz4)}`),
    ...relaxed.map((column) => `ALTER COLUMN ${quoteIdentifier(column.name)} DROP NOT NULL`)
  ]
  return changes.length === 0 ? undefined : `ALTER TABLE ${qualifiedName(definition)} ${changes.join(", ")}`
}

// pglz, the default, costs ten times the CPU of lz4 on values over 2 KB and saves no more space.
const columnDdl = (column: TableColumn, lz4: boolean): string =>
  `${quoteIdentifier(column.name)} ${column.type}${lz4 && /^(bytea|text)$/.test(column.type) ? " COMPRESSION lz4" : ""}`

export interface TableDifference {
  readonly added: ReadonlyArray<TableColumn>
  /** Columns that allow no null although the query may yield one; never the position, which is checked row by row. */
  readonly relaxed: ReadonlyArray<TableColumn>
  /** One sentence for each difference that cannot be bridged. */
  readonly conflicts: ReadonlyArray<string>
}

/** Compares the columns a query yields with those a table has. */
export const compareTable = (definition: TableDefinition, existing: ReadonlyArray<TableColumn>): TableDifference => {
  const wanted = [...definition.columns, ...systemColumns(definition.positionColumn)]
  const have = new Map(existing.map((column) => [column.name, column]))
  const want = new Set(wanted.map((column) => column.name))
  const conflicts = wanted.flatMap((column) => {
    const found = have.get(column.name)
    return found === undefined || found.type === column.type
      ? []
      : [`column "${column.name}" is ${found.type}, the query yields ${column.type}`]
  })
  const dropped = existing.filter((column) => !want.has(column.name)).map((column) =>
    `column "${column.name}" is not among those the query yields`
  )
  const relaxed = definition.columns.filter((column) =>
    column.nullable && column.name !== definition.positionColumn && have.get(column.name)?.nullable === false
  )
  return { added: wanted.filter((column) => !have.has(column.name)), relaxed, conflicts: [...conflicts, ...dropped] }
}
