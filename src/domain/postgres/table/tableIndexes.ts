/** The indexes that a config names: their names in PostgreSQL, and the plan to build them. */
import { fingerprint } from "../../fingerprint.ts"
import { sameColumns } from "./compareTable.ts"
import { MAX_IDENTIFIER_BYTES, quoteIdentifier } from "./identifiers.ts"
import { columnList, qualifiedName } from "./tableDdl.ts"

/** An index according to the catalog. */
export interface ExistingIndex {
  readonly name: string
  /** Its key columns in order, without those of INCLUDE. */
  readonly columns: ReadonlyArray<string>
  /** Ready to be used by queries: false for what an interrupted build leaves behind. */
  readonly isValid: boolean
  /** A b-tree of columns as they are, over all rows. */
  readonly isPlain: boolean
}

/** An index with the details that `findFullIndex` and `planDeferred` need. */
export interface IndexDetails extends ExistingIndex {
  readonly isPrimaryKey: boolean
  readonly isUnique: boolean
  /** One of its columns may hold values of any length. */
  readonly isUnbounded: boolean
}

/** Source: PostgreSQL, access/nbtree.h, `BTMaxItemSize`. */
export const INDEX_ROOM = "a b-tree holds 2704 bytes of a row"

/** The indexes to drop, to build and to report. */
export interface IndexPlan {
  /** Managed indexes that an interrupted build left behind: they cost as much as others and no query uses them. */
  readonly broken: ReadonlyArray<string>
  readonly missing: ReadonlyArray<{ readonly name: string; readonly columns: ReadonlyArray<string> }>
  /** Managed indexes that the config no longer names. */
  readonly superfluous: ReadonlyArray<ExistingIndex>
}

/**
 * The name of the index on these columns of a table: always the same, and unlike that of any other managed index.
 *
 * Shape: `<table>_<columns>_idx_<8 hexadecimal digits>`, the readable part cut so that it fits 63 bytes.
 */
export const indexName = (table: string, columns: ReadonlyArray<string>): string => indexNameOf(table, columns, "idx")

/** As `indexName`, with another word for what the index is. */
export const indexNameOf = (table: string, columns: ReadonlyArray<string>, word: "idx" | "key" | "brin"): string => {
  const suffix = `_${word}_${fingerprint(JSON.stringify([table, ...columns])).slice(-8)}`
  return cut([table, ...columns].join("_"), MAX_IDENTIFIER_BYTES - suffix.length) + suffix
}

/** The longest beginning of `text` that has at most so many bytes. */
export const cut = (text: string, bytes: number): string => {
  let kept = ""
  let size = 0
  for (const character of text) {
    size += new TextEncoder().encode(character).length
    if (size > bytes) break
    kept += character
  }
  return kept
}

/** Whether ampsync made the index, by its name. */
const isManagedIndex = (table: string, { columns, name }: ExistingIndex): boolean => name === indexName(table, columns)

/**
 * Finds the index that has no room for a row, and whether ampsync made it, by its name and its definition. Where PostgreSQL
 * does not report a name, it returns one that may be it, a managed one before others.
 */
export const findFullIndex = (
  table: string,
  existing: ReadonlyArray<IndexDetails>,
  name: string | undefined
): { readonly index: IndexDetails; readonly isManaged: boolean } | undefined => {
  const found = existing
    .filter((index) => name === undefined ? index.isPlain && index.isUnbounded : index.name === name)
    .map((index) => ({ index, isManaged: index.isPlain && !index.isPrimaryKey && isManagedIndex(table, index) }))
  return found.find(({ isManaged }) => isManaged) ?? found[0]
}

/** Compares the indexes of a table with the `wanted` ones of the config. */
export const planIndexes = (
  table: string,
  wanted: ReadonlyArray<ReadonlyArray<string>>,
  existing: ReadonlyArray<ExistingIndex>
): IndexPlan => {
  const isWanted = ({ columns }: ExistingIndex) => wanted.some((index) => sameColumns(index, columns))
  const isThere = (columns: ReadonlyArray<string>) =>
    existing.some((index) => index.isValid && index.isPlain && sameColumns(index.columns, columns))
  const names = new Map(wanted.map((columns) => [indexName(table, columns), columns]))
  return {
    broken: existing.filter((index) => !index.isValid && isManagedIndex(table, index)).map(({ name }) => name),
    missing: [...names].filter(([, columns]) => !isThere(columns)).map(([name, columns]) => ({ name, columns })),
    superfluous: existing.filter((index) => index.isValid && isManagedIndex(table, index) && !isWanted(index))
  }
}

type Table = { readonly schema: string; readonly table: string }

/** Builds the index while rows are written; it cannot run in a transaction. */
export const createIndex = (table: Table, name: string, columns: ReadonlyArray<string>): string =>
  `CREATE INDEX CONCURRENTLY ${quoteIdentifier(name)} ON ${qualifiedName(table)} ${columnList(columns)}`

/** Builds the index at once, which blocks writers; for a transaction. */
export const createIndexNow = (table: Table, name: string, columns: ReadonlyArray<string>, isUnique = false): string =>
  `CREATE ${isUnique ? "UNIQUE " : ""}INDEX ${quoteIdentifier(name)} ON ${qualifiedName(table)} ${columnList(columns)}`

/** Drops the index without blocking writers; it cannot run in a transaction. */
export const dropIndex = ({ schema }: Table, name: string): string =>
  `DROP INDEX CONCURRENTLY IF EXISTS ${qualifiedName({ schema, table: name })}`

/** Makes the index of a partitioned table without those of its partitions, which blocks writers for a moment. */
export const createPartitionedIndex = (table: Table, name: string, columns: ReadonlyArray<string>): string =>
  `CREATE INDEX IF NOT EXISTS ${quoteIdentifier(name)} ON ONLY ${qualifiedName(table)} ${columnList(columns)}`

/** Makes the index of a partition a part of that of its table. */
export const attachIndex = ({ schema }: Table, name: string, part: Table): string =>
  `ALTER INDEX ${qualifiedName({ schema, table: name })} ATTACH PARTITION ${qualifiedName(part)}`

/** Drops the index at once, of a partitioned table with those of its partitions; blocks the table, also for readers. */
export const dropIndexNow = ({ schema }: Table, name: string): string =>
  `DROP INDEX IF EXISTS ${qualifiedName({ schema, table: name })}`
