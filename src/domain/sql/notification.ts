/** What `NOTIFY ampsync` carries about one commit. */
export interface Notification {
  readonly schema: string
  readonly table: string
  readonly kind: "rows" | "watermark" | "reorg"
  /** First and last block that it is about. */
  readonly from: bigint | undefined
  readonly to: bigint | undefined
  readonly rows: number
  readonly removed: number
}

/** Shape: `{"schema","table","kind","from","to","rows","removed"}`; blocks as decimal numbers. */
export const notification = ({ from, kind, removed, rows, schema, table, to }: Notification): string => {
  const number = (block: bigint | undefined) => (block === undefined ? null : Number(block))
  return JSON.stringify({ schema, table, kind, from: number(from), to: number(to), rows, removed })
}
