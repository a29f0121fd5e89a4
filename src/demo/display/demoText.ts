/** The texts of the demo, written for somebody who sees Ampsync for the first time. */
import { type Cell, columns } from "../../domain/display/columns.ts"
import type { Line, Style } from "../../domain/display/Line.ts"
import { counted, formatCount, formatMillis } from "../../domain/numbers.ts"

const bold = (text: string): Line => [{ text, style: "bold" }]
const dim = (text: string): Line => [{ text, style: "dim" }]
const blank: Line = []

export const title: ReadonlyArray<Line> = [
  blank,
  bold("Ampsync demo: a simulated chain arrives in a real PostgreSQL"),
  dim("The server is simulated, the sync is the one that production runs."),
  blank
]

export const startingPostgres: Line = dim("Starting PostgreSQL ...")

/** A query whose answer stays the same however often it is repeated, until a new block or a reorg is complete. */
const query = [
  "SELECT _block_num, count(*) AS logs, count(DISTINCT tx_hash) AS transactions",
  "FROM logs WHERE _block_num",
  "<= (SELECT max_block_num FROM _ampsync_checkpoints WHERE table_name = 'logs')",
  "GROUP BY _block_num ORDER BY _block_num DESC LIMIT 5;"
]

/** `url` with its password; `statusUrl` is that of the status page. */
export const connection = (url: string, statusUrl: string): ReadonlyArray<Line> => [
  bold("Connect with any client, such as psql:"),
  [`  ${url}`],
  dim("  A throw-away server: this machine alone reaches it, and it goes with the demo."),
  dim("  Therefore, and only here, a password is shown."),
  blank,
  bold("The status of the sync, in a browser:"),
  [`  ${statusUrl}`],
  blank,
  bold("A query to try, with the clause that makes a read consistent:"),
  ...query.map((line): Line => [`  ${line}`]),
  dim("  Also: SELECT * FROM _ampsync_progress; SELECT * FROM _ampsync_reorgs;"),
  blank
]

export const historyBegins = (dialect: string, blocks: number): Line => [
  { text: "History: ", style: "bold" },
  `${counted(blocks, "block")} to catch up with, from a server of the ${dialect} dialect`
]

export const historyEnds = (rows: bigint, elapsedMillis: number): Line => [
  { text: "History is caught up: ", style: "green" },
  `${counted(rows, "row")} in ${formatMillis(elapsedMillis)}, ${
    formatCount(Number(rows) * 1000 / Math.max(1, elapsedMillis))
  } rows/s`
]

export interface Pace {
  readonly blockTimeMillis: number
  /** 0 for never. */
  readonly reorgEvery: number
  readonly reorgDepth: number
}

export const liveTipBegins = (pace: Pace, asked: number): Line => [
  { text: "Live tip: ", style: "bold" },
  `a block every ${formatMillis(pace.blockTimeMillis)}`,
  pace.blockTimeMillis === asked ? "" : ` (${formatMillis(asked)} would take long)`,
  pace.reorgEvery === 0 || pace.reorgDepth === 0
    ? ", no reorgs"
    : `, a reorg of ${counted(pace.reorgDepth, "block")} every ${formatCount(pace.reorgEvery)}`
]

export const stopHint: Line = dim("Ctrl-C ends the demo.")

export const stopping: Line = dim("Stopping the sync, the simulator and PostgreSQL ...")

export const stopped: Line = ["Stopped. Nothing is left running, and the data are gone."]

/** The log has the blocks of the new chain, which are those that tables receive. */
export const chainReorged = (first: bigint, last: bigint, newLast: bigint): Line => [
  { text: "Reorg: ", style: "yellow" },
  `the chain replaces ${
    first === last ? `block ${formatCount(first)}` : `blocks ${formatCount(first)} to ${formatCount(last)}`
  } by new blocks ${formatCount(first)} to ${formatCount(newLast)}`
]

export const tip = (block: bigint, reorgs: number): Line =>
  dim(`chain at block ${formatCount(block)}, ${counted(reorgs, "reorg")} so far`)

/** What stays in sight while other lines scroll away. */
export const heading = (url: string, statusUrl: string, block: bigint, reorgs: number): ReadonlyArray<Line> => [
  [{ text: "psql ", style: "bold" }, url],
  [{ text: "status page ", style: "bold" }, statusUrl, { text: "  Ctrl-C ends the demo", style: "dim" }],
  tip(block, reorgs)
]

export const waitingForTip = (block: bigint): Line => [
  { text: "Mining stops ", style: "bold" },
  `at block ${formatCount(block)}; waiting until it is in every table`
]

export const comparing = (table: string): Line => dim(`comparing ${table} ...`)

/** The rows of one table, counted and hashed on both sides. */
export interface Comparison {
  readonly table: string
  readonly postgres: { readonly rows: number; readonly hash: string }
  readonly chain: { readonly rows: number; readonly hash: string }
}

export const isEqual = ({ chain, postgres }: Comparison): boolean =>
  postgres.rows === chain.rows && postgres.hash === chain.hash

/** As much of a hash as fits a terminal of 80 columns; the comparison uses all of it. */
const HASH_DIGITS = 24

const comparisonRows = (comparison: Comparison): ReadonlyArray<ReadonlyArray<Cell>> => {
  const style: Style = isEqual(comparison) ? "green" : "red"
  const side = ({ hash, rows }: Comparison["chain"]) => [
    { text: formatCount(rows) },
    { text: hash.slice(0, HASH_DIGITS) }
  ]
  return [
    [{ text: comparison.table, style: "bold" }, { text: "PostgreSQL" }, ...side(comparison.postgres), {
      text: isEqual(comparison) ? "equal" : "DIFFERENT",
      style
    }],
    [{ text: "" }, { text: "canonical chain" }, ...side(comparison.chain), { text: "" }]
  ]
}

/** Two lines per table: the rows in PostgreSQL, and those of the simulated chain. */
export const comparisonTable = (comparisons: ReadonlyArray<Comparison>): ReadonlyArray<Line> => [
  blank,
  bold("Every column of every row, counted and hashed on both sides:"),
  ...columns([
    { text: "table", alignment: "left" },
    { text: "rows in", alignment: "left" },
    { text: "count", alignment: "right" },
    { text: "sha256", alignment: "left" },
    { text: "", alignment: "left" }
  ], comparisons.flatMap(comparisonRows)),
  blank
]

export const allEqual: Line = [{ text: "PostgreSQL holds exactly the canonical chain.", style: "green" }]
