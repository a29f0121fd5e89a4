/**
 * How many rows one transaction should carry, learnt from how long the last ones took.
 *
 * Units: rows, bytes of COPY data, milliseconds. The target is a second per transaction: long enough that its fixed cost
 * does not matter, short enough that readers see progress and a failure repeats little.
 */
export interface BatchSize {
  readonly rows: number
  readonly recentMillis: ReadonlyArray<number>
}

export const MIN_ROWS = 100
export const MAX_ROWS = 50_000
const TARGET_MILLIS = 1_000
const SAMPLES = 10

/** Most bytes of one chunk: measured, COPY gains nothing beyond, and memory is spent per chunk in flight. */
export const MAX_CHUNK_BYTES = 16 * 1024 * 1024

// Below about 3,000 rows a COPY costs PostgreSQL twice as much per row: begin where that is over.
export const initialBatchSize: BatchSize = { rows: 10_000, recentMillis: [] }

/**
 * After a commit of about as many rows as asked for. A smaller one says nothing of the size, unless even that took too long:
 * wide rows end a chunk by its bytes, and must not keep a size that was learnt from narrow ones.
 */
export const afterCommit = (size: BatchSize, rows: number, elapsedMillis: number): BatchSize => {
  if (rows < size.rows / 2 && elapsedMillis <= TARGET_MILLIS) return size
  const recentMillis = [...size.recentMillis.slice(1 - SAMPLES), elapsedMillis]
  if (recentMillis.length < 3) return { ...size, recentMillis }
  const average = recentMillis.reduce((sum, millis) => sum + millis, 0) / recentMillis.length
  const factor = average > TARGET_MILLIS ? 0.9 : average < TARGET_MILLIS / 2 ? 1.2 : 1.05
  return { rows: clamp(size.rows * factor), recentMillis }
}

/** After a failed commit: a smaller one may get through where a large one ran into a limit. */
export const afterFailure = (size: BatchSize): BatchSize => ({ rows: clamp(size.rows * 0.7), recentMillis: [] })

const clamp = (rows: number): number => Math.min(MAX_ROWS, Math.max(MIN_ROWS, Math.trunc(rows)))
