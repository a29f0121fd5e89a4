/** Memory while PostgreSQL takes nothing more: what the product has read and cannot write is what it holds. */
import type { Bench, CaseResult } from "../bench.ts"
import { now, sleep } from "../clock.ts"
import { peakRssMb, rssMb } from "../proc.ts"
import { checkRows, SCHEMA, startProduct } from "../product.ts"
import { type Figures, medians } from "../stats.ts"
import { equalTables, oneTable, threeTables } from "./streams.ts"

/** Shorter than the six seconds after which another process would take over. */
const FROZEN_MILLIS = 4_000
const FROZEN_MILLIS_TINY = 300
/** Written before the standstill, as a share of all: every part of the pipeline is warm by then. */
const FREEZE_AFTER_SHARE = 0.2
const COPY_BYTES_PER_ROW = 350
const FREEZE_WITHIN_MILLIS = 20_000

const frozenRun = async (bench: Bench): Promise<{ readonly figures: Figures; readonly rows: number }> => {
  const { options, proxy, proxyPort } = bench
  const expected = await bench.flight.call("behave", {})
  const rows = expected.reduce((sum, table) => sum + table.rows, 0)
  const environment = { MAX_CONCURRENT_BATCHES: "1" }
  await proxy.call("shape", {})
  const product = await startProduct(bench, { expected, databasePort: proxyPort, environment })
  try {
    await product.streaming()
    const rssAtStart = rssMb(product.pid) ?? null
    await proxy.call("shape", { freezeAfterBytes: options.tiny ? 0 : rows * COPY_BYTES_PER_ROW * FREEZE_AFTER_SHARE })
    for (const until = now() + FREEZE_WITHIN_MILLIS; !(await proxy.call("isFrozen")); await sleep(10)) {
      product.failUnlessAlive()
      if (now() > until) throw new Error("the product wrote too little to be frozen in the middle of it")
    }
    await sleep(options.tiny ? FROZEN_MILLIS_TINY : FROZEN_MILLIS)
    const frozenPeakRssMb = peakRssMb(product.pid) ?? null
    await proxy.call("shape", {})
    await product.complete()
    const peak = peakRssMb(product.pid) ?? null
    await product.stop()
    await checkRows(bench, SCHEMA, expected)
    return { figures: { rssAtStreamStartMb: rssAtStart, frozenPeakRssMb, peakRssMb: peak }, rows }
  } finally {
    await proxy.call("shape", {})
    await product.stop()
  }
}

/** 1, 3 and 40 tables with MAX_CONCURRENT_BATCHES=1. */
export const memory = async (bench: Bench): Promise<ReadonlyArray<CaseResult>> => {
  const { rounds, scale } = bench.options
  const shapes = [
    { tables: 1, streams: oneTable(scale) },
    { tables: 3, streams: threeTables(scale) },
    { tables: 40, streams: equalTables(scale, 40, 0.05) }
  ]
  const results: Array<CaseResult> = []
  for (const { streams, tables } of shapes) {
    await bench.flight.call("load", streams)
    const figures: Array<Figures> = []
    let rows = 0
    for (let round = 0; round < rounds; round += 1) {
      const run = await frozenRun(bench)
      figures.push(run.figures)
      rows = run.rows
    }
    const title = `${tables} table${tables === 1 ? "" : "s"}, PostgreSQL frozen, MAX_CONCURRENT_BATCHES=1`
    results.push({ name: `memory-${tables}`, title, rows, rounds: figures, median: medians(figures) })
  }
  return results
}
