/**
 * How many rows one transaction should carry, learnt from how fast the last ones were.
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
/** How much of the newest commit goes into the smoothed speed: one that is slow by chance does not count for much. */
const WEIGHT = 0.3
/** Most that one commit changes the size by. */
const MAX_GROWTH = 1.5
const MAX_REDUCTION = 0.7

/** Most bytes of one chunk: measured, COPY gains nothing beyond. */
export const MAX_CHUNK_BYTES = 16 * 1024 * 1024

// Below about 3,000 rows a COPY costs PostgreSQL twice as much per row: begin where that is over.
export const initialChunkSize: ChunkSize = { rows: 10_000, rowsPerMilli: undefined }

/**
 * After a commit of about as many rows as asked for. A smaller one tells nothing about the size, unless even that took too
 * long: wide rows end a chunk by its bytes, and must not keep a size that was learnt from narrow ones.
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

/** After a failed commit: a smaller one may get through where a large one ran into a limit. */
export const afterFailure = (size: ChunkSize): ChunkSize => ({
  rows: clamp(size.rows * MAX_REDUCTION),
  rowsPerMilli: undefined
})

const clamp = (rows: number): number => Math.min(MAX_ROWS, Math.max(MIN_ROWS, Math.trunc(rows)))
