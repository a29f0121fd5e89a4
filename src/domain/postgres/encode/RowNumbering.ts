/** Numbers the rows of a range: the `_row_index` of each row, and the checks of its position. */
import { type Column, isNull, viewOf } from "../../arrow/ColumnBatch.ts"
import { readIndex } from "../../arrow/readIndex.ts"
import { EncodeError } from "./EncodeError.ts"

/** The position after the last row numbered; it is passed on over the messages and chunks of one range. */
export interface RowCursor {
  readonly position: bigint
  readonly nextRowIndex: number
}

/** Rows `from` to `to`, the latter excluded, of a batch that the range `start` to `end` delivered. */
export interface RowSpan {
  readonly from: number
  readonly to: number
  readonly range: { readonly start: bigint; readonly end: bigint }
  readonly cursor: RowCursor | undefined
}

/** How many rows of a span got a number, and why the row after them got none. */
export interface NumberedRows {
  readonly rows: number
  readonly rejected: EncodeError | undefined
}

/**
 * Gives the rows of one batch their `_row_index`, the number of a row within its position.
 *
 * The primary key depends on it: two rows of one position never get the same number while the cursor is passed on.
 */
export interface RowNumbering {
  /** Writes the numbers of a span to the start of `indices`, up to the first row that is rejected. */
  readonly number: (span: RowSpan, indices: Int32Array) => NumberedRows
  /** The cursor after `row`, whose number is `index`. */
  readonly cursorAfter: (row: number, index: number, range: RowSpan["range"]) => RowCursor
  /** The block of a row, for errors; undefined where it is not known. */
  readonly blockOf: (row: number) => bigint | undefined
}

/** Most rows that are numbered and written in one step. */
export const PIECE_ROWS = 8192

const MAX_ROW_INDEX = 0x7fffffff

/** Numbers rows within each block. Rejects a block number that is null, outside of the range, or below the one before. */
export const numberByColumn = (column: Column, name: string): RowNumbering => {
  const { approximate, exact } = positionsOf(column)
  const { validity } = column
  return {
    number: ({ cursor, from, range, to }, indices) => {
      let current = cursor?.position
      let currentNumber = NaN
      let next = cursor?.nextRowIndex ?? 0
      for (let row = from; row < to; row++) {
        const present = !isNull(validity, row)
        const number = present ? approximate(row) : NaN
        // One bigint per block instead of one per row: below 2^53 equal numbers are equal positions.
        if (number !== currentNumber) {
          const position = present ? exact(row) : undefined
          const reason = positionProblem(position, current, range)
          if (reason !== undefined) {
            return {
              rows: row - from,
              rejected: new EncodeError({ kind: "position", column: name, row, position, range, reason })
            }
          }
          if (position !== current) next = 0
          current = position
          currentNumber = Number.isSafeInteger(number) ? number : NaN
        }
        if (next > MAX_ROW_INDEX) return { rows: row - from, rejected: tooManyRows(name, range, row, current) }
        indices[row - from] = next
        next += 1
      }
      return { rows: to - from, rejected: undefined }
    },
    cursorAfter: (row, index) => ({ position: exact(row), nextRowIndex: index + 1 }),
    blockOf: (row) => isNull(validity, row) ? undefined : exact(row)
  }
}

const positionProblem = (
  position: bigint | undefined,
  previous: bigint | undefined,
  range: RowSpan["range"]
): string | undefined => {
  if (position === undefined) return "a row has no block number, which is its position in the chain"
  if (position < range.start || position > range.end) {
    return `a row lies outside the blocks ${range.start} to ${range.end} that delivered it`
  }
  return previous !== undefined && position < previous
    ? `a row follows one of block ${previous} in the same range: the rows are not in order`
    : undefined
}

/** Numbers the rows of a range as a whole, for queries that yield no position. */
export const numberByRange = (name: string): RowNumbering => ({
  number: ({ cursor, from, range, to }, indices) => {
    const first = cursor?.nextRowIndex ?? 0
    const rows = Math.min(to - from, MAX_ROW_INDEX - first + 1)
    for (let offset = 0; offset < rows; offset++) indices[offset] = first + offset
    return { rows, rejected: rows < to - from ? tooManyRows(name, range, from + rows, range.end) : undefined }
  },
  cursorAfter: (_, index, range) => ({ position: range.end, nextRowIndex: index + 1 }),
  blockOf: () => undefined
})

const tooManyRows = (
  column: string,
  range: RowSpan["range"],
  row: number,
  position: bigint | undefined
): EncodeError =>
  new EncodeError({ kind: "position", column, row, position, range, reason: "it has more rows than an INTEGER counts" })

/** Reads block numbers of any integer type: as numbers, exact below 2^53, and exactly. */
const positionsOf = (column: Column) => {
  const { type } = column.field
  if (type.kind !== "int") throw new Error(`a position of kind ${type.kind} was planned`)
  const source = viewOf(column.buffers[0]!)
  const approximate = readIndex(type, column.buffers[0]!)
  if (type.bits < 64) return { approximate, exact: (row: number) => BigInt(approximate(row)) }
  return type.signed
    ? { approximate, exact: (row: number) => source.getBigInt64(8 * row, true) }
    : { approximate, exact: (row: number) => source.getBigUint64(8 * row, true) }
}
