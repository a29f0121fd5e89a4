/** Leaves the counter of rows out of a comparison that partitions dropped by an operator may have made wrong. */
import { formatCount } from "../../../domain/numbers.ts"
import { counterProblem } from "../../../domain/verify/ledger.ts"
import type { StoredTable } from "../../../services/StoredRows.ts"
import type { VerifyReport } from "./report.ts"

/**
 * The counter goes on counting the rows of a partition that was dropped. Where all rows from `from` on are equal and fewer are
 * stored than counted, it shows nothing about the rows that are compared, and becomes a note.
 */
export const withoutDropped = (
  report: VerifyReport,
  stored: Pick<StoredTable, "found" | "isPartitioned" | "rows">,
  from: bigint | undefined
): VerifyReport => {
  const problem = counterProblem(stored)
  const isExplained = problem !== undefined && stored.isPartitioned && from !== undefined && from > 0n &&
    stored.found.rows < stored.rows && report.comparison?.differing === 0
  return isExplained
    ? {
      ...report,
      bookkeeping: report.bookkeeping.filter((other) => other !== problem),
      counter: "no evidence",
      notes: [
        ...report.notes,
        `${problem}, which counts rows of dropped partitions still; blocks before ${formatCount(from)} are not compared`
      ]
    }
    : report
}
