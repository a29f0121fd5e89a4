import { Result } from "effect"
import type { ColumnBatch } from "../../../src/domain/arrow/ColumnBatch.ts"
import { makeCopyPlan } from "../../../src/domain/postgres/encode/encodeCopy.ts"
import { planColumns } from "../../../src/domain/postgres/types/PgType.ts"
import { encodeAll } from "../../support/encodeAll.ts"

const RANGE = { start: 0n, end: 7n }

/** Tuples of rows `from` to `to` of a batch without a position, written as COPY writes them. */
export const encodedRows = (batch: ColumnBatch, from: number, to: number, textNul: "refuse" | "replace" = "refuse") => {
  const columns = Result.getOrThrow(planColumns(batch.schema))
  const plan = makeCopyPlan({ columns, position: { kind: "rangeEnd" }, textNul })
  return Result.map(encodeAll(plan, { batch, from, to, range: RANGE, cursor: undefined }), ({ bytes }) => bytes)
}

/** The field of the only column, in hex: without the field count before it, `_row_index` and `_range_end` after it. */
export const encodedField = (batch: ColumnBatch, row: number, textNul: "refuse" | "replace" = "refuse"): string => {
  const bytes = Result.getOrThrow(encodedRows(batch, row, row + 1, textNul))
  return Buffer.from(bytes.subarray(2, bytes.length - 8 - 12)).toString("hex")
}
