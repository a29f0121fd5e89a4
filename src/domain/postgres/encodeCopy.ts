import * as Result from "effect/Result"
import type { Column, ColumnBatch } from "../arrow/ColumnBatch.ts"
import { sameField } from "../arrow/sameField.ts"
import { EncodeError } from "./EncodeError.ts"
import { type FieldWriter, type Output, RefusedValue, withoutNulls, type WriteOptions } from "./FieldWriter.ts"
import { blockOf, type IndexedRows, indexRange, indexRows, type RowCursor, type RowSpan } from "./indexRows.ts"
import type { PgColumn } from "./PgType.ts"
import { RANGE_END, ROW_INDEX } from "./tableDdl.ts"

export { EncodeError } from "./EncodeError.ts"
export type { RowCursor } from "./indexRows.ts"

/** What says where in the chain a row stands: a column of the query, or the end of the range that delivered it. */
export type Position =
  | { readonly kind: "column"; readonly index: number; readonly name: string }
  | { readonly kind: "rangeEnd" }

/** How the rows of one query become tuples of one table. */
export interface CopyPlan extends WriteOptions {
  readonly columns: ReadonlyArray<PgColumn>
  readonly position: Position
}

export const makeCopyPlan = (plan: CopyPlan): CopyPlan => {
  const { columns, position } = plan
  const fits = position.kind === "rangeEnd" || columns[position.index]?.type === "bigint"
  if (!fits) throw new Error(`the position column "${position.name}" was planned without being a BIGINT`)
  return plan
}

/** The column names of a tuple, in its order: those of the query, then ours. */
export const copyColumns = (plan: CopyPlan): ReadonlyArray<string> => [
  ...plan.columns.map((column) => column.name),
  ROW_INDEX,
  ...(plan.position.kind === "rangeEnd" ? [RANGE_END] : [])
]

/**
 * What every COPY begins with.
 *
 * Shape: signature `PGCOPY\n\xff\r\n\0`, int32 flags, int32 length of the header extension.
 * Source: PostgreSQL, doc "COPY", "Binary Format".
 */
export const copyHeader: Uint8Array = Uint8Array.from(
  `PGCOPY\n\xff\r\n\0${"\0".repeat(8)}`,
  (character) => character.charCodeAt(0)
)

/** What every COPY ends with, once: int16 -1. PostgreSQL rejects any byte after it. */
export const copyTrailer: Uint8Array = Uint8Array.of(0xff, 0xff)

/** The largest buffer written at once, so that no field exceeds PostgreSQL's 1 GiB. Source: utils/memutils.h, `MaxAllocSize`. */
const MAX_BYTES = 0x3fffffff

export interface EncodeInput extends RowSpan {
  readonly batch: ColumnBatch
}

export interface EncodedRows {
  /** Tuples without header and trailer. */
  readonly bytes: Uint8Array
  /** Where the next rows of the same range go on. */
  readonly cursor: RowCursor | undefined
}

/**
 * Writes the rows `from` to `to` of a batch as COPY BINARY tuples.
 *
 * Shape: int16 number of fields, then per field int32 length (-1 for NULL) and the value; system columns come last.
 * Fails: a batch of another schema, a position that does not fit its range, a value PostgreSQL cannot hold, more than 1 GiB.
 */
export const encodeRows = (plan: CopyPlan, input: EncodeInput): Result.Result<EncodedRows, EncodeError> => {
  const { batch, from, to } = input
  if (from >= to) return Result.succeed({ bytes: new Uint8Array(0), cursor: input.cursor })
  const stranger = plan.columns.findIndex((column, index) => !sameField(column.arrow, batch.schema.fields[index]))
  if (stranger >= 0 || batch.columns.length !== plan.columns.length) {
    const reason = "the stream's schema is not the one the table was prepared for"
    return Result.fail(failure(plan, input, "schema", from, Math.max(stranger, 0), reason))
  }
  return Result.flatMap(numberRows(plan, input), ({ cursor, indices }) => {
    const writers = plan.columns.map((column, index) => {
      const data = batch.columns[index]!
      const writer = column.writer(data, plan)
      return column.nullable || !mayHoldNulls(data) ? writer : withoutNulls(writer)
    })
    const tupleBytes = plan.position.kind === "rangeEnd" ? 2 + 8 + 12 : 2 + 8
    const bound = writers.reduce((sum, writer) => sum + writer.bound(from, to), tupleBytes * (to - from))
    if (bound > MAX_BYTES) {
      return Result.fail(failure(plan, input, "size", from, 0, "the rows need more than 1 GiB at once"))
    }
    return Result.map(writeTuples(plan, input, writers, indices, bound), (bytes) => ({ bytes, cursor }))
  })
}

/** A bitmap is not the only place where a null can hide: dictionaries and runs have them among their values. */
const mayHoldNulls = ({ field, validity }: Column): boolean =>
  validity !== undefined || field.type.kind === "dictionary" || field.type.kind === "runEndEncoded"

const numberRows = (plan: CopyPlan, input: EncodeInput): Result.Result<IndexedRows, EncodeError> => {
  const { position } = plan
  return position.kind === "rangeEnd"
    ? indexRange(RANGE_END, input)
    : indexRows(input.batch.columns[position.index]!, position.name, input)
}

const writeTuples = (
  plan: CopyPlan,
  input: EncodeInput,
  writers: ReadonlyArray<FieldWriter>,
  indices: Int32Array,
  bound: number
): Result.Result<Uint8Array, EncodeError> => {
  const { from, range, to } = input
  const bytes = new Uint8Array(bound)
  const view = new DataView(bytes.buffer)
  const out: Output = { bytes, view }
  const inRangeMode = plan.position.kind === "rangeEnd"
  const fields = writers.length + (inRangeMode ? 2 : 1)
  let at = 0
  let row = from
  let column = 0
  try {
    for (; row < to; row++) {
      view.setInt16(at, fields)
      at += 2
      for (column = 0; column < writers.length; column++) at = writers[column]!.write(out, at, row)
      view.setInt32(at, 4)
      view.setInt32(at + 4, indices[row - from]!)
      at += 8
      if (inRangeMode) {
        view.setInt32(at, 8)
        view.setBigInt64(at + 4, range.end)
        at += 12
      }
    }
  } catch (cause) {
    if (cause instanceof RefusedValue) return Result.fail(failure(plan, input, "value", row, column, cause.reason))
    throw cause
  }
  return Result.succeed(bytes.subarray(0, at))
}

const failure = (
  plan: CopyPlan,
  input: EncodeInput,
  kind: EncodeError["kind"],
  row: number,
  column: number,
  reason: string
): EncodeError => {
  const { batch, range } = input
  const { position } = plan
  const block = kind !== "schema" && position.kind === "column"
    ? blockOf(batch.columns[position.index]!, row)
    : undefined
  return new EncodeError({ kind, column: plan.columns[column]?.name ?? "", row, position: block, range, reason })
}
