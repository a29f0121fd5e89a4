/** The conditions of WHERE: blocks by their number, and rows by the equality of two columns. */
import { Result } from "effect"
import type { BlockSource } from "./BlockSource.ts"
import { newColumn, type PlainValue, valueAt } from "./columns.ts"
import type { Rows } from "./grouping.ts"
import type { Condition } from "./query.ts"
import type { TableColumn } from "./tables.ts"

/** False where no row of the block can be part of the result. */
export const mayInclude = (condition: Condition, block: bigint): boolean => {
  if (condition.kind === "block") return condition.includes(block)
  if (condition.kind === "equal") return true
  if (condition.kind === "all") return condition.conditions.every((_) => mayInclude(_, block))
  return condition.conditions.some((_) => mayInclude(_, block))
}

const comparesRows = (condition: Condition): boolean =>
  condition.kind === "equal" || (condition.kind !== "block" && condition.conditions.some(comparesRows))

/** The rows of a block that are part of the result; undefined where blocks are selected as a whole. Fails as `columnOf`. */
export const selectedRows = <E>(
  condition: Condition,
  rowsOf: (block: BlockSource) => number,
  columnOf: (name: string) => Result.Result<TableColumn, E>
): Result.Result<Rows | undefined, E> => {
  if (!comparesRows(condition)) return Result.succeed(undefined)
  return Result.map(rowTest(condition, columnOf), (testOf) => {
    let last: { readonly block: BlockSource; readonly rows: ReturnType<Rows> } | undefined
    return (block) => {
      if (last?.block !== block) {
        const test = testOf(block)
        const all = Array.from({ length: rowsOf(block) }, (_, row) => ({ row, rows: 1 }))
        last = { block, rows: all.filter(({ row }) => test(row)) }
      }
      return last.rows
    }
  })
}

type RowTest = (block: BlockSource) => (row: number) => boolean

const rowTest = <E>(
  condition: Condition,
  columnOf: (name: string) => Result.Result<TableColumn, E>
): Result.Result<RowTest, E> => {
  if (condition.kind === "block") return Result.succeed((block) => () => condition.includes(block.id.number))
  if (condition.kind === "equal") {
    return Result.map(Result.all([columnOf(condition.left), columnOf(condition.right)]), (columns) => (block) => {
      const [left, right] = columns.map((column) => valuesOf(column, block))
      return (row) => isSame(left!(row), right!(row))
    })
  }
  return Result.map(Result.all(condition.conditions.map((_) => rowTest(_, columnOf))), (tests) => (block) => {
    const bound = tests.map((test) => test(block))
    return (row) => condition.kind === "all" ? bound.every((test) => test(row)) : bound.some((test) => test(row))
  })
}

const valuesOf = ({ append, field }: TableColumn, block: BlockSource): (row: number) => PlainValue => {
  const column = newColumn(field)
  append(column, block)
  return (row) => valueAt(field.type, column, row)
}

/** NULL equals nothing; integers are the same whatever their width. */
const isSame = (left: PlainValue, right: PlainValue): boolean =>
  left instanceof Uint8Array && right instanceof Uint8Array
    ? Buffer.compare(left, right) === 0
    : left !== null && right !== null && String(left) === String(right)
