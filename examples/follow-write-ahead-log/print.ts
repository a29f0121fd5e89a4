/** A follower that prints what it is given: one line for each transaction that changes rows or moves a watermark. */
import type { Change, Follower, Row } from "./follow.ts"

export const printer = (print: (line: string) => void): Follower => ({
  copied: async (table, rows) => print(`${table}: copied ${counted(rows)}`),
  committed: async (changes) => {
    const parts = [...rowsOf(changes), ...reorgs(changes), ...watermarks(changes)]
    if (parts.length > 0) print(parts.join("; "))
  }
})

/** Rows of tables that the config names: those that were deleted, and those that came. */
const rowsOf = (changes: ReadonlyArray<Change>): ReadonlyArray<string> => {
  const tables = new Map<string, { readonly deleted: Array<Row>; readonly inserted: Array<Row> }>()
  for (const change of changes) {
    if (change.tag !== "delete" && change.tag !== "insert") continue
    const { name } = change.relation
    if (name.startsWith("_ampsync_")) continue
    const rows = tables.get(name) ?? { deleted: [], inserted: [] }
    tables.set(name, rows)
    if (change.tag === "delete") rows.deleted.push(change.old!)
    else rows.inserted.push(change.new)
  }
  return [...tables].map(([table, { deleted, inserted }]) =>
    [`${table}:`, ...signed("-", deleted), ...signed("+", inserted)].join(" ")
  )
}

/** A reorg has a row in the transaction that deletes what it replaced. */
const reorgs = (changes: ReadonlyArray<Change>): ReadonlyArray<string> =>
  changes.flatMap((change) =>
    change.tag === "insert" && change.relation.name === "_ampsync_reorgs"
      ? [`reorg from block ${change.new["first_block"]} on`]
      : []
  )

/** How far a table is complete changes in the transaction of its rows. */
const watermarks = (changes: ReadonlyArray<Change>): ReadonlyArray<string> =>
  changes.flatMap((change) =>
    change.tag === "update" && change.relation.name === "_ampsync_checkpoints"
      && change.new["max_block_num"] !== change.old?.["max_block_num"]
      ? [`${change.new["table_name"]} complete up to block ${change.new["max_block_num"]}`]
      : []
  )

const signed = (sign: "+" | "-", rows: ReadonlyArray<Row>) => rows.length === 0 ? [] : [`${sign} ${counted(rows)}`]

const counted = (rows: ReadonlyArray<Row>): string => {
  const blocks = rows.flatMap((row) => row["_block_num"] === undefined ? [] : [row["_block_num"]])
  const [first, last] = [blocks.at(0), blocks.at(-1)]
  const range = first === undefined ? "" : first === last ? ` of block ${first}` : ` of blocks ${first} to ${last}`
  return `${rows.length} ${rows.length === 1 ? "row" : "rows"}${range}`
}
