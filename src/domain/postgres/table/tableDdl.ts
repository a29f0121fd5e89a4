import { quoteIdentifier, quoteLiteral } from "./identifiers.ts"

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
  /** The primary key, where the config gives the table one of its own. */
  readonly primaryKey: ReadonlyArray<string> | undefined
  /** The comment of the table; undefined leaves it to others. */
  readonly comment: string | undefined
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

/** Where in the chain a row stands, and which of the rows that stand there it is: unique in every table. */
export const rowKey = (positionColumn: string): ReadonlyArray<string> => [positionColumn, ROW_INDEX]

/** As it stands in DDL: `("_block_num", "_row_index")`. */
export const columnList = (columns: ReadonlyArray<string>): string => `(${columns.map(quoteIdentifier).join(", ")})`

/**
 * Statements that create the table and what its readers and our rewinds need.
 *
 * `rowKey` always is an index: it makes a rewind O(depth). It is the primary key unless the config names another one, which
 * then is what readers know a row by and what a published table tells subscribers of a DELETE (REPLICA IDENTITY).
 */
export const createTable = (definition: TableDefinition, lz4: boolean): ReadonlyArray<string> => {
  const { comment, positionColumn, primaryKey } = definition
  const all = [...definition.columns, ...systemColumns(positionColumn)]
  const columns = all.map((column) => `${columnDdl(column, lz4)}${column.nullable ? "" : " NOT NULL"}`)
  const own = columnList(rowKey(positionColumn))
  const keys = primaryKey === undefined
    ? [`PRIMARY KEY ${own}`]
    : [`PRIMARY KEY ${columnList(primaryKey)}`, `UNIQUE ${own}`]
  return [
    `CREATE TABLE ${qualifiedName(definition)} (${[...columns, ...keys].join(", ")})`,
    ...(needsBlockIndex(definition) ? [`CREATE INDEX ON ${qualifiedName(definition)} (block_num)`] : []),
    ...(comment === undefined || comment === "" ? [] : [commentOn(definition, comment)])
  ]
}

const needsBlockIndex = ({ columns, positionColumn, primaryKey }: TableDefinition): boolean =>
  columns.some(({ name }) => name === "block_num") && positionColumn !== "block_num" && primaryKey?.[0] !== "block_num"

/** The columns of every index that comes with the table. */
export const indexesOf = (definition: TableDefinition): ReadonlyArray<ReadonlyArray<string>> => [
  ...(definition.primaryKey === undefined ? [] : [definition.primaryKey]),
  rowKey(definition.positionColumn),
  ...(needsBlockIndex(definition) ? [["block_num"]] : [])
]

/** Gives the table its comment; an empty one takes the comment away. */
export const commentOn = (table: { readonly schema: string; readonly table: string }, comment: string): string =>
  `COMMENT ON TABLE ${qualifiedName(table)} IS ${comment === "" ? "NULL" : quoteLiteral(comment)}`

/**
 * One statement that brings a table to what the query yields: new columns, nullable because rows of earlier blocks have no
 * value for them, and columns that may be null from now on. None where nothing is to be done.
 */
export const alterTable = (
  definition: TableDefinition,
  { added, relaxed }: { readonly added: ReadonlyArray<TableColumn>; readonly relaxed: ReadonlyArray<TableColumn> },
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
