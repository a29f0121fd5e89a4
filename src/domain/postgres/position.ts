import { Result } from "effect"
import type { Position } from "./encodeCopy.ts"
import { type PgColumn, positionNames } from "./PgType.ts"
import { RANGE_END } from "./tableDdl.ts"

export interface ChosenPosition {
  readonly position: Position
  readonly column: string
}

/**
 * Chooses the column that says where in the chain a row stands: `_block_num`, else `block_num`, else one of our own that
 * holds the end of the range (range mode). Fails with a sentence where a column
 * of the reserved name is no block number.
 */
export const choosePosition = (columns: ReadonlyArray<PgColumn>): Result.Result<ChosenPosition, string> => {
  for (const name of positionNames) {
    const index = columns.findIndex((column) => column.name === name)
    if (index < 0) continue
    if (columns[index]!.type === "bigint") {
      return Result.succeed({ position: { kind: "column", index, name }, column: name })
    }
    if (name === "_block_num") return Result.fail("column \"_block_num\" is not a block number: its type is no integer")
  }
  return Result.succeed({ position: { kind: "rangeEnd" }, column: RANGE_END })
}
