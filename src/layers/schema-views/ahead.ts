/** Finds out whether readers would go back in blocks if they were shown another schema. */
import { Effect } from "effect"
import { isAlive } from "../../domain/bookkeeping/leaseConditions.ts"
import { quoteIdentifier } from "../../domain/postgres/table/identifiers.ts"
import type { RunStatement } from "../../services/PgPool.ts"

interface TableAhead {
  readonly table: string
  readonly shown: string
  readonly reached: string | null
  readonly differs: string | null
}

/**
 * Tables of the same name and network. Where both recorded a block with different hashes, one of them has not followed a reorg
 * yet; a table that nobody writes will never follow, and does not count.
 */
const tablesAhead = (shown: string, next: string): string => `
  SELECT * FROM (
    SELECT o.table_name AS "table", o.max_block_num AS shown, n.max_block_num AS reached, (
      SELECT max(a.block_num) FROM ${shown}._ampsync_watermarks a
      JOIN ${next}._ampsync_watermarks b ON b.table_name = a.table_name AND b.block_num = a.block_num AND b.hash <> a.hash
      WHERE a.table_name = o.table_name AND EXISTS (
        SELECT FROM ${shown}._ampsync_writers w WHERE w.writer = o.writer AND ${isAlive("w.heartbeat_at")})
    ) AS differs
    FROM ${shown}._ampsync_checkpoints o JOIN ${next}._ampsync_checkpoints n USING (table_name)
    WHERE table_name = ANY($1) AND o.network = n.network
  ) pairs
  WHERE shown > coalesce(reached, -1) OR differs IS NOT NULL ORDER BY "table"`

interface LatestAhead {
  readonly network: string
  readonly shown: string
  readonly reached: string | null
}

/** Readers of several tables go by the block that all of them have. */
const latestAhead = (shown: string, next: string): string => `
  SELECT o.network, o.block_num AS shown, n.block_num AS reached
  FROM ${shown}._ampsync_latest o LEFT JOIN ${next}._ampsync_latest n ON n.network = o.network AND n.tables && o.tables
  WHERE o.tables && $1 AND o.block_num > coalesce(n.block_num, -1) ORDER BY 1`

const blockOf = (block: string | null): string => block === null ? "no block" : `block ${block}`

/** Why readers of `shown` would go back; undefined where they would not. Schemas by name. */
export const whyAhead = Effect.fnUntraced(function*(
  run: RunStatement,
  shown: string,
  next: string,
  tables: ReadonlyArray<string>
) {
  const [from, to] = [quoteIdentifier(shown), quoteIdentifier(next)]
  const [table] = yield* run<TableAhead>(tablesAhead(from, to), [tables])
  if (table?.differs != null) {
    return `schemas "${shown}" and "${next}" hold different blocks ${table.differs} in table "${table.table}": one of them has ` +
      "not followed a reorg yet"
  }
  if (table !== undefined) {
    return `table "${table.table}" is complete up to ${
      blockOf(table.reached)
    } in schema "${next}", and readers see block ` +
      `${table.shown} of schema "${shown}"`
  }
  const [latest] = yield* run<LatestAhead>(latestAhead(from, to), [tables])
  return latest === undefined ?
    undefined :
    `the tables of network ${latest.network} are all complete up to ${
      blockOf(latest.reached)
    } in schema "${next}", and up to block ${latest.shown} in schema "${shown}", which readers see`
})
