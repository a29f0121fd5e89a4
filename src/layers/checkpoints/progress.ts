/** How far a table is: what each transaction that changes its rows says of it. */
import { Effect } from "effect"
import { isSameWatermark } from "../../domain/chain/watermarks.ts"
import { quoteIdentifier } from "../../domain/postgres/identifiers.ts"
import { type Advance, type Checkpoints, type Claim, Fenced } from "../../services/Checkpoints.ts"
import { claimOf, type Run } from "./rows.ts"

export const makeProgress = (
  run: Run,
  databaseSchema: string
): Pick<Checkpoints["Service"], "advance" | "forget" | "recount"> => {
  const schema = quoteIdentifier(databaseSchema)

  const advance = Effect.fn("Checkpoints.advance")(function*(held: Claim, change: Advance) {
    const { known } = change
    const watermark = known.history.at(-1)
    const moved = !isSameWatermark(watermark, held.history.at(-1))
    const [row] = yield* run(
      `UPDATE ${schema}._ampsync_checkpoints
       SET commit_seq = commit_seq + 1, updated_at = clock_timestamp(), max_block_num = $4, watermark_hash = $5,
         watermark_at = CASE WHEN $6 THEN clock_timestamp() ELSE watermark_at END,
         block_at = CASE WHEN $6 THEN to_timestamp($7::double precision) ELSE block_at END,
         network = $8, origin_block = $9, unverified_from = $10, rows = rows + $11, provisional_rows = $12
       WHERE table_name = $1 AND writer_epoch = $2 AND commit_seq = $3 RETURNING table_name`,
      [
        held.table,
        held.epoch,
        held.commitSeq,
        watermark?.block ?? null,
        watermark?.hash ?? null,
        moved,
        change.blockTimestamp ?? null,
        known.network ?? null,
        known.origin ?? null,
        known.unverifiedFrom ?? null,
        change.rowsAdded,
        change.provisionalRows
      ]
    )
    if (row === undefined) return yield* new Fenced({ table: held.table })
    yield* saveHistory(held, change)
    for (const reorg of change.reorgs) {
      yield* run(
        `INSERT INTO ${schema}._ampsync_reorgs (table_name, first_block, depth, old_hash, new_hash) VALUES ($1, $2, $3, $4, $5)`,
        [
          held.table,
          reorg.firstBlock,
          reorg.replaced === undefined ? 0n : reorg.replaced.block - reorg.firstBlock + 1n,
          reorg.replaced?.hash ?? null,
          reorg.newHash
        ]
      )
    }
    return {
      ...held,
      ...known,
      commitSeq: held.commitSeq + 1n,
      rows: held.rows + BigInt(change.rowsAdded),
      provisionalRows: change.provisionalRows
    }
  })

  const saveHistory = Effect.fnUntraced(function*(held: Claim, { known }: Advance) {
    const wanted = new Map(known.history.map((entry) => [entry.block, entry.hash]))
    const stored = new Map(held.history.map((entry) => [entry.block, entry.hash]))
    const gone = held.history.filter((entry) => !wanted.has(entry.block)).map((entry) => entry.block)
    const added = known.history.filter((entry) => stored.get(entry.block) !== entry.hash)
    if (gone.length > 0) {
      yield* run(`DELETE FROM ${schema}._ampsync_watermarks WHERE table_name = $1 AND block_num = ANY($2::bigint[])`, [
        held.table,
        gone.map(String)
      ])
    }
    if (added.length > 0) {
      yield* run(
        `INSERT INTO ${schema}._ampsync_watermarks (table_name, block_num, hash)
         SELECT $1, * FROM unnest($2::bigint[], $3::text[])
         ON CONFLICT (table_name, block_num) DO UPDATE SET hash = excluded.hash, reached_at = excluded.reached_at`,
        [held.table, added.map((entry) => String(entry.block)), added.map((entry) => entry.hash)]
      )
    }
  })

  const recount: Checkpoints["Service"]["recount"] = Effect.fn("Checkpoints.recount")(function*(held, counts) {
    yield* run(
      `UPDATE ${schema}._ampsync_checkpoints SET rows = rows - $2, provisional_rows = $3 WHERE table_name = $1`,
      [held.table, counts.rowsRemoved, counts.provisionalRows]
    )
    // The rows of one transaction belong to its newest reorg; an earlier one in it had nothing left to remove.
    yield* run(
      `UPDATE ${schema}._ampsync_reorgs SET rows_removed = $2
       WHERE id = (SELECT max(id) FROM ${schema}._ampsync_reorgs WHERE table_name = $1) AND xmin = pg_current_xact_id()::xid`,
      [held.table, counts.rowsRemoved]
    )
    return { ...held, rows: held.rows - BigInt(counts.rowsRemoved), provisionalRows: counts.provisionalRows }
  })

  const forget = Effect.fn("Checkpoints.forget")(function*(held: Claim, rows: bigint) {
    yield* run(`DELETE FROM ${schema}._ampsync_watermarks WHERE table_name = $1`, [held.table])
    const [row] = yield* run(
      `UPDATE ${schema}._ampsync_checkpoints
       SET max_block_num = NULL, watermark_hash = NULL, watermark_at = NULL, block_at = NULL, origin_block = NULL,
         network = NULL, unverified_from = NULL, rows = $3, provisional_rows = $3, position_column = $2
       WHERE table_name = $1 RETURNING *`,
      [held.table, held.positionColumn, rows]
    )
    return claimOf(held.table, row!, [], true, undefined, undefined)
  })

  return { advance, forget, recount }
}
