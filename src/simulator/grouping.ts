/** Rows of one block in groups: `GROUP BY block_num(), ...` and `DISTINCT ON (block_num(), ...)`. */
import type { BlockSource } from "./BlockSource.ts"
import { appendRow, type Column, newColumn, valueAt } from "./columns.ts"
import { BLOCK_NUM, COUNT } from "./query.ts"
import type { TableColumn } from "./tables.ts"

/** A source of rows in each block: a table, or a query of it. */
export interface RowSource {
  readonly rowsOf: (block: BlockSource) => number
}

interface Group {
  /** The first row of it. */
  readonly row: number
  rows: number
}

/** The groups of a block, or its selected rows as groups of one. */
export type Rows = (block: BlockSource) => ReadonlyArray<Group>

/** The number of its block for each row of `source`, as `block_num()` gives it: declared nullable, and never null. */
export const blockNumOf = (source: RowSource): TableColumn => ({
  field: { name: BLOCK_NUM, type: { kind: "int", bits: 64, signed: false }, nullable: true },
  append: (column, block) => {
    for (let row = 0; row < source.rowsOf(block); row += 1) appendNumber(column, block.id.number)
  }
})

const appendNumber = (column: Column, value: bigint): void => {
  if (column.kind !== "fixed") throw new Error("a number needs a column of fixed width")
  const at = column.values.reserve(8)
  column.values.view.setBigInt64(at, value, true)
  if (column.present === undefined) return
  const flag = column.present.reserve(1)
  column.present.bytes[flag] = 1
}

/** Groups the rows of each block by the values of `keys`; those of the last block are kept, because every column needs them. */
export const groupsOf = (source: RowSource, keys: ReadonlyArray<TableColumn>): Rows => {
  let last: { readonly block: BlockSource; readonly groups: ReadonlyArray<Group> } | undefined
  return (block) => {
    if (last?.block !== block) last = { block, groups: group(source, keys, block) }
    return last.groups
  }
}

const group = (source: RowSource, keys: ReadonlyArray<TableColumn>, block: BlockSource): ReadonlyArray<Group> => {
  const values = keys.map(({ append, field }) => {
    const column = newColumn(field)
    append(column, block)
    return (row: number) => String(valueAt(field.type, column, row))
  })
  const groups = new Map<string, Group>()
  for (let row = 0; row < source.rowsOf(block); row += 1) {
    const key = values.map((of) => of(row)).join(" ")
    const known = groups.get(key)
    if (known === undefined) groups.set(key, { row, rows: 1 })
    else known.rows += 1
  }
  return [...groups.values()]
}

/** The value of the first row of each group. */
export const firstOfGroups = (groups: Rows, { append, field }: TableColumn): TableColumn => ({
  field,
  append: (column, block) => {
    const all = newColumn(field)
    append(all, block)
    for (const { row } of groups(block)) appendRow(all, row, column)
  }
})

/** The number of rows of each group. */
export const countOfGroups = (groups: Rows): TableColumn => ({
  field: { name: COUNT, type: { kind: "int", bits: 64, signed: true }, nullable: false },
  append: (column, block) => {
    for (const { rows } of groups(block)) appendNumber(column, BigInt(rows))
  }
})
