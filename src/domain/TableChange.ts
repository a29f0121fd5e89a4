/** What happens to the rows of a table, for programs that react to it: where it starts from, and each commit since. */
import { isSameWatermark, type Watermark } from "./chain/watermarks.ts"
import type { AppliedReorg, CommittedEvent, StatusEvent } from "./StatusEvent.ts"

/**
 * What a table is now, where the changes before do not describe how it became so.
 *
 * What was derived from the table has to be derived again: rows may have come, gone or been replaced unseen.
 */
export interface TableBaseline {
  readonly _tag: "Baseline"
  readonly table: string
  /** Rows in the table, provisional ones included. */
  readonly rows: bigint
  /** Rows above the watermark. */
  readonly provisionalRows: bigint
  /** The table is complete up to this block; undefined before the first. */
  readonly watermark: Watermark | undefined
}

/** One transaction that this process committed: first the deletion, then the rows. */
export interface TableCommit {
  readonly _tag: "Commit"
  readonly table: string
  /** Rows at and above this block were deleted, 0 for all; undefined where there was none. */
  readonly deletedFrom: bigint | undefined
  readonly rowsDeleted: number
  /** In the order of the source. Rows above the watermark may be deleted without one: a new connection sends them again. */
  readonly reorgs: ReadonlyArray<AppliedReorg>
  /**
   * First and last block of the ranges in it; each row that was added is of one of them. A range that comes in several
   * transactions is in each of them. Undefined where it only deletes.
   */
  readonly firstBlock: bigint | undefined
  readonly lastBlock: bigint | undefined
  readonly rowsAdded: number
  /** Rows above the watermark from now on. */
  readonly provisionalRows: bigint
  /** The table is complete up to this block from now on; undefined before the first. */
  readonly watermark: Watermark | undefined
}

export type TableChange = TableBaseline | TableCommit

/** What the changes so far left a table as. */
export interface TableState {
  readonly baseline: TableBaseline
  readonly commitSeq: bigint
}

/** The change that an event of `table` is; `before` is what the changes so far left the table as. */
export const changeOf = (
  before: TableState | undefined,
  table: string,
  event: StatusEvent
): TableChange | undefined => {
  if (event._tag === "Committed") return commitOf(table, event)
  if (event._tag !== "Connected") return undefined
  const { provisionalRows, rows } = event
  const found: TableBaseline = { _tag: "Baseline", table, rows, provisionalRows, watermark: watermarkOf(event) }
  // The reply to a COMMIT was lost, or another process wrote the table meanwhile: it may have replaced rows by as many others.
  const isKnown = before !== undefined && before.commitSeq === event.commitSeq && isSame(before.baseline, found)
  return isKnown ? undefined : found
}

/** What an event leaves its table as; `change` is the one that `changeOf` gives for it. */
export const stateAfter = (before: TableState | undefined, event: StatusEvent, change: TableChange): TableState => {
  if (change._tag === "Baseline") {
    return { baseline: change, commitSeq: event._tag === "Connected" ? event.commitSeq : 0n }
  }
  const { provisionalRows, rowsAdded, rowsDeleted, table, watermark } = change
  const rows = (before?.baseline.rows ?? 0n) + BigInt(rowsAdded - rowsDeleted)
  return {
    baseline: { _tag: "Baseline", table, rows, provisionalRows, watermark },
    commitSeq: (before?.commitSeq ?? 0n) + 1n
  }
}

const commitOf = (table: string, event: CommittedEvent): TableCommit => ({
  _tag: "Commit",
  table,
  deletedFrom: event.rowsRemoved === 0 ? undefined : event.deletedFrom,
  rowsDeleted: event.rowsRemoved,
  reorgs: event.reorgs,
  firstBlock: event.firstBlock,
  lastBlock: event.lastBlock,
  rowsAdded: event.rowsAdded,
  provisionalRows: event.provisionalRows,
  watermark: watermarkOf(event)
})

const watermarkOf = (
  event: { readonly watermark: bigint | undefined; readonly watermarkHash: string | undefined }
): Watermark | undefined =>
  event.watermark === undefined || event.watermarkHash === undefined
    ? undefined
    : { block: event.watermark, hash: event.watermarkHash }

const isSame = (a: TableBaseline, b: TableBaseline): boolean =>
  a.rows === b.rows && a.provisionalRows === b.provisionalRows && isSameWatermark(a.watermark, b.watermark)
