/** The metrics of a sync in the metric registry of the program: their series come and go with what is known. */
import { Clock, Context, Metric } from "effect"
import {
  type HistogramDefinition,
  histogramSeries,
  labelsOf,
  type ReadMetric,
  readSeries,
  readState
} from "../../domain/metrics/Metric.ts"
import { type SyncFigures, syncMetrics } from "../../domain/metrics/syncMetrics.ts"
import { tableHistograms, tableMetrics } from "../../domain/metrics/tableMetrics.ts"
import type { CommittedEvent, StatusEvent } from "../../domain/StatusEvent.ts"
import type { TableStatus } from "../../domain/TableStatus.ts"

type AnyContext = Context.Context<never>

/** The series of some metrics, all read from one source. */
class ReadSeries<A> {
  readonly #metrics: ReadonlyArray<ReadMetric<A>>
  readonly #labels: ReadonlyArray<string>
  readonly #context: AnyContext
  readonly #registrations = new Map<string, Metric.Registration>()
  #from: A

  /** `labels`: values of the labels that all of the metrics have. */
  constructor(metrics: ReadonlyArray<ReadMetric<A>>, labels: ReadonlyArray<string>, context: AnyContext, from: A) {
    this.#metrics = metrics
    this.#labels = labels
    this.#context = context
    this.#from = from
    this.update(from)
  }

  /** Values are read from `from` from now on; registers what is known by now, and removes what no longer is. */
  update(from: A): void {
    this.#from = from
    const nowMillis = millisIn(this.#context)
    for (const metric of this.#metrics) {
      for (const value of metric.values ?? [""]) {
        const key = `${metric.name} ${value}`
        const registered = this.#registrations.get(key)
        const isKnown = metric.read(from, value, nowMillis) !== undefined
        if (isKnown && registered === undefined) this.#registrations.set(key, this.#register(metric, value))
        if (isKnown || registered === undefined) continue
        registered.remove()
        this.#registrations.delete(key)
      }
    }
  }

  remove(): void {
    for (const registration of this.#registrations.values()) registration.remove()
    this.#registrations.clear()
  }

  #register(metric: ReadMetric<A>, value: string): Metric.Registration {
    const series = readSeries(metric, labelsOf(metric, [...this.#labels, value]))
    const get = (context: AnyContext) =>
      readState(metric.type, metric.read(this.#from, value, millisIn(context)) ?? NaN)
    return Metric.registerUnsafe<number, unknown>(series, this.#context, { get, update: nothing, modify: nothing })
  }
}

/** The series of one table. */
class TableSeries {
  readonly #series: ReadSeries<TableStatus>
  readonly #context: AnyContext
  readonly #histograms: Readonly<Record<keyof typeof tableHistograms, Metric.Histogram<number>>>
  #status: TableStatus

  constructor(status: TableStatus, context: AnyContext) {
    const { table } = status
    const histogramOf = (definition: HistogramDefinition) => {
      const series = histogramSeries(definition, labelsOf(definition, [table]))
      // Reading it creates it: a series that begins with its first observation hides that one from a rate.
      series.valueUnsafe(context)
      return series
    }
    this.#context = context
    this.#status = status
    this.#series = new ReadSeries(tableMetrics, [table], context, status)
    this.#histograms = {
      commitSeconds: histogramOf(tableHistograms.commitSeconds),
      chunkRows: histogramOf(tableHistograms.chunkRows),
      reorgDepth: histogramOf(tableHistograms.reorgDepth)
    }
  }

  update(status: TableStatus): void {
    if (status === this.#status) return
    this.#status = status
    this.#series.update(status)
  }

  observe({ elapsedMillis, reorgs, rowsAdded }: CommittedEvent): void {
    const { chunkRows, commitSeconds, reorgDepth } = this.#histograms
    commitSeconds.updateUnsafe(elapsedMillis / 1_000, this.#context)
    chunkRows.updateUnsafe(rowsAdded, this.#context)
    for (const { depth } of reorgs) reorgDepth.updateUnsafe(Number(depth), this.#context)
  }

  remove(): void {
    this.#series.remove()
    for (const histogram of Object.values(this.#histograms)) Metric.removeUnsafe(histogram, this.#context)
  }
}

/** All series of a sync. */
export class StatusMetrics {
  readonly #context: AnyContext
  readonly #figures: SyncFigures
  readonly #sync: ReadSeries<SyncFigures>
  readonly #tables = new Map<string, TableSeries>()

  /** Registers with the registry and the attributes of `context`; `figures` are those of the moment, whenever they are read. */
  constructor(context: AnyContext, figures: SyncFigures) {
    this.#context = context
    this.#figures = figures
    this.#sync = new ReadSeries(syncMetrics, [], context, figures)
  }

  /** Follows the figures of the sync as a whole. */
  update(): void {
    this.#sync.update(this.#figures)
  }

  /** Follows the figures of the tables: one that is gone has no series any more. */
  updateTables(): void {
    const { tables } = this.#figures
    for (const [table, series] of this.#tables) {
      if (tables.has(table)) continue
      series.remove()
      this.#tables.delete(table)
    }
    for (const [table, status] of tables) {
      const series = this.#tables.get(table)
      if (series === undefined) this.#tables.set(table, new TableSeries(status, this.#context))
      else series.update(status)
    }
  }

  /** Counts an event of a table in its histograms. */
  observe(table: string, event: StatusEvent): void {
    if (event._tag === "Committed") this.#tables.get(table)?.observe(event)
  }

  /** Removes every series. */
  remove(): void {
    this.#sync.remove()
    for (const series of this.#tables.values()) series.remove()
    this.#tables.clear()
  }
}

const millisIn = (context: AnyContext): number => Context.get(context, Clock.Clock).currentTimeMillisUnsafe()

const nothing = (): void => {}
