/** How the adaptive chunk size behaves when something is slow, wide or broken, as drawings. */
import { mkdir, writeFile } from "node:fs/promises"
import { join } from "node:path"
import type { Bench, CaseResult } from "../bench.ts"
import { now, sleep } from "../clock.ts"
import type { StreamSpec } from "../flight/cannedStream.ts"
import type { Behaviour } from "../flight/main.ts"
import { startProduct } from "../product.ts"
import type { Shape } from "../proxy.ts"
import { drawChart, type Point } from "../svg.ts"
import { logRows, wideRanges } from "./streams.ts"

const DURATION_MILLIS = 30_000
const DURATION_MILLIS_TINY = 1_500

/** See src/domain/logLines.ts: the first two are committed rows and the size after them. */
const PERFORMANCE = /Batch performance: \d+ms for (\d+) rows, new batch size: (\d+)/
const REDUCED = /Reducing batch size to (\d+)/

interface Situation {
  readonly name: string
  readonly title: string
  readonly spec: StreamSpec
  readonly source: Behaviour
  readonly database: Shape
}

const situationsOf = (scale: number, tiny: boolean): ReadonlyArray<Situation> => {
  const spec = wideRanges("logs", logRows(scale))
  const unusual = { source: {}, database: {} }
  return [
    { ...unusual, name: "slow-disk", title: "PostgreSQL takes 3 MB/s", spec, database: { bytesPerSecond: 3e6 } },
    { ...unusual, name: "slow-source", title: "The server sends 5,000 rows/s", spec, source: { rowsPerSecond: 5_000 } },
    {
      ...unusual,
      name: "wide-rows",
      title: "Rows of 8 KiB, 1,500 rows/s",
      source: { rowsPerSecond: 1_500 },
      spec: { ...wideRanges("logs", logRows(scale / 25)), messageRows: 500, wideBytes: 8_192 }
    },
    {
      ...unusual,
      name: "errors",
      title: "The connection is cut after every 24 MB",
      // A range that no connection lives long enough for stalls the table.
      spec: { ...spec, rangeBlocks: Math.min(spec.rangeBlocks, 100) },
      database: { cutEveryBytes: tiny ? 400_000 : 24e6 }
    }
  ]
}

interface Sizes {
  readonly sizes: ReadonlyArray<Point>
  readonly commits: ReadonlyArray<Point>
}

const observe = async (bench: Bench, { database, source, spec }: Situation): Promise<Sizes> => {
  await bench.flight.call("load", [{ tables: ["logs"], spec }])
  const expected = await bench.flight.call("behave", source)
  await bench.proxy.call("shape", {})
  const sizes: Array<Point> = []
  const commits: Array<Point> = []
  const lines: Array<{ readonly line: string; readonly at: number }> = []
  const product = await startProduct(bench, {
    expected,
    databasePort: bench.proxyPort,
    environment: { RUST_LOG: "debug" },
    onLine: (line, at) => {
      if (PERFORMANCE.test(line) || REDUCED.test(line)) lines.push({ line, at })
    }
  })
  let startedAt: number
  try {
    startedAt = await product.streaming()
    await bench.proxy.call("shape", database)
    const until = startedAt + (bench.options.tiny ? DURATION_MILLIS_TINY : DURATION_MILLIS)
    while (now() < until) {
      product.failUnlessAlive()
      await sleep(100)
    }
  } finally {
    await bench.proxy.call("shape", {})
    await product.stop()
  }
  for (const { at, line } of lines) {
    const x = (at - startedAt) / 1000
    const [, rows, size] = PERFORMANCE.exec(line) ?? []
    if (rows !== undefined) commits.push({ x, y: Number(rows) })
    sizes.push({ x, y: Number(size ?? REDUCED.exec(line)?.[1]) })
  }
  return { sizes, commits }
}

/** One SVG file per situation in `directory`. */
export const plot = async (bench: Bench, directory: string): Promise<ReadonlyArray<CaseResult>> => {
  await mkdir(directory, { recursive: true })
  const { builds } = bench.options
  const build = builds.length === 1 ? "" : `-${builds.indexOf(bench.main) + 1}`
  const results: Array<CaseResult> = []
  for (const situation of situationsOf(bench.options.scale, bench.options.tiny)) {
    const { commits, sizes } = await observe(bench, situation)
    const drawing = drawChart({
      title: `Adaptive chunk size: ${situation.title}`,
      xLabel: "seconds since the stream began",
      yLabel: "rows",
      series: [
        { name: "chunk size", points: sizes, steps: true },
        { name: "rows of a commit", points: commits }
      ]
    })
    await writeFile(join(directory, `chunk-size-${situation.name}${build}.svg`), drawing)
    const figures = { commits: commits.length, firstSize: sizes[0]?.y ?? null, lastSize: sizes.at(-1)?.y ?? null }
    results.push({
      name: `plot-${situation.name}`,
      title: situation.title,
      rows: 0,
      rounds: [figures],
      median: figures
    })
  }
  return results
}
