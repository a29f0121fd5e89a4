/** The statement that records a commit: checkpoint, watermark history and reorgs. */
import { isHeld } from "../../domain/bookkeeping/leaseConditions.ts"
import type { WriterLease } from "../../domain/bookkeeping/WriterLease.ts"
import { reorgDepth, type ReorgRecord } from "../../domain/chain/Chunk.ts"
import { isSameWatermark, type Watermark } from "../../domain/chain/watermarks.ts"
import { quoteIdentifier } from "../../domain/postgres/table/identifiers.ts"
import { blocksLiteral, numberLiteral, textLiteral, textsLiteral } from "../../domain/sql/literal.ts"
import type { Advance, Checkpoints } from "../../services/Checkpoints.ts"

/** Reorgs kept per table: months of a chain with one per hour. */
const KEPT_REORGS = 1_000
/** Most reorgs that one transaction removes, where an earlier version kept all. */
const FORGOTTEN_REORGS = 1_000

/** Makes `Checkpoints.advanceStatement` for the process `writer`. */
export const makeAdvanceStatement = (
  databaseSchema: string,
  writer: string
): Checkpoints["Service"]["advanceStatement"] => {
  const schema = quoteIdentifier(databaseSchema)

  const advanceStatement: Checkpoints["Service"]["advanceStatement"] = (lease, change, notify) => {
    const { blockTimestamp, checkpoint, provisionalRows, rowsAdded, rowsRemoved } = change
    const watermark = checkpoint.history.at(-1)
    const rows = lease.rows + BigInt(rowsAdded - rowsRemoved)
    const moved = isSameWatermark(watermark, lease.checkpoint.history.at(-1)) ? "" : (
      `, watermark_at = clock_timestamp(), block_at = to_timestamp(${numberLiteral(blockTimestamp)}::double precision)`
    )
    const update = `UPDATE ${schema}._ampsync_checkpoints SET updated_at = clock_timestamp(), ` +
      `max_block_num = ${numberLiteral(watermark?.block)}, watermark_hash = ${textLiteral(watermark?.hash)}${moved}, ` +
      `network = ${textLiteral(checkpoint.network)}, origin_block = ${numberLiteral(checkpoint.origin)}, ` +
      `unverified_from = ${numberLiteral(checkpoint.unverifiedFrom)}, rows = ${rows}, ` +
      `provisional_rows = ${provisionalRows} WHERE ${isHeld(writer, lease, lease.commitSeq + 1n)} RETURNING 1`
    const parts = [`held AS (${update})`, ...history(lease, checkpoint.history), ...reorgLog(lease.table, change)]
    const notified = notify === undefined ? "" : `, pg_notify('ampsync', ${textLiteral(notify)})`
    return {
      statement: `WITH ${parts.join(", ")} SELECT 1 / count(*)${notified} FROM held`,
      lease: { ...lease, checkpoint, commitSeq: lease.commitSeq + 1n, rows, provisionalRows }
    }
  }

  const history = ({ checkpoint, table }: WriterLease, wanted: ReadonlyArray<Watermark>): ReadonlyArray<string> => {
    const { added, gone } = historyChanges(checkpoint.history, wanted)
    const name = textLiteral(table)
    const parts: Array<string> = []
    if (gone.length > 0) {
      parts.push(
        `gone AS (DELETE FROM ${schema}._ampsync_watermarks WHERE table_name = ${name} ` +
          `AND block_num = ANY(${blocksLiteral(gone)}))`
      )
    }
    if (added.length > 0) {
      parts.push(
        `added AS (INSERT INTO ${schema}._ampsync_watermarks (table_name, block_num, hash) SELECT ${name}, * ` +
          `FROM unnest(${blocksLiteral(added.map(({ block }) => block))}, ${
            textsLiteral(added.map(({ hash }) => hash))
          }) ` +
          "ON CONFLICT (table_name, block_num) DO UPDATE SET hash = excluded.hash, reached_at = excluded.reached_at)"
      )
    }
    return parts
  }

  const reorgLog = (table: string, { reorgs, rowsRemoved }: Advance): ReadonlyArray<string> => {
    if (reorgs.length === 0) return []
    // The deleted rows belong to the newest reorg of a transaction; an earlier one had nothing left to delete.
    const values = reorgs.map((reorg, index) =>
      reorgValues(table, reorg, index === reorgs.length - 1 ? rowsRemoved : 0)
    )
    return [
      `logged AS (INSERT INTO ${schema}._ampsync_reorgs ` +
      `(table_name, first_block, depth, old_hash, new_hash, rows_removed) VALUES ${values.join(", ")})`,
      `forgotten AS (DELETE FROM ${schema}._ampsync_reorgs WHERE table_name = ${textLiteral(table)} ` +
      `AND id IN (${tooOld(table, reorgs.length)}))`
    ]
  }

  /** Selects the ids of a table's oldest reorgs beyond the kept ones, once `added` more are stored. */
  const tooOld = (table: string, added: number): string => {
    const ids = `SELECT id FROM ${schema}._ampsync_reorgs WHERE table_name = ${textLiteral(table)}`
    const oldestKept = `${ids} ORDER BY id DESC LIMIT 1 OFFSET ${Math.max(0, KEPT_REORGS - added - 1)}`
    return `${ids} AND id < (${oldestKept}) ORDER BY id LIMIT ${FORGOTTEN_REORGS}`
  }

  return advanceStatement
}

const reorgValues = (table: string, reorg: ReorgRecord, rowsRemoved: number): string => {
  const { firstBlock, newHash, replaced } = reorg
  const hashes = `${textLiteral(replaced?.hash)}, ${textLiteral(newHash)}`
  return `(${textLiteral(table)}, ${firstBlock}, ${reorgDepth(reorg)}, ${hashes}, ${rowsRemoved})`
}

const historyChanges = (stored: ReadonlyArray<Watermark>, wanted: ReadonlyArray<Watermark>) => {
  const known = new Map(stored.map((entry) => [entry.block, entry.hash]))
  const added = wanted.filter((entry) => known.get(entry.block) !== entry.hash)
  for (const { block } of wanted) known.delete(block)
  return { added, gone: [...known.keys()] }
}
