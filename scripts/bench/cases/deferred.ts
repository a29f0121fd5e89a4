/** The first fill of a table whose keys are built at the end, against COPY and the build of the same keys. */
import type { Bench, CaseResult } from "../bench.ts"
import { type DumpedRows, dumpRows, runFloor } from "../floor.ts"
import { runProduct } from "../product.ts"
import { type Figures, medians } from "../stats.ts"
import { figuresOf } from "./compare.ts"
import { logRows, wideRanges } from "./streams.ts"

/** At scale 1; with fewer the time until the table counts as caught up is a large part. */
const MILLIONS = 4

export const deferred = async (bench: Bench): Promise<ReadonlyArray<CaseResult>> => {
  const rows = logRows(bench.options.scale, MILLIONS)
  await bench.flight.call("load", [{ tables: ["logs"], spec: wideRanges("logs", rows) }])
  const expected = await bench.flight.call("behave", {})
  const rounds: Array<Figures> = []
  let dumped: DumpedRows | undefined
  try {
    while (rounds.length < bench.options.rounds) {
      const keyed = await runProduct(bench, { expected })
      const product = await runProduct(bench, { expected, environment: { DEFER_INDEXES: "always" } })
      dumped ??= await dumpRows(bench, expected)
      const floor = await runFloor(bench, expected, dumped, bench.postgres.port, "later")
      rounds.push({ ...figuresOf({ rows, product, floor }), keyedRatio: keyed.wallMillis / product.wallMillis })
    }
  } finally {
    await dumped?.remove()
  }
  return [{ name: "deferred", title: "logs, keys and indexes built at the end", rows, rounds, median: medians(rounds) }]
}
