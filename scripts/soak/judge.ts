/** Judges the samples of a soak: what is to stay flat, by how much it may grow, and how it did. */
import { median } from "../bench/stats.ts"
import type { Recording, Sample } from "./samples.ts"

/** Of the median, over the time after the warm-up. */
const GROWTH_SHARE = 0.1
/** Share of the time that is not judged. */
export const WARM_UP = 0.25
/** Blocks behind the source in the last quarter; a range has 7 of them. */
const LAG_BLOCKS = 10

const MEBIBYTE = 1024 * 1024
/** As the program promises: docs/database.md. */
const KEPT_REORGS = 1_000
const HISTORY_SLACK = 32

export interface Verdict {
  readonly what: string
  /** What was measured, and what it may be. */
  readonly found: string
  readonly isFlat: boolean
}

type Figure = (sample: Sample) => number | undefined

interface Point {
  readonly x: number
  readonly y: number
}

const pointsOf = (samples: ReadonlyArray<Sample>, figure: Figure): ReadonlyArray<Point> =>
  samples.flatMap((sample) => {
    const y = figure(sample)
    return y === undefined ? [] : [{ x: sample.seconds, y }]
  })

/** The slope by least squares, per second. */
export const slopeOf = (points: ReadonlyArray<Point>): number => {
  const mean = (of: (point: Point) => number) => points.reduce((sum, point) => sum + of(point), 0) / points.length
  const [x, y] = [mean((point) => point.x), mean((point) => point.y)]
  const spread = points.reduce((sum, point) => sum + (point.x - x) ** 2, 0)
  return spread === 0 ? 0 : points.reduce((sum, point) => sum + (point.x - x) * (point.y - y), 0) / spread
}

const mebibytes = (bytes: number): string => `${(bytes / MEBIBYTE).toFixed(1)} MiB`

/** Memory and sizes: the line through the samples may rise by a tenth of their median. */
const grows = (what: string, samples: ReadonlyArray<Sample>, figure: Figure): ReadonlyArray<Verdict> => {
  const points = pointsOf(samples, figure)
  const [first, last] = [points[0], points.at(-1)]
  if (first === undefined || last === undefined) return []
  const middle = median(points.map(({ y }) => y))
  const growth = slopeOf(points) * (last.x - first.x)
  const found = `median ${mebibytes(middle)}, trend ${growth < 0 ? "" : "+"}${mebibytes(growth)}, ` +
    `at most +${mebibytes(GROWTH_SHARE * middle)}`
  return [{ what, found, isFlat: growth <= GROWTH_SHARE * middle }]
}

/** Counts: the median of the last quarter may not exceed that of the first quarter after the warm-up. */
const counts = (what: string, samples: ReadonlyArray<Sample>, figure: Figure): ReadonlyArray<Verdict> => {
  const values = pointsOf(samples, figure).map(({ y }) => y)
  if (values.length === 0) return []
  const third = Math.ceil(values.length / 3)
  const [before, after] = [median(values.slice(0, third)), median(values.slice(-third))]
  return [{ what, found: `median ${before} after the warm-up, ${after} in the last quarter`, isFlat: after <= before }]
}

/** Rows of a bookkeeping table: never more than a bound that does not depend on time. */
const bounded = (samples: ReadonlyArray<Sample>, name: string, bound: number): ReadonlyArray<Verdict> => {
  const most = Math.max(...samples.map(({ bookkeepingRows }) => bookkeepingRows[name] ?? 0))
  return [{ what: `rows of ${name}`, found: `at most ${most}, bound ${bound}`, isFlat: most <= bound }]
}

/** Watermarks of a table: all of the newest blocks, a few until they are thinned, and two for each doubling of the depth. */
const watermarksOf = (retentionBlocks: number, blocks: number): number =>
  retentionBlocks + 1 + HISTORY_SLACK + 2 * Math.ceil(Math.log2(Math.max(2, blocks / retentionBlocks)) + 1)

/** One verdict for each figure that was measured, and one for the rows at the end. */
export const judge = ({ end, samples, start }: Recording): ReadonlyArray<Verdict> => {
  const { retentionBlocks, tables } = start
  const last = samples.at(-1)
  if (last === undefined) return [{ what: "samples", found: "none", isFlat: false }]
  const warm = samples.filter(({ seconds }) => seconds >= last.seconds * WARM_UP)
  const lastQuarter = warm.slice(-Math.ceil(warm.length / 3))
  const late = median(lastQuarter.map(({ lagBlocks }) => lagBlocks))
  return [
    ...grows("resident memory", warm, ({ rss }) => rss),
    ...grows("heap in use", warm, ({ heap }) => heap),
    ...grows("memory of buffers", warm, ({ external }) => external),
    ...counts("file descriptors", warm, ({ descriptors }) => descriptors),
    ...counts("connections to PostgreSQL", warm, ({ connections }) => connections),
    ...bounded(samples, "_ampsync_checkpoints", tables.length),
    ...bounded(samples, "_ampsync_watermarks", tables.length * watermarksOf(retentionBlocks, last.block)),
    ...bounded(samples, "_ampsync_reorgs", tables.length * KEPT_REORGS),
    ...bounded(samples, "_ampsync_states", tables.length),
    ...bounded(samples, "_ampsync_writers", 1),
    ...grows("size of the bookkeeping tables, last quarter", lastQuarter, ({ bookkeepingBytes }) => bookkeepingBytes),
    {
      what: "blocks behind the source",
      found: `median ${late} in the last quarter, at most ${LAG_BLOCKS}`,
      isFlat: late <= LAG_BLOCKS
    },
    {
      what: "rows at the end",
      found: end === undefined
        ? "the recording has no end, so they were not compared"
        : end.violations.length === 0
        ? `${end.rowsCompared} rows, equal to the chain`
        : end.violations.join("; "),
      isFlat: end?.violations.length === 0
    }
  ]
}

export const formatVerdict = ({ found, isFlat, what }: Verdict): string =>
  `${isFlat ? "flat " : "GROWS"}  ${what}: ${found}`
