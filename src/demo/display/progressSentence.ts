/** The progress of a table as a sentence. */
import { oneLine } from "../../domain/display/textWidth.ts"
import { counted, formatCount } from "../../domain/numbers.ts"
import type { TableStatus } from "../../domain/TableStatus.ts"

/** What the sentence has of one table. */
export interface Figures {
  readonly status: Pick<TableStatus, "lastBlock" | "phase" | "reason" | "reorgs" | "rows" | "table" | "watermark">
  readonly rowsPerSecond: number
}

/** `logs: 1,234 rows, 50 blocks, 45 rows/s, watermark 49, 1 reorg, caught up`. */
export const progressSentence = ({ rowsPerSecond, status }: Figures): string => {
  const { lastBlock, phase, reason, reorgs, rows, table, watermark } = status
  return [
    `${table}: ${counted(rows, "row")}`,
    counted((lastBlock ?? -1n) + 1n, "block"),
    `${formatCount(rowsPerSecond)} rows/s`,
    `watermark ${watermark === undefined ? "none yet" : formatCount(watermark)}`,
    counted(reorgs, "reorg"),
    reason === undefined ? phase : `${phase}: ${oneLine(reason)}`
  ].join(", ")
}
