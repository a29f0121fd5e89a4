/** Reads how far the tables of a schema are, and where two schemas hold different chains. */
import { Effect } from "effect"
import { isAlive } from "../../domain/bookkeeping/leaseConditions.ts"
import { quoteIdentifier } from "../../domain/postgres/table/identifiers.ts"
import type { Position } from "../../domain/publish/Position.ts"
import type { RunStatement } from "../../services/PgPool.ts"

interface LatestRow {
  readonly network: string
  readonly block: string
  readonly tables: ReadonlyArray<string>
}

export const readPosition = Effect.fnUntraced(function*(run: RunStatement, schema: string) {
  const bookkeeping = quoteIdentifier(schema)
  const tables = yield* run<{ readonly table: string; readonly network: string; readonly block: string }>(
    `SELECT table_name AS "table", network, max_block_num AS block FROM ${bookkeeping}._ampsync_checkpoints
     WHERE max_block_num IS NOT NULL AND network IS NOT NULL ORDER BY 1`
  )
  const latest = yield* run<LatestRow>(
    `SELECT network, block_num AS block, to_jsonb(tables) AS tables FROM ${bookkeeping}._ampsync_latest ORDER BY 1, 2`
  )
  const withBlock = <Row extends { readonly block: string }>(row: Row) => ({ ...row, block: BigInt(row.block) })
  return { schema, tables: tables.map(withBlock), latest: latest.map(withBlock) } satisfies Position as Position
})

/**
 * Why two schemas hold different chains; undefined where nothing shows that they do. Where both recorded a block with different
 * hashes, one of them has not followed a reorg yet; a table of `shown` that nobody writes will never follow, and does not count.
 */
export const whyDifferent = Effect.fnUntraced(function*(
  run: RunStatement,
  shown: string,
  next: string,
  tables: ReadonlyArray<string>
) {
  const [from, to] = [quoteIdentifier(shown), quoteIdentifier(next)]
  const [row] = yield* run<{ readonly table: string; readonly block: string }>(
    `SELECT c.table_name AS "table", max(a.block_num) AS block
     FROM ${from}._ampsync_checkpoints c JOIN ${to}._ampsync_checkpoints n ON n.table_name = c.table_name AND n.network = c.network
     JOIN ${from}._ampsync_writers w ON w.writer = c.writer AND ${isAlive("w.heartbeat_at")}
     JOIN ${from}._ampsync_watermarks a ON a.table_name = c.table_name
     JOIN ${to}._ampsync_watermarks b ON b.table_name = a.table_name AND b.block_num = a.block_num AND b.hash <> a.hash
     WHERE c.table_name = ANY($1) GROUP BY 1 ORDER BY 1 LIMIT 1`,
    [tables]
  )
  return row === undefined ?
    undefined :
    `schemas "${shown}" and "${next}" hold different blocks ${row.block} in table ` +
    `"${row.table}": one of them has not followed a reorg yet`
})
