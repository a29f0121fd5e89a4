/** Chooses the column that gives the position of a row in the chain. */
import { Result } from "effect"
import type { ArrowType } from "../../arrow/ArrowSchema.ts"
import type { Position } from "../encode/encodeCopy.ts"
import { type PgColumn, positionNames } from "../types/PgType.ts"
import { RANGE_END } from "./tableDdl.ts"

/** Where the position of a row comes from, and the column that stores it. */
export interface ChosenPosition {
  readonly position: Position
  readonly column: string
}

/**
 * Chooses the column that gives the position of a row in the chain: `_block_num`, else `block_num`, else a column of Ampsync
 * for the end of the range (range mode).
 *
 * Fails with a sentence: `_block_num` is no integer, or either column comes as a dictionary or as runs of integers.
 */
export const choosePosition = (columns: ReadonlyArray<PgColumn>): Result.Result<ChosenPosition, string> => {
  for (const name of positionNames) {
    const index = columns.findIndex((column) => column.name === name)
    if (index < 0) continue
    const { arrow, type } = columns[index]!
    const indirect = indirectIntegers(arrow.type)
    if (indirect !== undefined) {
      return Result.fail(
        `column "${name}" holds block numbers as ${indirect}, which cannot be the position of a row: `
          + `use CAST("${name}" AS BIGINT) AS "${name}" in the query`
      )
    }
    if (type === "bigint") return Result.succeed({ position: { kind: "column", index, name }, column: name })
    if (name === "_block_num") return Result.fail("column \"_block_num\" is not a block number: its type is no integer")
  }
  return Result.succeed({ position: { kind: "rangeEnd" }, column: RANGE_END })
}

/** The encoding of integers that are not stored row by row; undefined for every other type. */
const indirectIntegers = (type: ArrowType): string | undefined => {
  if (type.kind === "dictionary") return type.value.kind === "int" ? "a dictionary" : indirectIntegers(type.value)
  if (type.kind !== "runEndEncoded") return undefined
  const values = type.values.type
  return values.kind === "int" ? "run-end encoded values" : indirectIntegers(values)
}
