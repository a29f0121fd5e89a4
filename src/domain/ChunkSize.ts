/**
 * How many rows one transaction should have, derived from the speed of the last ones.
 *
 * Units: rows, bytes of COPY data, milliseconds. The target is a second per transaction: long enough that its fixed cost
 * does not matter, short enough that readers see progress and a failure repeats little.
 */
export interface ChunkSize {
  readonly rows: number
  /** Smoothed over the last commits; undefined before the first one, and after a failure. */
  readonly rowsPerMilli: number | undefined
}

export const MIN_ROWS = 100
export const MAX_ROWS = 50_000
const TARGET_MILLIS = 1_000
/** The weight of the newest commit in the smoothed speed, so that one that is slow by chance changes little. */
const WEIGHT = 0.3
/** The largest change of the size by one commit. */
const MAX_GROWTH = 1.5
const MAX_REDUCTION = 0.7

/** The most bytes of one chunk: measured, larger ones make COPY no faster. */
export const MAX_CHUNK_BYTES = 16 * 1024 * 1024

// Below about 3,000 rows a COPY costs PostgreSQL twice as much per row, so the first size is well above.
export const initialChunkSize: ChunkSize = { rows: 10_000, rowsPerMilli: undefined }

/**
 * The size after a commit of `rows` rows. A commit of fewer than half of the size does not change it, unless even that took
 * too long: wide rows end a chunk by its bytes, and must not keep a size derived from narrow ones.
 */
export const afterCommit = (size: ChunkSize, rows: number, elapsedMillis: number): ChunkSize => {
  if (rows === 0 || (rows < size.rows / 2 && elapsedMillis <= TARGET_MILLIS)) return size
  const speed = rows / Math.max(1, elapsedMillis)
  const rowsPerMilli = size.rowsPerMilli === undefined
    ? speed
    : size.rowsPerMilli + WEIGHT * (speed - size.rowsPerMilli)
  const wanted = rowsPerMilli * TARGET_MILLIS
  return {
    rows: clamp(Math.min(size.rows * MAX_GROWTH, Math.max(size.rows * MAX_REDUCTION, wanted))),
    rowsPerMilli
  }
}

/** The size after a failed commit: a smaller one may succeed where a large one exceeded a limit. */
export const afterFailure = (size: ChunkSize): ChunkSize => ({
  rows: clamp(size.rows * MAX_REDUCTION),
  rowsPerMilli: undefined
})

const clamp = (rows: number): number => Math.min(MAX_ROWS, Math.max(MIN_ROWS, Math.trunc(rows)))
