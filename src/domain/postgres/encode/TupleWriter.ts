import { type FieldWriter, type Output, RejectedValue } from "./FieldWriter.ts"
import { PIECE_ROWS } from "./RowNumbering.ts"

/** Bound calculations allowed per row written. A bound may cost time for each of its rows (views, dictionaries). */
const CREDIT_PER_ROW = 4
const FIRST_CREDIT = 64
const MAX_CREDIT = 4 * PIECE_ROWS

/** Writes the tuples of one batch with the writers of its columns. Results are in fields, so that a step allocates nothing. */
export class TupleWriter {
  /** The offset after the tuples written last. */
  end = 0
  /** The column of the value that stopped `write`, and the reason; -1 when all rows were written. */
  rejectedColumn = -1
  rejectedReason = ""
  readonly #writers: ReadonlyArray<FieldWriter>
  readonly #inRangeMode: boolean
  readonly #ownBytes: number
  // Not 0: with a full buffer the division by it would be NaN.
  #boundPerRow = 1
  #credit = FIRST_CREDIT

  constructor(writers: ReadonlyArray<FieldWriter>, inRangeMode: boolean) {
    this.#writers = writers
    this.#inRangeMode = inRangeMode
    this.#ownBytes = inRangeMode ? 2 + 8 + 12 : 2 + 8
  }

  bound(from: number, to: number): number {
    let bytes = this.#ownBytes * (to - from)
    for (const writer of this.#writers) bytes += writer.bound(from, to)
    return bytes
  }

  largestColumn(row: number): number {
    const bounds = this.#writers.map((writer) => writer.bound(row, row + 1))
    return bounds.indexOf(Math.max(...bounds))
  }

  /**
   * A number of rows from `row` on whose bound is at most `room`, near the largest one; 0 where not even one fits.
   *
   * Guesses from the bytes per row of the last step and corrects downwards. Rows whose bound is calculated are paid from the
   * credit of rows written before, so that all guesses together cost O(1) per row.
   */
  rowsThatFit(row: number, to: number, room: number): number {
    const affordable = Math.max(1, this.#credit >> 1)
    let rows = Math.min(to - row, PIECE_ROWS, affordable, Math.max(1, Math.floor(room / this.#boundPerRow)))
    while (rows > 0) {
      this.#credit -= rows
      const bytes = this.bound(row, row + rows)
      this.#boundPerRow = bytes / rows
      if (bytes <= room) break
      rows = Math.min(rows >> 1, Math.floor(room / this.#boundPerRow))
    }
    return rows
  }

  /** Writes the rows `from` to `to`, numbered by `indices`; returns how many, fewer when a value is rejected. */
  write(out: Output, at: number, from: number, to: number, indices: Int32Array, rangeEnd: bigint): number {
    const { view } = out
    const writers = this.#writers
    const inRangeMode = this.#inRangeMode
    const fields = writers.length + (inRangeMode ? 2 : 1)
    let start = at
    let row = from
    let column = 0
    this.rejectedColumn = -1
    try {
      for (; row < to; row++) {
        let next = start
        view.setInt16(next, fields)
        next += 2
        for (column = 0; column < writers.length; column++) next = writers[column]!.write(out, next, row)
        view.setInt32(next, 4)
        view.setInt32(next + 4, indices[row - from]!)
        next += 8
        if (inRangeMode) {
          view.setInt32(next, 8)
          view.setBigInt64(next + 4, rangeEnd)
          next += 12
        }
        start = next
      }
    } catch (cause) {
      if (!(cause instanceof RejectedValue)) throw cause
      this.rejectedColumn = column
      this.rejectedReason = cause.reason
    }
    this.end = start
    this.#credit = Math.min(this.#credit + CREDIT_PER_ROW * (row - from), MAX_CREDIT)
    return row - from
  }
}
