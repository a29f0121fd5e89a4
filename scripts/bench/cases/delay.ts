/** Catch-up with a round trip to PostgreSQL that takes time. */
import pg from "pg"
import type { Bench, CaseResult } from "../bench.ts"
import { now } from "../clock.ts"
import { type Figures, median, medians } from "../stats.ts"
import { Comparer, figuresOf } from "./compare.ts"
import { oneTable } from "./streams.ts"

const ROUND_TRIPS_MILLIS = [0, 2.5, 12]
const SAMPLES = 21

/** What a round trip through the proxy really takes, the proxy and PostgreSQL included. */
const measuredRoundTrip = async (bench: Bench): Promise<number> => {
  const client = new pg.Client({ connectionString: bench.postgres.urlThrough(bench.proxyPort) })
  await client.connect()
  const samples: Array<number> = []
  for (let i = 0; i < SAMPLES; i += 1) {
    const began = now()
    await client.query("SELECT 1")
    samples.push(now() - began)
  }
  await client.end()
  return median(samples)
}

/** Both the product and the floor go through the proxy, which is there without a delay too. */
export const delay = async (bench: Bench): Promise<ReadonlyArray<CaseResult>> => {
  await bench.flight.call("load", oneTable(bench.options.scale))
  const expected = await bench.flight.call("behave", {})
  const comparer = new Comparer(bench, expected)
  const rounds = new Map<number, Array<Figures>>(ROUND_TRIPS_MILLIS.map((millis) => [millis, []]))
  try {
    for (let round = 0; round < bench.options.rounds; round += 1) {
      let undelayed: number | undefined
      for (const millis of ROUND_TRIPS_MILLIS) {
        await bench.proxy.call("shape", { roundTripMillis: millis })
        const roundTripMillis = await measuredRoundTrip(bench)
        const comparison = await comparer.round(bench.proxyPort)
        undelayed ??= comparison.product.wallMillis
        const speedRatio = undelayed / comparison.product.wallMillis
        const { productRowsPerSecond = null, floorRowsPerSecond = null, ratio = null } = figuresOf(comparison)
        rounds.get(millis)!.push({ roundTripMillis, speedRatio, ratio, productRowsPerSecond, floorRowsPerSecond })
      }
    }
  } finally {
    await bench.proxy.call("shape", {})
    await comparer.close()
  }
  const rows = expected.reduce((sum, table) => sum + table.rows, 0)
  return [...rounds].map(([millis, figures]) => ({
    name: `delay-${millis}`,
    title: `logs, ${millis} ms of round trip added`,
    rows,
    rounds: figures,
    median: medians(figures)
  }))
}
