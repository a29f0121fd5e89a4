/** Rows of a table, counted and hashed by the database itself, position by position. */
import { quoteIdentifier } from "../postgres/table/identifiers.ts"

export interface HashedTable {
  /** `"schema"."table"`. */
  readonly name: string
  /** The column with the position of a row. */
  readonly positionColumn: string
  /** The columns that count, in this order. */
  readonly columns: ReadonlyArray<string>
}

/** 64 bits of a hash, as a signed number. */
const lane = (from: number): string => `('x' || encode(substr(hash, ${from}, 8), 'hex'))::bit(64)::bigint`

/**
 * A query with a row for each position: `block`, its `rows`, and in `high` and `low` the sums of the first and the second 64
 * bits of a SHA-256 over each row as PostgreSQL sends it, so that their order does not matter. `condition` selects the rows.
 */
export const rowDigests = ({ columns, name, positionColumn }: HashedTable, condition: string): string => {
  const position = quoteIdentifier(positionColumn)
  return `SELECT block, count(*) AS rows, sum(${lane(1)}) AS high, sum(${lane(9)}) AS low
    FROM (
      SELECT ${position} AS block, sha256(record_send(ROW(${columns.map(quoteIdentifier).join(", ")}))) AS hash
      FROM ${name} WHERE ${condition} OFFSET 0
    ) AS hashed GROUP BY block`
}

/** A query for the positions at which two tables do not hold the same rows, in a column `block`. */
export const differingPositions = (one: HashedTable, other: HashedTable, condition: string): string =>
  `SELECT block FROM (${rowDigests(one, condition)}) a FULL JOIN (${rowDigests(other, condition)}) b USING (block)
   WHERE (a.rows, a.high, a.low) IS DISTINCT FROM (b.rows, b.high, b.low)`
