/** One round of a case with a floor: the product, then a plain COPY of the same rows. */
import type { Bench } from "../bench.ts"
import type { Expected } from "../flight/main.ts"
import { type DumpedRows, dumpRows, type FloorFigures, runFloor } from "../floor.ts"
import { type ProductFigures, runProduct } from "../product.ts"
import type { Figures } from "../stats.ts"

export interface Comparison {
  readonly rows: number
  readonly product: ProductFigures
  readonly floor: FloorFigures
}

/** Runs rounds over the same rows, which are taken from the product's first run. */
export class Comparer {
  private readonly bench: Bench
  private readonly expected: ReadonlyArray<Expected>
  private dumped: DumpedRows | undefined

  constructor(bench: Bench, expected: ReadonlyArray<Expected>) {
    this.bench = bench
    this.expected = expected
  }

  /** `databasePort`: that of a proxy, for both. */
  async round(databasePort = this.bench.postgres.port): Promise<Comparison> {
    const { bench, expected } = this
    const product = await runProduct(bench, { expected, databasePort })
    this.dumped ??= await dumpRows(bench, expected)
    const floor = await runFloor(bench, expected, this.dumped, databasePort)
    return { rows: expected.reduce((rows, table) => rows + table.rows, 0), product, floor }
  }

  async close(): Promise<void> {
    await this.dumped?.remove()
  }
}

const perMillion = (seconds: number | undefined, rows: number): number | null =>
  seconds === undefined ? null : (seconds * 1e6) / rows

/** The figures of a round by name. */
export const figuresOf = ({ floor, product, rows }: Comparison): Figures => ({
  ratio: floor.wallMillis / product.wallMillis,
  productRowsPerSecond: (rows / product.wallMillis) * 1000,
  floorRowsPerSecond: (rows / floor.wallMillis) * 1000,
  productCpuPerMillion: perMillion(product.cpuSeconds, rows),
  backendCpuPerMillion: perMillion(product.backendCpuSeconds, rows),
  floorBackendCpuPerMillion: perMillion(floor.backendCpuSeconds, rows),
  sourceCpuPerMillion: perMillion(product.sourceCpuSeconds, rows),
  peakRssMb: product.peakRssMb ?? null,
  startMillis: product.startMillis
})
