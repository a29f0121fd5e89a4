import { Data } from "effect"

/** A row that cannot be written. It contains block numbers and no other value of a row (I7). */
export class EncodeError extends Data.TaggedError("EncodeError")<{
  /**
   * `schema`: the batch has other columns than the plan; `position`: a row is not within its range, or not in order;
   * `value`: PostgreSQL cannot store a value; `size`: a row is too large for PostgreSQL.
   */
  readonly kind: "schema" | "position" | "value" | "size"
  readonly column: string
  /** The row within its record batch. */
  readonly row: number
  /** The block of the row, where it is known. */
  readonly position: bigint | undefined
  /** The blocks that delivered the row; absent where no row was read (`schema`). */
  readonly range: { readonly start: bigint; readonly end: bigint } | undefined
  readonly reason: string
}> {
  /** A batch of another schema: the server changed its plan of the query, and the next attempt describes it again. */
  get retryable(): boolean {
    return this.kind === "schema"
  }
  override get message() {
    const { position, range } = this
    const where = position !== undefined
      ? `, block ${position}`
      : range !== undefined
      ? `, blocks ${range.start} to ${range.end}`
      : ""
    return `column ${JSON.stringify(this.column)}${where}: ${this.reason}`
  }
}
