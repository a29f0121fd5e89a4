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
 * holds the end of the range (range mode). Fails with a sentence where the query's columns collide with ours.
 */
export const choosePosition = (columns: ReadonlyArray<PgColumn>): Result.Result<ChosenPosition, string> => {
  const clash = columns.find(({ name }) => name === ROW_INDEX || name === RANGE_END)
  if (clash !== undefined) {
    return Result.fail(`column "${clash.name}" is one that ampsync adds itself; choose another alias`)
  }
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
