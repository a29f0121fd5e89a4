/**
 * The keys of a new table that are made only once it has caught up: until then each row would update them, and a build at the
 * end costs less.
 *
 * The table is in this state while it has an index of this module's own name on the blocks of its rows and no primary key: the
 * keys replace that index in one transaction.
 */
import { textLiteral } from "../../sql/literal.ts"
import { quoteIdentifier } from "./identifiers.ts"
import { columnList, needsBlockIndex, qualifiedName, rowKey, type TableDefinition } from "./tableDdl.ts"
import { createIndexNow, type IndexDetails, indexNameOf } from "./tableIndexes.ts"

/** A key or an index to build. */
export interface DeferredIndex {
  readonly name: string
  readonly columns: ReadonlyArray<string>
  readonly kind: "primary key" | "unique" | "plain"
}

type Table = { readonly schema: string; readonly table: string }

/** The name of the index that a table has until its keys are built; nothing else has it. */
export const blockRangesIndex = (table: string): string => indexNameOf(table, ["block", "ranges"], "brin")

/** Whether a table is one whose keys are still to be built, by the two marks of that state. */
export const isWithoutKeys = (marks: { readonly hasBlockRanges: boolean; readonly hasPrimaryKey: boolean }): boolean =>
  marks.hasBlockRanges && !marks.hasPrimaryKey

/**
 * Statements for a table without keys.
 *
 * BRIN costs a row almost nothing, and keeps a rewind from reading the whole table. Without a primary key PostgreSQL refuses to
 * delete rows of a table that somebody publishes, unless the log gets all their columns.
 */
export const statementsWithoutKeys = (definition: TableDefinition): ReadonlyArray<string> => [
  `CREATE INDEX ${quoteIdentifier(blockRangesIndex(definition.table))} ON ${qualifiedName(definition)} USING brin ${
    columnList([definition.positionColumn])
  }`,
  `ALTER TABLE ${qualifiedName(definition)} REPLICA IDENTITY FULL`
]

/** Every key and index that the table gets, the primary key first. */
export const deferredIndexes = (definition: TableDefinition): ReadonlyArray<DeferredIndex> => {
  const { positionColumn, primaryKey, table } = definition
  const indexOn = (columns: ReadonlyArray<string>, kind: DeferredIndex["kind"]) => ({
    name: indexNameOf(table, columns, "key"),
    columns,
    kind
  })
  const own = rowKey(positionColumn)
  return [
    indexOn(primaryKey ?? own, "primary key"),
    ...(primaryKey === undefined ? [] : [indexOn(own, "unique")]),
    ...(needsBlockIndex(definition) ? [indexOn(["block_num"], "plain")] : [])
  ]
}

/** What is left to do of a table that was created without its keys; undefined where it has them. */
export interface DeferredPlan {
  /** Indexes that an interrupted build left behind, or that an earlier config named. */
  readonly broken: ReadonlyArray<string>
  readonly missing: ReadonlyArray<DeferredIndex>
}

/** Compares the keys that a table should get with its indexes. */
export const planDeferred = (
  definition: TableDefinition,
  existing: ReadonlyArray<IndexDetails>
): DeferredPlan | undefined => {
  if (existing.some(({ isPrimaryKey }) => isPrimaryKey)) return undefined
  const wanted = deferredIndexes(definition)
  const isOwn = ({ columns, name }: IndexDetails) => name === indexNameOf(definition.table, columns, "key")
  const isWanted = ({ isUnique, isValid, name }: IndexDetails) =>
    isValid && wanted.some((index) => index.name === name && (index.kind !== "plain") === isUnique)
  return {
    broken: existing.filter((index) => isOwn(index) && !isWanted(index)).map(({ name }) => name),
    missing: wanted.filter(({ name }) => !existing.some((index) => index.name === name && isWanted(index)))
  }
}

/** Locks the table for the build of an index: readers do not notice, writers wait. */
export const lockForBuild = (table: Table): string => `LOCK TABLE ${qualifiedName(table)} IN SHARE MODE`

/**
 * Builds one in a transaction that has locked the table. CONCURRENTLY would read the table twice, and takes two and a half
 * times as long.
 */
export const createDeferred = (table: Table, { columns, kind, name }: DeferredIndex): string =>
  createIndexNow(table, name, columns, kind !== "plain")

/** Statements, for one transaction, that turn the built indexes into the keys of the table. Locks it for a moment. */
export const completeDeferred = (definition: TableDefinition, isPublished: boolean): ReadonlyArray<string> => {
  const { schema, table } = definition
  const constraints = deferredIndexes(definition).flatMap(({ kind, name }) =>
    kind === "plain"
      ? []
      : [
        `ADD CONSTRAINT ${quoteIdentifier(name)} ${kind === "unique" ? "UNIQUE" : "PRIMARY KEY"} USING INDEX ${
          quoteIdentifier(name)
        }`
      ]
  )
  const identity = isPublished ? [] : ["REPLICA IDENTITY DEFAULT"]
  return [
    `ALTER TABLE ${qualifiedName(definition)} ${[...constraints, ...identity].join(", ")}`,
    // Somebody may have dropped it while the table was synced.
    `DROP INDEX IF EXISTS ${qualifiedName({ schema, table: blockRangesIndex(table) })}`
  ]
}

/** Takes the rows that were added since the last time into account, so that a rewind does not read them all. */
export const summarizeBlockRanges = ({ schema, table }: Table): string =>
  `SELECT brin_summarize_new_values(to_regclass(${
    textLiteral(qualifiedName({ schema, table: blockRangesIndex(table) }))
  }))`
