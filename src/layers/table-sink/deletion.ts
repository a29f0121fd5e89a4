/**
 * The deletion of rows from a block on, and the check that none is left: policies, triggers and rules may keep some, and rows
 * of an orphaned chain must not stay below a watermark.
 */
import type { Chunk } from "../../domain/chain/Chunk.ts"
import { quoteIdentifier } from "../../domain/postgres/table/identifiers.ts"
import { qualifiedName, type TableDefinition } from "../../domain/postgres/table/tableDdl.ts"
import { TableRejected } from "../../services/TableLeases.ts"

/** A table and the column with the block of a row. */
export type PlacedTable = Pick<TableDefinition, "schema" | "table" | "positionColumn">

type From = NonNullable<Chunk["deleteFrom"]>

/** The statements for one transaction: some that prepare it, the deletion, and one that returns whether rows are left. */
export const deletion = (
  table: PlacedTable,
  from: From
): { readonly before: ReadonlyArray<string>; readonly remove: string; readonly left: string } => ({
  before: [UNFILTERED, BY_INDEX, UNCOMPILED],
  remove: `DELETE FROM ${qualifiedName(table)}${where(table, from)}`,
  left: rowsLeft(table, from)
})

/** A policy that hides rows from the deletion hides them from the check as well: an error is better. */
export const UNFILTERED = "SET LOCAL row_security TO off"
/** A table that was just filled has no statistics, and PostgreSQL would read all of it for the newest rows. */
const BY_INDEX = "SET LOCAL enable_seqscan TO off"
/**
 * Before PostgreSQL 18 a plan that must read all of a table counts as very expensive then, and is compiled each time that it runs:
 * for a foreign key of another table without an index, once for every row.
 */
const UNCOMPILED = "SET LOCAL jit TO off"

/** A query for whether rows are left; returns one value, `exists`. */
export const rowsLeft = (table: PlacedTable, from: From): string =>
  `SELECT EXISTS (SELECT FROM ${qualifiedName(table)}${where(table, from)})`

const where = ({ positionColumn }: PlacedTable, from: From): string =>
  from === "all" ? "" : ` WHERE ${quoteIdentifier(positionColumn)} >= ${from}`

/** The failure where rows are left. */
export const undeletable = ({ table }: PlacedTable, from: From): TableRejected =>
  new TableRejected({
    table,
    reason:
      `rows ${
        from === "all" ? "" : `of blocks from ${from} on `
      }could not be deleted although the server reported no ` +
      "error: a trigger, a rule or a row security policy on the table keeps them; remove it, or exempt this role from it"
  })
