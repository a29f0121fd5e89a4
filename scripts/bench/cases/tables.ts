/** What a row costs where the same rows are spread over more tables. */
import type { Bench, CaseResult } from "../bench.ts"
import { runProduct } from "../product.ts"
import { type Figures, medians } from "../stats.ts"
import { equalTables } from "./streams.ts"

const COUNTS = [1, 10, 50]

/** Two million logs at scale 1, in 1, 10 and 50 tables: no floor, each is compared with the single table of its round. */
export const tables = async (bench: Bench): Promise<ReadonlyArray<CaseResult>> => {
  const rounds = new Map<number, Array<Figures>>(COUNTS.map((count) => [count, []]))
  const rowsOf = new Map<number, number>()
  for (let round = 0; round < bench.options.rounds; round += 1) {
    let single: number | undefined
    for (const count of COUNTS) {
      await bench.flight.call("load", equalTables(bench.options.scale, count, 2 / count))
      const expected = await bench.flight.call("behave", {})
      const rows = expected.reduce((sum, table) => sum + table.rows, 0)
      rowsOf.set(count, rows)
      const product = await runProduct(bench, { expected, databasePort: bench.postgres.port })
      const millisPerRow = product.wallMillis / rows
      single ??= millisPerRow
      rounds.get(count)!.push({
        singleTableRatio: single / millisPerRow,
        productRowsPerSecond: 1000 / millisPerRow,
        productCpuPerMillion: product.cpuSeconds === undefined ? null : (product.cpuSeconds * 1e6) / rows,
        peakRssMb: product.peakRssMb ?? null
      })
    }
  }
  return [...rounds].map(([count, figures]) => ({
    name: `tables-${count}`,
    title: `logs in ${count} table${count === 1 ? "" : "s"}`,
    rows: rowsOf.get(count) ?? 0,
    rounds: figures,
    median: medians(figures)
  }))
}
