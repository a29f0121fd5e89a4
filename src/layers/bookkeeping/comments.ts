/** The comments on each table, view and column of the bookkeeping, which `\d+` and other tools show. */
import { Effect } from "effect"
import type { Row } from "../../domain/bookkeeping/checkpointRow.ts"
import { quoteIdentifier } from "../../domain/postgres/table/identifiers.ts"
import { textLiteral } from "../../domain/sql/literal.ts"
import type { RunStatement } from "../../services/PgPool.ts"

/** The comments of one table or view. */
interface Described {
  /** Absent for a view, whose comment contains the fingerprint of its definition. */
  readonly purpose?: string
  readonly columns: { readonly [column: string]: string }
}

const tableName = "Name of the table in this schema"
const writer = "Process: host, process id and a random part"

const described: { readonly [relation: string]: Described } = {
  _ampsync_checkpoints: {
    purpose: "How far each table is: one row per table, changed in the transaction of the rows it describes",
    columns: {
      table_name: tableName,
      max_block_num: "Watermark: the last block up to which the table is complete; a reorg may lower it",
      updated_at: "Time of the last commit",
      dataset: "Dataset that fills the table, namespace/name; another one is rejected",
      dataset_version: "Version of the dataset that the table reads",
      network: "Network of the blocks",
      position_column: "Column with the block of a row: _block_num, block_num or _range_end",
      origin_block: "First block that was ever received",
      watermark_hash: "Hash of the watermark's block",
      watermark_at: "Time at which the watermark was reached",
      block_at: "Time of the watermark's block, where the server reports it (amp)",
      commit_seq: "Number of the last commit; each transaction expects the one before",
      writer_epoch: "Number of the lease of the writer; raised by each process that takes the table over",
      writer: `${writer}. Null: nobody writes the table`,
      query_fingerprint: "Fingerprint of the query that fills the table",
      column_names: "Columns that ampsync made; all others are the user's",
      rows: "Rows in the table, provisional ones included",
      provisional_rows: "Rows above the watermark",
      unverified_from: "Oldest watermark that was passed without a check of its hash; null: none (nozzle)"
    }
  },
  _ampsync_watermarks: {
    purpose: "Blocks up to which a table was complete, with their hashes, which prove a reorg",
    columns: {
      table_name: tableName,
      block_num: "Block up to which the table was complete",
      hash: "Hash of the block",
      reached_at: "Time at which it was reached"
    }
  },
  _ampsync_reorgs: {
    purpose: "The newest thousand reorgs of each table, its resyncs and its rewinds",
    columns: {
      id: "Ascending number",
      table_name: tableName,
      seen_at: "Time at which the table was changed",
      first_block: "First block that was removed to be read again",
      depth: "Blocks that were removed; 0 where none of them was complete",
      old_hash: "Hash of the newest block that was removed; null where none was complete",
      new_hash: "Hash of the last block of the range that replaces it; null for a resync or a rewind",
      rows_removed: "Rows that were deleted"
    }
  },
  _ampsync_writers: {
    purpose: "Processes that use this schema; those without a heartbeat for a day are removed at a start",
    columns: {
      writer,
      heartbeat_at: "Time of the last heartbeat; one every two seconds, and after six the process counts as dead",
      config_loaded_at: "Time at which the active config was applied",
      reload_failed_at: "Time at which a changed config was rejected; null once one is applied",
      reload_reason: "Why it was rejected",
      version: "Version of ampsync that the process runs",
      started_at: "Time at which the process began"
    }
  },
  _ampsync_states: {
    purpose: "What each process does with each table; _ampsync_progress shows the one that counts",
    columns: {
      table_name: tableName,
      writer,
      state: "State of the table, as its process reports it",
      reason: "Why it is in this state, as the log has it",
      since: "Time at which it came into this state",
      source_head: "Newest block of the source",
      source_head_at: "Time of that block, where the server reports it (amp)",
      confirmations: "Blocks that must be on top of rows before they are written"
    }
  },
  _ampsync_progress: {
    columns: {
      table_name: tableName,
      dataset: "Dataset that fills the table, namespace/name",
      dataset_version: "Version of the dataset that the table reads",
      network: "Network of the blocks",
      watermark: "Last block up to which the table is complete",
      watermark_hash: "Hash of the watermark's block",
      watermark_at: "Time at which the watermark was reached",
      watermark_age: "Time since then",
      block_at: "Time of the watermark's block, where the server reports it (amp)",
      rows: "Rows in the table, provisional ones included",
      provisional_rows: "Rows above the watermark",
      unverified: "Whether a watermark was passed without a check of its hash (nozzle)",
      writer: `${writer}; the one that writes the table, empty after an orderly stop`,
      writer_seen_at: "Time of its last heartbeat",
      last_reorg_at: "Time of the last reorg",
      last_reorg_block: "First block that it removed",
      last_reorg_depth: "Blocks that it removed",
      state: "State of the table; offline: its process is dead",
      reason: "Why it is in this state, as the log has it",
      state_since: "Time at which the table came into this state",
      source_head: "Newest block of the source",
      source_head_at: "Time of that block, where the server reports it (amp)",
      lag_blocks:
        "Blocks from the watermark to the newest block of the source that has its confirmations; NULL in a state in which that block is not known"
    }
  },
  _ampsync_latest: {
    columns: {
      dataset: "Dataset that fills the tables, namespace/name",
      network: "Network of the blocks",
      block_num:
        "Newest block up to which all of the tables are complete and show the same chain; a reorg may lower it",
      hash: "Hash of the block",
      tables: "The tables: all that the dataset fills, without those that the config no longer has"
    }
  }
}

/**
 * Returns one text of statements per table or view with a comment that is missing or out of date.
 *
 * Only its owner may comment on an object; a process with another role leaves the comments as they are.
 */
export const commentStatements = Effect.fnUntraced(function*(run: RunStatement, schema: string) {
  const found = yield* run<Row>(
    `SELECT c.relname AS relation, a.attname AS "column", d.description, pg_has_role(c.relowner, 'USAGE') AS owned
     FROM pg_namespace n JOIN pg_class c ON c.relnamespace = n.oid
     LEFT JOIN pg_description d ON d.objoid = c.oid AND d.classoid = 'pg_class'::regclass
     LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.objsubid AND d.objsubid > 0
     WHERE n.nspname = $1 AND c.relname = ANY($2::text[])`,
    [schema, Object.keys(described)]
  )
  const comments = new Map(found.map((row) => [nameOf(row["relation"], row["column"]), row["description"]]))
  const foreign = new Set(found.filter((row) => row["owned"] !== true).map((row) => row["relation"]))
  return Object.entries(described).filter(([relation]) => !foreign.has(relation)).flatMap(
    ([relation, { columns, purpose }]) => {
      const isCurrent = (comment: string, column?: string) => comments.get(nameOf(relation, column)) === comment
      const object = `${quoteIdentifier(schema)}.${relation}`
      const statements = [
        ...(purpose === undefined || isCurrent(purpose)
          ? []
          : [`COMMENT ON TABLE ${object} IS ${textLiteral(purpose)}`]),
        ...Object.entries(columns).filter(([column, comment]) => !isCurrent(comment, column)).map(([column, comment]) =>
          `COMMENT ON COLUMN ${object}.${column} IS ${textLiteral(comment)}`
        )
      ]
      return statements.length === 0 ? [] : [statements.join("; ")]
    }
  )
})

const nameOf = (relation: unknown, column: unknown): string =>
  typeof column === "string" ? `${String(relation)}.${column}` : String(relation)
