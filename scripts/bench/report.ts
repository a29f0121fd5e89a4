/** The results as text for people and as JSON for programs. */
import type { CaseResult } from "./bench.ts"
import type { Machine } from "./machine.ts"
import type { Options } from "./options.ts"

export interface Report {
  readonly measuredAt: string
  readonly command: string
  readonly options: Options
  readonly machine: Machine
  readonly cases: ReadonlyArray<CaseResult>
}

interface Heading {
  readonly text: string
  readonly digits: number
  /** The figure is divided by it. */
  readonly unit?: number
}

const HEADINGS: Readonly<Record<string, Heading>> = {
  ratio: { text: "ratio", digits: 3 },
  productRowsPerSecond: { text: "krow/s", digits: 0, unit: 1000 },
  floorRowsPerSecond: { text: "floor krow/s", digits: 0, unit: 1000 },
  productCpuPerMillion: { text: "CPU s/M", digits: 2 },
  backendCpuPerMillion: { text: "backend s/M", digits: 2 },
  floorBackendCpuPerMillion: { text: "floor's backend s/M", digits: 2 },
  sourceCpuPerMillion: { text: "source s/M", digits: 2 },
  peakRssMb: { text: "peak RSS MiB", digits: 0 },
  startMillis: { text: "start ms", digits: 0 },
  keyedRatio: { text: "of the speed with keys", digits: 2 },
  singleTableRatio: { text: "of the speed of one table", digits: 3 },
  roundTripMillis: { text: "round trip ms", digits: 2 },
  speedRatio: { text: "of its speed without", digits: 3 },
  rssAtStreamStartMb: { text: "RSS at stream start MiB", digits: 0 },
  frozenPeakRssMb: { text: "peak while frozen MiB", digits: 0 },
  emptyNodeMillis: { text: "empty Node ms", digits: 0 },
  startRatio: { text: "ratio", digits: 2 },
  ratioP50: { text: "ratio p50", digits: 2 },
  ratioP99: { text: "ratio p99", digits: 2 },
  writtenP50Millis: { text: "written p50", digits: 2 },
  writtenP99Millis: { text: "written p99", digits: 2 },
  arrivedP50Millis: { text: "arrived p50", digits: 2 },
  arrivedP99Millis: { text: "arrived p99", digits: 2 },
  bareP50Millis: { text: "bare p50", digits: 2 },
  bareP99Millis: { text: "bare p99", digits: 2 }
}

const headingOf = (name: string): Heading => HEADINGS[name] ?? { text: name, digits: 0 }

const cellOf = (name: string, value: number | null): string => {
  const { digits, unit = 1 } = headingOf(name)
  return value === null ? "-" : (value / unit).toFixed(digits)
}

const table = (rows: ReadonlyArray<ReadonlyArray<string>>): string => {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]!.length)))
  const line = (row: ReadonlyArray<string>) =>
    row.map((cell, column) => column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)).join("  ")
  return rows.map(line).join("\n")
}

/** Most rounds that are worth a line each. */
const MAX_ROUND_LINES = 10

/** Cases with the same figures stand in one table, each with the medians of its rounds, and `withRounds` with each of them. */
export const formatCases = (cases: ReadonlyArray<CaseResult>, withRounds: boolean): string => {
  return [...groupBy(cases).values()].map((group) => {
    const names = Object.keys(group[0]!.median)
    const rowOf = (label: string, figures: CaseResult["median"]) => [
      label,
      ...names.map((name) => cellOf(name, figures[name] ?? null))
    ]
    return table([
      ["", ...names.map((name) => headingOf(name).text)],
      ...group.flatMap(({ median, name, rounds, rows }) => [
        rowOf(
          `${name}${rows === 0 ? "" : ` (${rows.toLocaleString("en-US")} rows)`}: median of ${rounds.length}`,
          median
        ),
        ...(withRounds && rounds.length > 1 && rounds.length <= MAX_ROUND_LINES
          ? rounds.map((round, i) => rowOf(`  round ${i + 1}`, round))
          : [])
      ])
    ])
  }).join("\n\n")
}

const groupBy = (cases: ReadonlyArray<CaseResult>): ReadonlyMap<string, ReadonlyArray<CaseResult>> => {
  const groups = new Map<string, Array<CaseResult>>()
  for (const result of cases) {
    const key = Object.keys(result.median).join()
    groups.set(key, [...groups.get(key) ?? [], result])
  }
  return groups
}

export const formatMachine = (machine: Machine): string =>
  `${machine.cores} x ${machine.cpu}, ${machine.memoryGb} GiB, ${machine.system}, Node ${machine.node}, `
  + `PostgreSQL ${machine.postgres} (embedded, fsync on)`
