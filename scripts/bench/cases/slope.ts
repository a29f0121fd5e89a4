/** What a row costs without what a start costs: the difference between two sizes. */
import type { Bench, CaseResult } from "../bench.ts"
import { type Figures, medians } from "../stats.ts"
import { Comparer, type Comparison } from "./compare.ts"
import { logRows, wideRanges } from "./streams.ts"

const SIZES = [1, 3] as const

/** null where noise is larger than what is measured, as in a tiny run. */
const positive = (value: number): number | null => value > 0 && Number.isFinite(value) ? value : null

const slopes = (small: Comparison, large: Comparison): Figures => {
  const rows = large.rows - small.rows
  const perMillion = (of: (comparison: Comparison) => number | undefined): number | null => {
    const [less, more] = [of(small), of(large)]
    return less === undefined || more === undefined ? null : positive(((more - less) * 1e6) / rows)
  }
  const product = perMillion(({ product }) => product.wallMillis)
  const floor = perMillion(({ floor }) => floor.wallMillis)
  return {
    ratio: product === null || floor === null ? null : floor / product,
    productRowsPerSecond: product === null ? null : 1e9 / product,
    floorRowsPerSecond: floor === null ? null : 1e9 / floor,
    productCpuPerMillion: perMillion(({ product }) => product.cpuSeconds),
    backendCpuPerMillion: perMillion(({ product }) => product.backendCpuSeconds),
    floorBackendCpuPerMillion: perMillion(({ floor }) => floor.backendCpuSeconds),
    sourceCpuPerMillion: perMillion(({ product }) => product.sourceCpuSeconds),
    peakRssMb: large.product.peakRssMb ?? null,
    startMillis: small.product.startMillis
  }
}

/** One million and three million rows of logs at scale 1. */
export const slope = async (bench: Bench): Promise<ReadonlyArray<CaseResult>> => {
  const [less, more] = SIZES.map((size) => logRows(bench.options.scale) * size) as [number, number]
  // The short stream is the beginning of the long one, and ends with a range of it.
  const spec = { ...wideRanges("logs", less), rows: more }
  await bench.flight.call("load", [{ tables: ["logs"], spec }])
  const small = new Comparer(bench, await bench.flight.call("behave", { rows: less }))
  const large = new Comparer(bench, await bench.flight.call("behave", {}))
  const rounds: Array<Figures> = []
  try {
    while (rounds.length < bench.options.rounds) {
      await bench.flight.call("behave", { rows: less })
      const short = await small.round()
      await bench.flight.call("behave", {})
      rounds.push(slopes(short, await large.round()))
    }
  } finally {
    await small.close()
    await large.close()
  }
  return [{
    name: "slope",
    title: "logs, from 1x to 3x: the start is not counted",
    rows: more,
    rounds,
    median: medians(rounds)
  }]
}
