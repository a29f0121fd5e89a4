/**
 * Triggers that may keep rows from being stored, and the rows that a COPY has stored.
 *
 * A trigger BEFORE INSERT ... FOR EACH ROW may return null, and PostgreSQL leaves the row out without an error. A rule cannot:
 * COPY invokes none. Source: PostgreSQL, doc "COPY", and catalog/pg_trigger.h, `TRIGGER_TYPE_ROW`.
 */
import type { Chunk } from "../../domain/chain/Chunk.ts"
import { qualifiedName, type TableDefinition } from "../../domain/postgres/table/tableDdl.ts"
import { textLiteral } from "../../domain/sql/literal.ts"
import type { PgResult } from "../../services/PgPool.ts"
import { TableRejected } from "../../services/TableLeases.ts"
import { blocksOf } from "./explainFailure.ts"
import { toFillAgain } from "./fillAgain.ts"

/** Of the relations whose ids a query selects. */
const from = (relations: string): string =>
  `FROM pg_trigger WHERE tgtype & 7 = 7 AND tgenabled <> 'D' AND tgrelid = ANY(ARRAY(${relations}))`

/** Their names, for a table by its id: its own, and those of its partitions and of theirs. */
export const INSERT_TRIGGERS = `
  WITH RECURSIVE parts (id) AS (
    SELECT $1::oid UNION ALL SELECT inhrelid FROM pg_inherits JOIN parts ON inhparent = parts.id
  ) SELECT DISTINCT tgname::text AS name ${from("SELECT id FROM parts")} ORDER BY 1`

/**
 * A statement that divides by zero where the table or one of its partitions has one. In the transaction of a COPY, and behind it, its answer is valid for
 * that COPY: who creates or enables a trigger waits for the transaction.
 */
export const noInsertTrigger = (definition: TableDefinition): string =>
  `SELECT 1 / (NOT EXISTS (SELECT ${from(tableAndPartitions(definition))}))::int`

/** Without the partitions of partitions: a search for these would take milliseconds for each chunk of a table with thousands of partitions. */
const tableAndPartitions = (definition: TableDefinition): string => {
  const id = `${textLiteral(qualifiedName(definition))}::regclass`
  return `SELECT ${id} UNION ALL SELECT inhrelid FROM pg_inherits WHERE inhparent = ${id}`
}

/** The rows that the COPY at the end of a text stored. Source: PostgreSQL, doc "Message Formats", `CommandComplete`. */
export const rowsCopied = ({ tags }: PgResult): number => Number(/^COPY (\d+)$/.exec(tags.at(-1) ?? "")?.[1] ?? -1)

/** The failure where a COPY stored fewer rows than were sent, and none of them is committed. */
export const rowsLeftOut = (
  definition: TableDefinition,
  chunk: Chunk,
  stored: number,
  filters: ReadonlyArray<string>
): TableRejected =>
  new TableRejected({
    table: definition.table,
    reason: `${leftOut(definition, chunk, stored)}, so none of them is committed; ${filters.join(", ")} may be the ` +
      "cause: remove it, or leave such rows out with WHERE in the query, then start ampsync again"
  })

/** As `rowsLeftOut`, where they are committed. */
export const rowsMissing = (definition: TableDefinition, chunk: Chunk, stored: number): TableRejected =>
  new TableRejected({
    table: definition.table,
    reason:
      `${
        leftOut(definition, chunk, stored)
      }, and the others are committed; a trigger of a partition of a partition, or an ` +
      `extension that stores the rows of the table, may be the cause: remove it; then, ${toFillAgain(definition.table)}`
  })

const leftOut = (definition: TableDefinition, chunk: Chunk, stored: number): string =>
  `of the ${chunk.rows} rows of ${blocksOf(definition, chunk)} PostgreSQL left out ${
    chunk.rows - stored
  } without an error`
