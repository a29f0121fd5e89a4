/** The parsed form of a query. */
import { Data } from "effect"

/**
 * `syntax`: no server reads this. `statements`: there are several. `unsupported`: a real server would evaluate it, the
 * simulator does not.
 */
export class SqlProblem extends Data.TaggedError("SqlProblem")<{
  readonly kind: "syntax" | "statements" | "unsupported"
  readonly message: string
}> {}

/** Whether a block with this number is part of the result. */
export type BlockCondition = (block: bigint) => boolean

/** The names of the function `block_num()` and of a count of rows among the columns of a query. */
export const BLOCK_NUM = "block_num()"
export const COUNT = "count(*)"

/** The functions that decode events. */
export const EVM_FUNCTIONS = ["evm_topic", "evm_decode_log"] as const
export type EvmFunction = typeof EVM_FUNCTIONS[number]

/** An argument of a function: a column by its name, or text. */
export type Argument =
  | { readonly kind: "column"; readonly name: string }
  | { readonly kind: "literal"; readonly text: string }

/** An expression that is computed for each row: a call of a function, or a field of a struct. `of` is the name of a column. */
export type Expression =
  | { readonly kind: "call"; readonly called: EvmFunction; readonly args: ReadonlyArray<Argument> }
  | { readonly kind: "field"; readonly of: string; readonly field: string }

/** The condition of WHERE; the two sides of an equality are names of columns. */
export type Condition =
  | { readonly kind: "block"; readonly includes: BlockCondition }
  | { readonly kind: "equal"; readonly left: string; readonly right: string }
  | { readonly kind: "all" | "any"; readonly conditions: ReadonlyArray<Condition> }

export interface SelectItem {
  /** Name of a column, one of the two above, or an expression by its text. */
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
  readonly condition: Condition
  /** Expressions of the statement by their text. */
  readonly expressions: ReadonlyMap<string, Expression>
  /** GROUP BY or DISTINCT ON: one row for each combination of values, in every block. */
  readonly keys: ReadonlyArray<string> | undefined
  /** Rows come from the last block to the first. */
  readonly descending: boolean
  readonly limit: number | undefined
  /** The first operation that cannot be streamed, as the server prints it. */
  readonly nonIncremental: string | undefined
  /** DISTINCT ON with ORDER BY: the amp server takes it for incremental until it plans the first range. */
  readonly sortsGroups: boolean
}

export interface Statement {
  readonly query: Query
  /** The statement ends with `SETTINGS stream = true`. */
  readonly streaming: boolean
}
