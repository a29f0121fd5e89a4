import { Data } from "effect"

/** Rows that cannot be written as they are. Holds block numbers, and no other value of a row (I7). */
export class EncodeError extends Data.TaggedError("EncodeError")<{
  /**
   * `schema`: the batch has other columns than the plan; `position`: a row does not stand where the range says;
   * `value`: PostgreSQL cannot hold a value; `size`: a row is too large for PostgreSQL.
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
  /** The server planned the query otherwise than a moment before: the next attempt asks it again. */
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
