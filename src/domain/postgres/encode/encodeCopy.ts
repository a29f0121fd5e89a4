/** The plan of one query's COPY: its columns, its position, its header and trailer. */
import { RANGE_END, ROW_INDEX } from "../table/tableDdl.ts"
import type { PgColumn } from "../types/PgType.ts"
import type { WriteOptions } from "./FieldWriter.ts"

export { EncodeError } from "./EncodeError.ts"
export type { RowCursor, RowSpan } from "./RowNumbering.ts"

/** The source of a row's position in the chain: a column of the query, or the end of the range that delivered it. */
export type Position =
  | { readonly kind: "column"; readonly index: number; readonly name: string }
  | { readonly kind: "rangeEnd" }

/** How the rows of one query become tuples of one table. */
export interface CopyPlan extends WriteOptions {
  readonly columns: ReadonlyArray<PgColumn>
  readonly position: Position
}

/** Checks that the position column is a BIGINT; anything else is a defect of the caller. */
export const makeCopyPlan = (plan: CopyPlan): CopyPlan => {
  const { columns, position } = plan
  const fits = position.kind === "rangeEnd" || columns[position.index]?.type === "bigint"
  if (!fits) throw new Error(`the position column "${position.name}" was planned without being a BIGINT`)
  return plan
}

/** The column names of a tuple in order: those of the query, then the system columns. */
export const copyColumns = (plan: CopyPlan): ReadonlyArray<string> => [
  ...plan.columns.map((column) => column.name),
  ROW_INDEX,
  ...(plan.position.kind === "rangeEnd" ? [RANGE_END] : [])
]

/**
 * The header of a binary COPY.
 *
 * Shape: signature `PGCOPY\n\xff\r\n\0`, int32 flags, int32 length of the header extension.
 * Source: PostgreSQL, doc "COPY", "Binary Format".
 */
export const copyHeader: Uint8Array = Uint8Array.from(
  `PGCOPY\n\xff\r\n\0${"\0".repeat(8)}`,
  (character) => character.charCodeAt(0)
)

/** The trailer of a binary COPY: int16 -1. PostgreSQL rejects any byte after it. */
export const copyTrailer: Uint8Array = Uint8Array.of(0xff, 0xff)
