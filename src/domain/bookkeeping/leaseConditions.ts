/** SQL conditions on the bookkeeping that decide who may write. */
import { textLiteral } from "../sql/literal.ts"
import type { WriterLease } from "./WriterLease.ts"

/** Three heartbeats of two seconds. */
const STALE = "interval '6 seconds'"

/**
 * Whether the heartbeat that `column` holds is that of a living writer.
 *
 * One in the future was written by another clock, that of a server this one took over from: a living writer replaces it within
 * two seconds, and a dead one must not count as alive until this clock gets there.
 */
export const isAlive = (column: string): string =>
  `${column} BETWEEN clock_timestamp() - ${STALE} AND clock_timestamp() + ${STALE}`

/**
 * Whether a row of `_ampsync_checkpoints` is that of `table` while `writer` holds its lease, and `commitSeq` was its last commit.
 *
 * Epoch and sequence alone can be given twice, by a server that lost its last transactions; the writer cannot.
 */
export const isHeld = (writer: string, { epoch, table }: WriterLease, commitSeq: bigint): string =>
  `table_name = ${textLiteral(table)} AND writer_epoch = ${epoch} AND commit_seq = ${commitSeq} ` +
  `AND writer = ${textLiteral(writer)}`
