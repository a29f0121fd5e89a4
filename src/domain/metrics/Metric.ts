/** What a metric is: its name, meaning and unit, and how its value is read. Names and labels are a public API. */
import { Metric } from "effect"

/** A metric as documentation and exporters know it. */
export interface MetricDefinition {
  /** In the style of Prometheus: base unit last, `_total` for counters. */
  readonly name: string
  readonly type: "counter" | "gauge" | "histogram"
  readonly unit: MetricUnit
  readonly labels: ReadonlyArray<string>
  /** One sentence without a full stop; it ends with when there is no series, where that is possible. */
  readonly description: string
}

/** Units of OpenTelemetry: `seconds` and `bytes` as Effect names them; what is in braces counts something. */
export type MetricUnit =
  | "{attempt}"
  | "{block}"
  | "{info}"
  | "{permit}"
  | "{reload}"
  | "{reorg}"
  | "{row}"
  | "bytes"
  | "seconds"

/** A counter or gauge whose value is read from `A` whenever it is exported. */
export interface ReadMetric<A> extends MetricDefinition {
  readonly type: "counter" | "gauge"
  /** The values of its last label, each a series; one series without that label where undefined. */
  readonly values?: ReadonlyArray<string>
  /** Undefined where the value is not known: then there is no series. */
  readonly read: (from: A, value: string, nowMillis: number) => number | undefined
}

/** Upper bounds of buckets; the one without a bound is added. */
export interface HistogramDefinition extends MetricDefinition {
  readonly type: "histogram"
  readonly boundaries: ReadonlyArray<number>
}

export type Labels = Readonly<Record<string, string>>

/** A series of a metric. Exporters that know units take that of the attribute `unit`, which Prometheus does not show. */
export const readSeries = ({ description, name, type, unit }: ReadMetric<never>, labels: Labels) => {
  const options = { description, attributes: { ...labels, unit } }
  return type === "counter"
    ? Metric.counter(name, { ...options, incremental: true })
    : Metric.gauge(name, options)
}

/** The state of such a series. */
export const readState = (type: "counter" | "gauge", value: number) =>
  type === "counter" ? { count: value, incremental: true } : { value }

/** A series of a histogram. */
export const histogramSeries = ({ boundaries, description, name, unit }: HistogramDefinition, labels: Labels) =>
  Metric.histogram(name, { description, boundaries, attributes: { ...labels, unit } })

/** The labels of one series of a metric. */
export const labelsOf = ({ labels }: MetricDefinition, values: ReadonlyArray<string>): Labels =>
  Object.fromEntries(labels.map((label, index) => [label, values[index] ?? ""]))
