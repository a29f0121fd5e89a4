import { Data } from "effect"

/** What a query says, once it is read. */

/**
 * `syntax`: no server reads this. `statements`: there are several. `unsupported`: a real server would evaluate it, the
 * simulator does not.
 */
export class SqlProblem extends Data.TaggedError("SqlProblem")<{
  readonly kind: "syntax" | "statements" | "unsupported"
  readonly message: string
}> {}

/** Is a block with this number part of the result? */
export type BlockCondition = (block: bigint) => boolean

/** What the function `block_num()` and a count of rows are called among the columns of a query. */
export const BLOCK_NUM = "block_num()"
export const COUNT = "count(*)"

export interface SelectItem {
  /** Name of a column, or one of the two above. */
  readonly column: string
  /** Name in the result. */
  readonly name: string
}

export type Projection =
  | { readonly kind: "all" }
  | { readonly kind: "columns"; readonly items: ReadonlyArray<SelectItem>; readonly window: boolean }
  | { readonly kind: "count"; readonly name: string }

export type Source =
  | { readonly kind: "table"; readonly parts: ReadonlyArray<string> }
  | { readonly kind: "query"; readonly query: Query }

export interface Query {
  readonly projection: Projection
  readonly from: Source & { readonly alias: string | undefined }
  readonly condition: BlockCondition
  /** GROUP BY or DISTINCT ON: one row for each combination of values, in every block. */
  readonly keys: ReadonlyArray<string> | undefined
  /** Rows come from the last block to the first. */
  readonly descending: boolean
  readonly limit: number | undefined
  /** The first operation that cannot be streamed, as the server prints it. */
  readonly nonIncremental: string | undefined
}

export interface Statement {
  readonly query: Query
  /** `SETTINGS stream = true` stands at the end. */
  readonly streaming: boolean
}
