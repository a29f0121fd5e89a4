/** The metrics of this process: memory, CPU time and event loop. A host program has its own. */
import { Clock, Context, Effect, Layer, Metric } from "effect"
import { monitorEventLoopDelay, performance } from "node:perf_hooks"
import { readSeries, readState } from "../domain/metrics/Metric.ts"
import { type ProcessFigures, processMetrics } from "../domain/metrics/processMetrics.ts"

/** Milliseconds between two measurements of the event loop. */
const RESOLUTION_MILLIS = 20
/** Figures of the event loop are about so many milliseconds or more, however many readers there are. */
const WINDOW_MILLIS = 10_000
/** All series are read for one export: figures of one system call serve them all. */
const FRESH_MILLIS = 100

/** Registers with the metric registry of the program, for as long as the layer lives. */
export const layer: Layer.Layer<never> = Layer.effectDiscard(Effect.gen(function*() {
  const context = yield* Effect.context<never>()
  const lag = yield* Effect.acquireRelease(
    Effect.sync(() => new EventLoopLag()),
    (monitor) => Effect.sync(() => monitor.stop())
  )
  const figures = cached(() => read(lag))
  yield* Effect.acquireRelease(
    Effect.sync(() =>
      processMetrics.map((metric) => {
        const get = (of: Context.Context<never>) => {
          const nowMillis = Context.get(of, Clock.Clock).currentTimeMillisUnsafe()
          return readState(metric.type, metric.read(figures, "", nowMillis) ?? NaN)
        }
        return Metric.registerUnsafe<number, unknown>(readSeries(metric, {}), context, {
          get,
          update: nothing,
          modify: nothing
        })
      })
    ),
    (registrations) => Effect.sync(() => registrations.forEach(({ remove }) => remove()))
  )
}))

const read = (lag: EventLoopLag): ProcessFigures => {
  const { external, heapTotal, heapUsed, rss } = process.memoryUsage()
  const { system, user } = process.cpuUsage()
  return {
    startedAtSeconds: performance.timeOrigin / 1_000,
    cpuSeconds: (user + system) / 1e6,
    residentBytes: rss,
    heapUsedBytes: heapUsed,
    heapTotalBytes: heapTotal,
    externalBytes: external,
    eventLoopLag: lag.report()
  }
}

const cached = <A>(make: () => A): () => A => {
  let last: { readonly value: A; readonly atMillis: number } | undefined
  return () => {
    const atMillis = performance.now()
    if (last === undefined || atMillis - last.atMillis >= FRESH_MILLIS) last = { value: make(), atMillis }
    return last.value
  }
}

/** Delays of the event loop, of the current window and of the one before. */
class EventLoopLag {
  readonly #histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MILLIS })
  #beganAtMillis = performance.now()
  #last: ProcessFigures["eventLoopLag"] | undefined

  constructor() {
    this.#histogram.enable()
  }

  stop(): void {
    this.#histogram.disable()
  }

  report(): ProcessFigures["eventLoopLag"] {
    const now = performance.now()
    if (now - this.#beganAtMillis < WINDOW_MILLIS) return this.#last ?? this.#current()
    this.#last = this.#current()
    this.#histogram.reset()
    this.#beganAtMillis = now
    return this.#last
  }

  /** Without what a timer waits anyway; zero before anything was measured. */
  #current(): ProcessFigures["eventLoopLag"] {
    const { max, mean } = this.#histogram
    const lagOf = (nanos: number) => Math.max(0, (Number.isFinite(nanos) ? nanos : 0) / 1e9 - RESOLUTION_MILLIS / 1_000)
    return { meanSeconds: lagOf(mean), p99Seconds: lagOf(this.#histogram.percentile(99)), maxSeconds: lagOf(max) }
  }
}

const nothing = (): void => {}
