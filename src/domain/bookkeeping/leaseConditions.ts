/** SQL conditions on the bookkeeping that decide which process may write. */
import { textLiteral } from "../sql/literal.ts"
import type { WriterLease } from "./WriterLease.ts"

/** A process counts as alive for so long after a heartbeat: three of them, of two seconds. */
export const HEARTBEAT_LIFETIME_SECONDS = 6

const STALE = `interval '${HEARTBEAT_LIFETIME_SECONDS} seconds'`

/**
 * The condition that the heartbeat in `column` is that of a living writer.
 *
 * A heartbeat in the future was written by another clock, that of a server before a failover: a living writer replaces it
 * within two seconds, and a dead one must not count as alive until this clock gets there.
 */
export const isAlive = (column: string): string =>
  `${column} BETWEEN clock_timestamp() - ${STALE} AND clock_timestamp() + ${STALE}`

/**
 * The condition that a row of `_ampsync_checkpoints` is that of `table`, `writer` holds its lease, and `commitSeq` was its last
 * commit.
 *
 * Epoch and sequence alone can occur twice, after a server lost its last transactions; the writer cannot.
 */
export const isHeld = (writer: string, { epoch, table }: WriterLease, commitSeq: bigint): string =>
  `table_name = ${textLiteral(table)} AND writer_epoch = ${epoch} AND commit_seq = ${commitSeq} ` +
  `AND writer = ${textLiteral(writer)}`
