import * as Result from "effect/Result"
import { type Column, isNull, viewOf } from "../arrow/ColumnBatch.ts"
import { readIndex } from "../arrow/readIndex.ts"
import { EncodeError } from "./EncodeError.ts"

/** Where inside a range the rows stand: survives the messages and chunks of one range. */
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

export interface IndexedRows {
  /** `_row_index` of each row of the span. */
  readonly indices: Int32Array
  readonly cursor: RowCursor | undefined
}

/**
 * Numbers the rows within each position, and checks every position: present, inside the range, never going backwards.
 *
 * The primary key rests on it: two rows of one position never get the same number while the cursor is handed on.
 */
export const indexRows = (column: Column, name: string, span: RowSpan): Result.Result<IndexedRows, EncodeError> => {
  const { from, range, to } = span
  const { approximate, exact } = positionsOf(column)
  const indices = new Int32Array(to - from)
  let current = span.cursor?.position
  let currentNumber = NaN
  let next = span.cursor?.nextRowIndex ?? 0
  for (let row = from; row < to; row++) {
    const present = !isNull(column.validity, row)
    const number = present ? approximate(row) : NaN
    // The rows of one block cost one bigint together: below 2^53 equal numbers are equal positions.
    if (number !== currentNumber) {
      const position = present ? exact(row) : undefined
      const reason = positionProblem(position, current, range)
      if (reason !== undefined) {
        return Result.fail(new EncodeError({ kind: "position", column: name, row, position, range, reason }))
      }
      if (position !== current) next = 0
      current = position
      currentNumber = Number.isSafeInteger(number) ? number : NaN
    }
    if (next > MAX_ROW_INDEX) return Result.fail(tooManyRows(name, span, row, current))
    indices[row - from] = next
    next += 1
  }
  return Result.succeed({
    indices,
    cursor: current === undefined ? undefined : { position: current, nextRowIndex: next }
  })
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

const MAX_ROW_INDEX = 0x7fffffff

/** Numbers the rows of a range as a whole, for queries that yield no position. */
export const indexRange = (name: string, span: RowSpan): Result.Result<IndexedRows, EncodeError> => {
  const { from, range, to } = span
  const first = span.cursor?.nextRowIndex ?? 0
  if (first + (to - from) - 1 > MAX_ROW_INDEX) return Result.fail(tooManyRows(name, span, from, range.end))
  const indices = Int32Array.from({ length: to - from }, (_, offset) => first + offset)
  return Result.succeed({ indices, cursor: { position: range.end, nextRowIndex: first + to - from } })
}

const tooManyRows = (column: string, { range }: RowSpan, row: number, position: bigint | undefined): EncodeError =>
  new EncodeError({ kind: "position", column, row, position, range, reason: "it has more rows than an INTEGER counts" })

/** The block number of one row; its column was checked by `indexRows`. */
export const blockOf = (column: Column, row: number): bigint => positionsOf(column).exact(row)

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
