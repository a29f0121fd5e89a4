/** Every case by its name. */
import type { Bench, CaseResult } from "../bench.ts"
import type { CaseName } from "../options.ts"
import { deferred } from "./deferred.ts"
import { delay } from "./delay.ts"
import { memory } from "./memory.ts"
import { plot } from "./plot.ts"
import { slope } from "./slope.ts"
import { start } from "./start.ts"
import { oneTable, shortRanges, threeTables } from "./streams.ts"
import { tables } from "./tables.ts"
import { throughput } from "./throughput.ts"
import { tip } from "./tip.ts"

type Case = (bench: Bench) => Promise<ReadonlyArray<CaseResult>>

export const ALL_CASES: Readonly<Record<CaseName, Case>> = {
  "catch-up": (bench) => throughput(bench, "catch-up", "logs, one table", oneTable(bench.options.scale)),
  "three-tables": (bench) =>
    throughput(bench, "three-tables", "logs, transactions and blocks at once", threeTables(bench.options.scale)),
  "ranges-1000": (bench) =>
    throughput(bench, "ranges-1000", "logs in ranges of 5 blocks, 1,000 rows", shortRanges(bench.options.scale, 5)),
  "ranges-1-block": (bench) =>
    throughput(bench, "ranges-1-block", "logs in ranges of one block, 200 rows", shortRanges(bench.options.scale, 1)),
  slope,
  deferred,
  tables,
  delay,
  tip,
  memory,
  start,
  plot: (bench) => plot(bench, bench.options.plot ?? ".")
}
