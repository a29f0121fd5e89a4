/** What speaks against a second table, one sentence each. */
import { Effect } from "effect"
import { isAlive } from "../../domain/bookkeeping/leaseConditions.ts"
import { blockRangesIndex, isWithoutKeys } from "../../domain/postgres/table/deferredIndexes.ts"
import { quoteIdentifier } from "../../domain/postgres/table/identifiers.ts"
import { qualifiedName } from "../../domain/postgres/table/tableDdl.ts"
import type { RunStatement } from "../../services/PgPool.ts"
import type { TableRequest } from "../../services/TableSink.ts"

/** A subscriber of all tables would receive rows of a table that it does not have, and stop. */
export const publicationsOfAll = (run: RunStatement) =>
  Effect.map(
    run<{ readonly name: string }>(
      `SELECT pubname AS name FROM pg_publication
       WHERE puballtables AND current_setting('wal_level') = 'logical' ORDER BY 1`
    ),
    (publications) =>
      publications.map(({ name }) =>
        `publication "${name}" is FOR ALL TABLES: its subscribers would receive the rows of the second table, which they do ` +
        "not have, and stop. Let it name its tables"
      )
  )

/** The build of its keys would keep the rows out, for as long as it takes. */
export const withoutKeys = (run: RunStatement, schema: string, { table }: TableRequest) =>
  Effect.map(
    run<Parameters<typeof isWithoutKeys>[0]>(
      `SELECT to_regclass($2) IS NOT NULL AS "hasBlockRanges",
         EXISTS (SELECT FROM pg_index WHERE indrelid = to_regclass($1) AND indisprimary) AS "hasPrimaryKey"`,
      [qualifiedName({ schema, table }), qualifiedName({ schema, table: blockRangesIndex(table) })]
    ),
    ([row]) =>
      row !== undefined && isWithoutKeys(row)
        ? [
          "its primary key and its indexes are not built yet. Wait until it is caught up, or run resync without --online"
        ]
        : []
  )

/** The process that writes the table would go on with its own query. */
export const otherQuery = Effect.fnUntraced(function*(run: RunStatement, schema: string, request: TableRequest) {
  const bookkeeping = quoteIdentifier(schema)
  const [holder] = yield* run<{ readonly writer: string; readonly is_query: boolean; readonly version: string | null }>(
    `SELECT c.writer, c.query_fingerprint = $2 AS is_query, c.dataset_version AS version
     FROM ${bookkeeping}._ampsync_checkpoints c JOIN ${bookkeeping}._ampsync_writers w USING (writer)
     WHERE c.table_name = $1 AND ${isAlive("w.heartbeat_at")}`,
    [request.table, request.fingerprint]
  )
  if (holder === undefined) return []
  if (!holder.is_query) {
    return [`${holder.writer} fills it with another query than the config has now. Let it load this config first`]
  }
  return holder.version === null || request.version === undefined || holder.version === request.version ? [] : [
    `${holder.writer} fills it from version ${holder.version}, and the config names ${request.version} now. Start it again first`
  ]
})
