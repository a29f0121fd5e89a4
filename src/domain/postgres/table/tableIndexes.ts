/** The indexes that a config asks for: their names, and what has to be done to have them. */
import { fingerprint } from "../../fingerprint.ts"
import { sameColumns } from "./compareTable.ts"
import { MAX_IDENTIFIER_BYTES, quoteIdentifier } from "./identifiers.ts"
import { columnList, qualifiedName } from "./tableDdl.ts"

/** An index as the catalog has it. */
export interface ExistingIndex {
  readonly name: string
  /** Its columns in order; those it only includes are left out. */
  readonly columns: ReadonlyArray<string>
  /** Ready to be used by queries: false for what an interrupted build leaves behind. */
  readonly isValid: boolean
  /** A b-tree of columns as they are, over all rows. */
  readonly isPlain: boolean
}

/** What else the catalog has of an index. */
export interface IndexDetails extends ExistingIndex {
  readonly isPrimaryKey: boolean
  /** One of its columns may hold values of any length. */
  readonly isUnbounded: boolean
}

export interface IndexPlan {
  /** Indexes of ours that an interrupted build left behind: they cost as much as others and serve nobody. */
  readonly broken: ReadonlyArray<string>
  readonly missing: ReadonlyArray<{ readonly name: string; readonly columns: ReadonlyArray<string> }>
  /** Indexes we made that the config no longer names. */
  readonly superfluous: ReadonlyArray<ExistingIndex>
}

/**
 * The name of an index we make: always the same for a table and columns, and unlike that of any other index of ours.
 *
 * Shape: `<table>_<columns>_idx_<8 hexadecimal digits>`, the readable part cut so that it fits 63 bytes.
 */
export const indexName = (table: string, columns: ReadonlyArray<string>): string => {
  const suffix = `_idx_${fingerprint(JSON.stringify([table, ...columns])).slice(-8)}`
  return cut([table, ...columns].join("_"), MAX_IDENTIFIER_BYTES - suffix.length) + suffix
}

const cut = (text: string, bytes: number): string => {
  let kept = ""
  let size = 0
  for (const character of text) {
    size += new TextEncoder().encode(character).length
    if (size > bytes) break
    kept += character
  }
  return kept
}

const isOurs = (table: string, { columns, name }: ExistingIndex): boolean => name === indexName(table, columns)

/**
 * The index that has no room for a row, and whether it is one of ours, by its name and its definition. Where PostgreSQL names
 * none, one that may be it, ours before others.
 */
export const findFullIndex = (
  table: string,
  existing: ReadonlyArray<IndexDetails>,
  name: string | undefined
): { readonly index: IndexDetails; readonly isOurs: boolean } | undefined => {
  const found = existing
    .filter((index) => name === undefined ? index.isPlain && index.isUnbounded : index.name === name)
    .map((index) => ({ index, isOurs: index.isPlain && !index.isPrimaryKey && isOurs(table, index) }))
  return found.find(({ isOurs }) => isOurs) ?? found[0]
}

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
    broken: existing.filter((index) => !index.isValid && isOurs(table, index)).map(({ name }) => name),
    missing: [...names].filter(([, columns]) => !isThere(columns)).map(([name, columns]) => ({ name, columns })),
    superfluous: existing.filter((index) => index.isValid && isOurs(table, index) && !isWanted(index))
  }
}

type Table = { readonly schema: string; readonly table: string }

/** Rows are written while it is built; it cannot run in a transaction. */
export const createIndex = (table: Table, name: string, columns: ReadonlyArray<string>): string =>
  `CREATE INDEX CONCURRENTLY ${quoteIdentifier(name)} ON ${qualifiedName(table)} ${columnList(columns)}`

export const dropIndex = ({ schema }: Table, name: string): string =>
  `DROP INDEX CONCURRENTLY IF EXISTS ${qualifiedName({ schema, table: name })}`
