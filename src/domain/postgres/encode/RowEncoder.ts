/** Encodes record batches as COPY BINARY tuples. */
import * as Result from "effect/Result"
import type { Column, ColumnBatch } from "../../arrow/ColumnBatch.ts"
import { describeSchemaChange } from "../../arrow/describeSchemaChange.ts"
import { sameField } from "../../arrow/sameField.ts"
import { RANGE_END } from "../table/tableDdl.ts"
import type { CopyPlan } from "./encodeCopy.ts"
import { EncodeError } from "./EncodeError.ts"
import { type Output, withoutNulls } from "./FieldWriter.ts"
import { planTuples, type TuplePlan } from "./planTuples.ts"
import { numberByColumn, numberByRange, PIECE_ROWS, type RowCursor, type RowSpan } from "./RowNumbering.ts"
import { TupleWriter } from "./TupleWriter.ts"
import { WasmTuples } from "./WasmTuples.ts"

/** Writes the rows of one query as COPY BINARY tuples into buffers that the caller owns. */
export interface RowEncoder {
  /** Checks the schema of a batch and binds its columns, once per batch. Fails: a batch of another schema. */
  readonly bind: (batch: ColumnBatch) => Result.Result<BoundBatch, EncodeError>
}

/** The rows of one batch, ready to be written. */
export interface BoundBatch {
  readonly rows: number
  /**
   * Writes rows from `span.from` on into `out` at `at`: as many as are sure to fit before the end of `out.bytes`, none at or
   * after `span.to`. Zero rows when not even one fits.
   *
   * Shape: per row int16 number of fields, then per field int32 length (-1 for NULL) and the value; system columns come last.
   * Fails: the row `span.from` is rejected, because its position does not fit the range or PostgreSQL cannot hold a value.
   * Rows before a rejected one are written first; the call that begins with the rejected row fails. Bytes of `out` after
   * `end` may have changed.
   */
  readonly write: (out: Output, at: number, span: RowSpan) => Result.Result<WrittenRows, EncodeError>
  /**
   * Returns the bytes that a row needs at most: a buffer of this size takes the row.
   *
   * Fails: more than 1 GiB, which no PostgreSQL field holds; the error names the column that needs most.
   */
  readonly bound: (row: number, range: RowSpan["range"]) => Result.Result<number, EncodeError>
}

/** The result of one `write`. */
export interface WrittenRows {
  readonly rows: number
  /** The offset after the last tuple. */
  readonly end: number
  /** The cursor for the next rows of the same range. */
  readonly cursor: RowCursor | undefined
}

/** The most bytes of one row, so that no field exceeds PostgreSQL's 1 GiB. Source: utils/memutils.h, `MaxAllocSize`. */
const MAX_ROW_BYTES = 0x3fffffff

/** `_row_index` of the rows of one step. Encoding never suspends, so that all tables share it. */
const indices = new Int32Array(PIECE_ROWS)

/** Makes the encoder of a query, with the fast path where its columns allow it. */
export const makeRowEncoder = (plan: CopyPlan): RowEncoder => makeRowEncoderWith(plan, planTuples(plan))

/** Makes an encoder with this fast path, or without one, so that tests can compare both. */
export const makeRowEncoderWith = (plan: CopyPlan, tuplePlan: TuplePlan | undefined): RowEncoder => ({
  bind: (batch) => {
    const { columns } = plan
    const other = columns.findIndex((column, index) => !sameField(column.arrow, batch.schema.fields[index]))
    if (other >= 0 || batch.columns.length !== columns.length) {
      const change = describeSchemaChange({ fields: columns.map(({ arrow }) => arrow) }, batch.schema)
      return Result.fail(
        new EncodeError({
          kind: "schema",
          column: columns[Math.max(other, 0)]?.name ?? "",
          row: 0,
          position: undefined,
          range: undefined,
          reason: `the stream's schema is not the one the table was prepared for: ${change}`
        })
      )
    }
    return Result.succeed(bindBatch(plan, batch, tuplePlan))
  }
})

const bindBatch = (plan: CopyPlan, batch: ColumnBatch, tuplePlan: TuplePlan | undefined): BoundBatch => {
  const writers = plan.columns.map((column, index) => {
    const data = batch.columns[index]!
    const writer = column.writer(data, plan)
    return column.nullable || !mayHoldNulls(data) ? writer : withoutNulls(writer)
  })
  const { position } = plan
  const numbering = position.kind === "rangeEnd"
    ? numberByRange(RANGE_END)
    : numberByColumn(batch.columns[position.index]!, position.name)
  const inRangeMode = position.kind === "rangeEnd"
  const tuples = new TupleWriter(writers, inRangeMode)
  const fast = tuplePlan && WasmTuples.bind(tuplePlan, batch, plan.columns, writers)
  const fail = (kind: "value" | "size", column: number, row: number, range: RowSpan["range"], reason: string) =>
    Result.fail(
      new EncodeError({
        kind,
        column: plan.columns[column]!.name,
        row,
        position: numbering.blockOf(row),
        range,
        reason
      })
    )
  return {
    rows: batch.rows,
    write: (out, at, span) => {
      const { from, range, to } = span
      let { cursor } = span
      let end = at
      let row = from
      while (row < to) {
        const room = out.bytes.length - end
        const tried = fast === undefined ? 0 : fast.rowsToTry(row, to, room)
        const rows = tried > 0 ? tried : tuples.rowsThatFit(row, to, room)
        if (rows === 0) break
        const numbered = numbering.number({ from: row, to: row + rows, range, cursor }, indices)
        let written = 0
        let after = end
        if (tried > 0) {
          written = fast!.write(out, end, row, row + numbered.rows, indices, range.end)
          after = fast!.end
        }
        if (written === 0) {
          // The writers read a value again that the fast path rejected, because only they give the reason.
          const fitting = tried > 0 ? tuples.rowsThatFit(row, row + numbered.rows, room) : numbered.rows
          written = tuples.write(out, end, row, row + fitting, indices, range.end)
          after = tuples.end
        }
        if (written === 0) {
          // Rows that this call has written are returned first; the next call begins with the rejected row.
          if (row > from) break
          if (numbered.rows === 0) return Result.fail(numbered.rejected!)
          if (tuples.rejectedColumn < 0) break
          return fail("value", tuples.rejectedColumn, row, range, tuples.rejectedReason)
        }
        cursor = numbering.cursorAfter(row + written - 1, indices[written - 1]!, range)
        row += written
        end = after
      }
      return Result.succeed({ rows: row - from, end, cursor })
    },
    bound: (row, range) => {
      const bytes = tuples.bound(row, row + 1)
      return bytes <= MAX_ROW_BYTES
        ? Result.succeed(bytes)
        : fail("size", tuples.largestColumn(row), row, range, "the row needs more than 1 GiB, and most of it here")
    }
  }
}

/** Nulls are not only in the bitmap: dictionaries and runs have them among their values. */
const mayHoldNulls = ({ field, validity }: Column): boolean =>
  validity !== undefined || field.type.kind === "dictionary" || field.type.kind === "runEndEncoded"
