/** The DDL of data tables. */
import { quoteIdentifier, quoteLiteral } from "./identifiers.ts"

/** A column of a table; `type` as `format_type` prints it. */
export interface TableColumn {
  readonly name: string
  readonly type: string
  readonly nullable: boolean
}

/** A data table to create or alter. */
export interface TableDefinition {
  readonly schema: string
  readonly table: string
  readonly columns: ReadonlyArray<TableColumn>
  /** The column that gives the position of a row in the chain. */
  readonly positionColumn: string
  /** The primary key of the config; undefined for the default, `rowKey`. */
  readonly primaryKey: ReadonlyArray<string> | undefined
  /** The comment of the table; undefined leaves the present one. */
  readonly comment: string | undefined
  /** Blocks in each partition; absent where the table is in one piece. */
  readonly partitionBlocks?: bigint
}

/** Numbers the rows of one position, so that the primary key is unique in a table with many rows per block. */
export const ROW_INDEX = "_row_index"
/** Position column of a query that yields no block number: the last block of the range that delivered the row. */
export const RANGE_END = "_range_end"

/** The columns that Ampsync adds to those of the query. */
export const systemColumns = (positionColumn: string): ReadonlyArray<TableColumn> => [
  { name: ROW_INDEX, type: "integer", nullable: false },
  ...(positionColumn === RANGE_END ? [{ name: RANGE_END, type: "bigint", nullable: false }] : [])
]

/** `"schema"."table"`. */
export const qualifiedName = (table: { readonly schema: string; readonly table: string }): string =>
  `${quoteIdentifier(table.schema)}.${quoteIdentifier(table.table)}`

/** The position of a row in the chain, and its number among the rows of that position: unique in every table. */
export const rowKey = (positionColumn: string): ReadonlyArray<string> => [positionColumn, ROW_INDEX]

/** A list of columns for DDL: `("_block_num", "_row_index")`. */
export const columnList = (columns: ReadonlyArray<string>): string => `(${columns.map(quoteIdentifier).join(", ")})`

/**
 * Statements that create the table with the indexes and the comment it needs from the start.
 *
 * `rowKey` always is an index: it makes a rewind O(depth). It is the primary key unless the config names another one, which
 * then identifies rows for readers, and for the subscribers of a published table on DELETE (REPLICA IDENTITY).
 */
export const createTable = (definition: TableDefinition, lz4: boolean): ReadonlyArray<string> => {
  const { positionColumn, primaryKey } = definition
  const own = columnList(rowKey(positionColumn))
  const keys = primaryKey === undefined
    ? [`PRIMARY KEY ${own}`]
    : [`PRIMARY KEY ${columnList(primaryKey)}`, `UNIQUE ${own}`]
  return [
    ...createWith(keys, definition, lz4),
    ...(needsBlockIndex(definition) ? [`CREATE INDEX ON ${qualifiedName(definition)} (block_num)`] : [])
  ]
}

/** Statements that create the table without any key. */
export const createTableWithoutKeys = (definition: TableDefinition, lz4: boolean): ReadonlyArray<string> =>
  createWith([], definition, lz4)

const createWith = (keys: ReadonlyArray<string>, definition: TableDefinition, lz4: boolean): ReadonlyArray<string> => {
  const { comment, partitionBlocks, positionColumn } = definition
  const all = [...definition.columns, ...systemColumns(positionColumn)]
  const columns = all.map((column) => `${columnDdl(column, lz4)}${column.nullable ? "" : " NOT NULL"}`)
  return [
    `CREATE TABLE ${qualifiedName(definition)} (${[...columns, ...keys].join(", ")})${
      partitionBlocks === undefined ? "" : ` PARTITION BY RANGE ${columnList([positionColumn])}`
    }`,
    ...(comment === undefined || comment === "" ? [] : [commentOn(definition, comment)])
  ]
}

/** Whether readers who ask for a block number would have no index to find it by. */
export const needsBlockIndex = ({ columns, positionColumn, primaryKey }: TableDefinition): boolean =>
  columns.some(({ name }) => name === "block_num") && positionColumn !== "block_num" && primaryKey?.[0] !== "block_num"

/** The columns of every index that comes with the table. */
export const indexesOf = (definition: TableDefinition): ReadonlyArray<ReadonlyArray<string>> => [
  ...(definition.primaryKey === undefined ? [] : [definition.primaryKey]),
  rowKey(definition.positionColumn),
  ...(needsBlockIndex(definition) ? [["block_num"]] : [])
]

/** The statement that sets the comment of the table; an empty one removes it. */
export const commentOn = (table: { readonly schema: string; readonly table: string }, comment: string): string =>
  `COMMENT ON TABLE ${qualifiedName(table)} IS ${comment === "" ? "NULL" : quoteLiteral(comment)}`

/**
 * One statement that adapts a table to the query: new columns, nullable because rows of earlier blocks have no value for them,
 * and columns that may be null from now on. Undefined where nothing is to be done.
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

/** Types whose values may be large: texts, bytes, JSON, and arrays of anything. */
const WIDE = /^(?:bytea|text|jsonb|.*\[\])$/

// pglz, the default, costs ten times the CPU of lz4 on values over 2 KB and saves no more space.
const columnDdl = (column: TableColumn, lz4: boolean): string =>
  `${quoteIdentifier(column.name)} ${column.type}${lz4 && WIDE.test(column.type) ? " COMPRESSION lz4" : ""}`
