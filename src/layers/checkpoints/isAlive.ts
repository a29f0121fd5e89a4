/** Three heartbeats of two seconds. */
const STALE = "interval '6 seconds'"

/**
 * SQL: whether the heartbeat that `column` holds is that of a living writer.
 *
 * One in the future was written by another clock, that of a server this one took over from: a living writer replaces it within
 * two seconds, and a dead one must not count as alive until this clock gets there.
 */
export const isAlive = (column: string): string =>
  `${column} BETWEEN clock_timestamp() - ${STALE} AND clock_timestamp() + ${STALE}`
