/** The text format of Prometheus, read by a parser that is not ours. */
import { createRequire } from "node:module"

type Labels = Readonly<Record<string, string>>

interface ParsedFamily {
  readonly name: string
  readonly metrics: ReadonlyArray<{ readonly labels?: Labels; readonly value: string }>
}

const parse: (text: string) => ReadonlyArray<ParsedFamily> = createRequire(import.meta.url)(
  "parse-prometheus-text-format"
)

export interface Sample {
  /** With the suffix of a histogram: `_bucket`, `_sum`, `_count`. */
  readonly name: string
  readonly labels: Labels
  readonly value: number
}

/** What one scrape brought. */
export class Scrape {
  readonly samples: ReadonlyArray<Sample>
  /** Type of each family. */
  readonly types: ReadonlyMap<string, string>

  constructor(text: string) {
    const declared = [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) => [name!, type!] as const)
    this.types = new Map(declared)
    // The parser merges the histograms of a family into one, whatever their labels are; it does not where it knows no type.
    this.samples = parse(text.replaceAll(/^# TYPE (\S+) histogram$/gm, "# TYPE $1 untyped")).flatMap((
      { metrics, name }
    ) => metrics.map(({ labels = {}, value }) => ({ name, labels, value: Number(value) })))
  }

  /** The samples with these labels, and perhaps others. */
  with(name: string, labels: Labels = {}): ReadonlyArray<Sample> {
    return this.samples.filter((sample) =>
      sample.name === name && Object.entries(labels).every(([label, value]) => sample.labels[label] === value)
    )
  }

  /** The value of the one series with these labels; undefined where there is none. */
  value(name: string, labels: Labels = {}): number | undefined {
    const found = this.with(name, labels)
    if (found.length > 1) throw new Error(`${name}${JSON.stringify(labels)} is ${found.length} series`)
    return found[0]?.value
  }

  /** Every value that may only grow: counters, and counts, sums and buckets of histograms. */
  cumulative(): ReadonlyMap<string, number> {
    const isCumulative = ({ name }: Sample) =>
      [name, name.replace(/_(?:bucket|sum|count)$/, "")].some((family) =>
        ["counter", "histogram"].includes(this.types.get(family) ?? "")
      )
    return new Map(
      this.samples.filter(isCumulative).map(({ labels, name, value }) => [`${name}${JSON.stringify(labels)}`, value])
    )
  }
}
