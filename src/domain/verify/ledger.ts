/** Compares what the bookkeeping records of a table with its rows. */
import type { Checkpoint } from "../chain/Checkpoint.ts"
import type { Watermark } from "../chain/watermarks.ts"

/** What one snapshot of the database contains of a table. */
export interface Ledger {
  readonly checkpoint: Checkpoint
  /** As the row of the table has it; the newest entry of the history should be the same. */
  readonly watermark: Watermark | undefined
  /** The counters of the row. */
  readonly rows: bigint
  readonly provisionalRows: bigint
  /** What the table itself has. */
  readonly found: { readonly rows: bigint; readonly belowOrigin: bigint; readonly aboveWatermark: bigint }
  /** Entries of `_ampsync_reorgs` that cannot be: negative numbers, hashes that are none. */
  readonly badReorgs: bigint
}

const HASH = /^0x[0-9a-f]{64}$/

/** What is wrong with the counter of all rows; undefined where it fits. */
export const counterProblem = ({ found, rows }: Pick<Ledger, "found" | "rows">): string | undefined =>
  found.rows === rows ? undefined : `the table has ${found.rows} rows, and the counter "rows" is ${rows}`

/** Everything else that does not fit, one sentence each. */
export const ledgerProblems = (ledger: Ledger): ReadonlyArray<string> => {
  const { badReorgs, checkpoint: { history, origin }, found, provisionalRows, watermark } = ledger
  const newest = history.at(-1)
  const problems: Array<string> = []
  if (watermark !== undefined && newest === undefined) {
    problems.push(`the watermark is block ${watermark.block}, and _ampsync_watermarks has no entry of the table`)
  }
  if (newest !== undefined && (newest.block !== watermark?.block || newest.hash !== watermark.hash)) {
    problems.push(
      `the watermark is ${described(watermark)}, the newest entry of _ampsync_watermarks is ${described(newest)}`
    )
  }
  const below = history.filter(({ block }) => origin !== undefined && block < origin).length
  if (below > 0) problems.push(`_ampsync_watermarks has ${below} entries below the first block, ${origin}`)
  const malformed = history.filter(({ hash }) => !HASH.test(hash)).length
  if (malformed > 0) problems.push(`_ampsync_watermarks has ${malformed} entries whose hash is none`)
  if (found.belowOrigin > 0n) problems.push(`${found.belowOrigin} rows are below the first block, ${origin}`)
  if (found.aboveWatermark !== provisionalRows) {
    problems.push(`${found.aboveWatermark} rows are above the watermark, and provisional_rows is ${provisionalRows}`)
  }
  if (badReorgs > 0n) problems.push(`_ampsync_reorgs has ${badReorgs} entries that cannot be`)
  return problems
}

const described = (watermark: Watermark | undefined): string =>
  watermark === undefined ? "not set" : `block ${watermark.block} with hash ${watermark.hash}`
