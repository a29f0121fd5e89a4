/** Draws the samples of a soak as small multiples. */
import { type Chart, drawCharts, type Point } from "../bench/svg.ts"
import type { Recording, Sample } from "./samples.ts"

const MEBIBYTE = 1024 * 1024
const COLUMNS = 3
/** Points of a line; each is the largest value of its time. */
const POINTS = 180

type Figure = (sample: Sample) => number | undefined

const largest = (samples: ReadonlyArray<Sample>, figure: Figure): ReadonlyArray<Point> => {
  const size = Math.max(1, Math.ceil(samples.length / POINTS))
  return Array.from({ length: Math.ceil(samples.length / size) }, (_, index) => {
    const window = samples.slice(index * size, (index + 1) * size)
    const values = window.flatMap((sample) => figure(sample) ?? [])
    return values.length === 0 ? [] : [{ x: window[0]!.seconds / 60, y: Math.max(...values) }]
  }).flat()
}

/** An SVG of nine charts over the minutes of the soak. */
export const plot = ({ samples }: Recording): string => {
  const chart = (title: string, yLabel: string, figures: Readonly<Record<string, Figure>>): Chart => ({
    title,
    xLabel: "minutes",
    yLabel,
    series: Object.entries(figures).map(([name, figure]) => ({ name, points: largest(samples, figure), steps: true }))
  })
  const share = (figure: Figure, unit: number): Figure => (sample) => {
    const value = figure(sample)
    return value === undefined ? undefined : value / unit
  }
  return drawCharts([
    chart("Resident memory", "MiB", { process: share(({ rss }) => rss, MEBIBYTE) }),
    chart("Heap and buffers", "MiB", {
      "heap in use": share(({ heap }) => heap, MEBIBYTE),
      buffers: share(({ external }) => external, MEBIBYTE)
    }),
    chart("File descriptors", "open", { process: ({ descriptors }) => descriptors }),
    chart("Connections to PostgreSQL", "open", { process: ({ connections }) => connections }),
    chart("Bookkeeping", "rows", {
      watermarks: ({ bookkeepingRows }) => bookkeepingRows["_ampsync_watermarks"],
      reorgs: ({ bookkeepingRows }) => bookkeepingRows["_ampsync_reorgs"]
    }),
    chart("Size of the bookkeeping", "MiB", {
      "all tables": share(({ bookkeepingBytes }) => bookkeepingBytes, MEBIBYTE)
    }),
    chart("Behind the source", "blocks", { "furthest table": ({ lagBlocks }) => lagBlocks }),
    chart("Delay of timers", "ms", { "99th percentile": share(({ loopDelaySeconds }) => loopDelaySeconds, 0.001) }),
    chart("What it stored meanwhile", "thousands", {
      rows: ({ rows }) => rows / 1000
    })
  ], COLUMNS)
}
