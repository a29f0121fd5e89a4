/** The contract of the writers of COPY BINARY fields, and what they share: nulls, bounds, rejected values. */
import { type Column, isNull, viewOf } from "../../arrow/ColumnBatch.ts"

/** The buffer that tuples are written into, as bytes and as a view of the same bytes. */
export interface Output {
  readonly bytes: Uint8Array
  readonly view: DataView
}

export const outputOf = (bytes: Uint8Array): Output => ({ bytes, view: viewOf(bytes) })

/**
 * Writes the values of one column, row by row, in a form that PostgreSQL reads.
 *
 * Trusts what `checkColumn` has checked. `write` throws `RejectedValue` for a value that its PostgreSQL type cannot hold.
 */
export interface FieldWriter {
  /** At least as many bytes as `write` needs for the rows `from` to `to`, the latter excluded. */
  readonly bound: (from: number, to: number) => number
  /** Writes the value of `row` at `at` and returns the offset after it. */
  readonly write: (out: Output, at: number, row: number) => number
}

/** Options of all writers. */
export interface WriteOptions {
  /** Reaction to a NUL character, which PostgreSQL cannot store in a text: an error, or U+FFFD in its place. */
  readonly textNul: "refuse" | "replace"
}

/** Makes the writer of one column of a batch. */
export type MakeWriter = (column: Column, options: WriteOptions) => FieldWriter

/** A value that its PostgreSQL type cannot hold. `reason` never holds the value. */
export class RejectedValue extends Error {
  readonly reason: string
  constructor(reason: string) {
    super(reason)
    this.reason = reason
  }
}

/** Throws `RejectedValue`. */
export const rejectValue = (reason: string): never => {
  throw new RejectedValue(reason)
}

/** Shape: int32 -1 in the place of a length. Source: PostgreSQL, protocol docs, "Binary Format" of COPY. */
export const writeNull = (out: Output, at: number): number => {
  out.view.setInt32(at, -1)
  return at + 4
}

/** Writes NULL where the column's bitmap has it; `writer` is called for present rows only. */
export const withNulls = (column: Column, writer: FieldWriter): FieldWriter => {
  const { validity } = column
  if (validity === undefined) return writer
  const { bound, write } = writer
  return {
    bound,
    write: (out, at, row) => isNull(validity, row) ? writeNull(out, at) : write(out, at, row)
  }
}

/** Rejects NULLs of a column that is declared without. */
export const withoutNulls = (writer: FieldWriter): FieldWriter => ({
  bound: writer.bound,
  write: (out, at, row) => {
    const end = writer.write(out, at, row)
    return out.view.getInt32(at) === -1 ? rejectValue("it is null in a column that is declared not to be") : end
  }
})

/** The bound of values that all take the same room. */
export const boundOf = (fieldBytes: number) => (from: number, to: number): number => (to - from) * fieldBytes

/** The bound of values of different sizes: the sum over the present rows. */
export const boundOfEach =
  (column: Column, boundOfRow: (row: number) => number) => (from: number, to: number): number => {
    let bytes = 4 * (to - from)
    for (let row = from; row < to; row++) if (!isNull(column.validity, row)) bytes += boundOfRow(row)
    return bytes
  }
