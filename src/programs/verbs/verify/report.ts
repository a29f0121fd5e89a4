/** The result of a comparison, as text and as JSON. */
import { counted, formatCount } from "../../../domain/numbers.ts"
import type { BlockComparison, DifferentBlock } from "../../../domain/verify/BlockComparison.ts"
import { endsBelow } from "./serverEnd.ts"

export interface VerifyReport {
  readonly table: string
  /** Blocks that were to be compared; undefined where no block of the table is complete. */
  readonly blocks: { readonly from: bigint; readonly to: bigint } | undefined
  readonly comparison: BlockComparison | undefined
  /** The last block of the server's chain, where that is below the blocks that were to be compared. */
  readonly serverEnd: bigint | undefined
  /** What does not fit in the bookkeeping, one sentence each; the counter of rows where that is `wrong`. */
  readonly bookkeeping: ReadonlyArray<string>
  /** The counter of all rows; `no evidence` where it counts rows of partitions that may have been dropped, which a note reports. */
  readonly counter: "fits" | "wrong" | "no evidence"
  /** What a reader should know of the result, one sentence each. */
  readonly notes: ReadonlyArray<string>
}

export const isEqual = ({ bookkeeping, comparison, serverEnd }: VerifyReport): boolean =>
  serverEnd === undefined && bookkeeping.length === 0 && (comparison?.differing ?? 0) === 0

/** Whether all that was compared is equal, and blocks are left that could not be compared, or the counter is no evidence. */
export const isPartial = (report: VerifyReport): boolean =>
  isEqual(report) && report.comparison !== undefined &&
  (report.comparison.through < report.blocks!.to || report.counter === "no evidence")

/** Nothing differs but the counter of all rows: there are no rows to fetch again. */
const isCounterAlone = ({ bookkeeping, comparison, counter, serverEnd }: VerifyReport): boolean =>
  counter === "wrong" && bookkeeping.length === 1 && serverEnd === undefined && comparison?.differing === 0

const outcomeOf = (report: VerifyReport): "different" | "partial" | "equal" | "not compared" =>
  !isEqual(report)
    ? "different"
    : report.comparison === undefined
    ? "not compared"
    : isPartial(report)
    ? "partial"
    : "equal"

/** Where the comparison could not be made. */
export const jsonFailure = (table: string, reason: string): string =>
  JSON.stringify({ table, outcome: "not compared", reason }, undefined, 2)

export const formatReport = (report: VerifyReport): string =>
  [
    ...formatRows(report),
    ...(report.serverEnd === undefined ? [] : [`${endsBelow(report.serverEnd, report.blocks!.to)}.`]),
    ...(report.bookkeeping.length === 0
      ? [
        `Bookkeeping: ${
          report.counter === "fits" ? "its counters and watermarks fit" : "its watermarks fit"
        } the table.`
      ]
      : ["Bookkeeping:", ...report.bookkeeping.map((problem) => `  ${problem}`)]),
    ...report.notes.map((note) => `Note: ${note}.`),
    ...(report.serverEnd === undefined ? [] : [
      "If the server is only behind, verify again once it has these blocks; if it serves another chain now, fill the table again."
    ]),
    ...(isEqual(report) ? [] : isCounterAlone(report) ?
      [
        "The rows that were compared are as the server sends them: they need no resync. Where --from or --to left out blocks, verify these."
      ] :
      [
        `To fill the table again while it is used: node dist/main.js resync --online --table ${quoted(report.table)}`,
        `or stop the sync, and run: node dist/main.js resync --table ${quoted(report.table)}`
      ])
  ].join("\n")

const quoted = (table: string): string => /^[\w-]+$/.test(table) ? table : JSON.stringify(table)

const formatRows = ({ blocks, comparison, table }: VerifyReport): ReadonlyArray<string> => {
  if (blocks === undefined || comparison === undefined) return [`Table "${table}": no block is complete yet.`]
  const { changed, differing, extra, missing, named, rows, through } = comparison
  if (through < blocks.from) return [`Table "${table}": no block could be compared.`]
  const range = `blocks ${formatCount(blocks.from)} to ${formatCount(through)}`
  if (differing === 0) return [`Table "${table}": ${counted(rows, "row")} of ${range} are as the server sends them.`]
  const first = named[0]!
  return [
    `Table "${table}": ${counted(differing, "block")} of ${range} ${
      differing === 1 ? "differs" : "differ"
    } from what the ` +
    `server sends, the first is ${blockOf(first)}.`,
    ...named.map((block) => `  ${formatBlock(block)}`),
    ...(differing > named.length ? [`  and ${formatCount(differing - named.length)} more`] : []),
    `In all: ${counted(missing, "row")} missing, ${counted(extra, "row")} too many, ${
      counted(changed, "row")
    } in blocks that have as many rows with other values.`
  ]
}

const blockOf = ({ first, last }: DifferentBlock): string =>
  first === last ? `block ${first}` : `the range ${first} to ${last}`

const formatBlock = (block: DifferentBlock): string => {
  const { expected, stored } = block
  const more = stored - expected
  const what = more === 0
    ? "as many as the server sends, with other values"
    : `${Math.abs(more)} ${more > 0 ? "too many" : "missing"}`
  return `${blockOf(block)}: ${counted(stored, "row")}, ${what}`
}

/** Blocks as numbers, for programs. */
export const jsonReport = (report: VerifyReport): string => {
  const { blocks, bookkeeping, comparison, notes, serverEnd, table } = report
  return JSON.stringify(
    {
      table,
      outcome: outcomeOf(report),
      from: blocks === undefined ? null : Number(blocks.from),
      to: blocks === undefined ? null : Number(blocks.to),
      comparedTo: comparison === undefined ? null : Number(comparison.through),
      serverEnd: serverEnd === undefined ? null : Number(serverEnd),
      rows: comparison?.rows ?? 0,
      differentBlocks: comparison?.differing ?? 0,
      rowsMissing: comparison?.missing ?? 0,
      rowsTooMany: comparison?.extra ?? 0,
      rowsWithOtherValues: comparison?.changed ?? 0,
      firstDifferentBlocks: (comparison?.named ?? []).map(({ expected, first, last, stored }) => ({
        from: Number(first),
        to: Number(last),
        expected,
        stored
      })),
      bookkeeping,
      notes
    },
    undefined,
    2
  )
}
