/** The metrics of the process, under the names that other Node.js programs have for them. */
import type { ReadMetric } from "./Metric.ts"

/** Bytes of memory, seconds of time. */
export interface ProcessFigures {
  readonly startedAtSeconds: number
  readonly cpuSeconds: number
  readonly residentBytes: number
  readonly heapUsedBytes: number
  readonly heapTotalBytes: number
  /** Memory of buffers, outside of the heap. */
  readonly externalBytes: number
  readonly eventLoopLag: { readonly meanSeconds: number; readonly p99Seconds: number; readonly maxSeconds: number }
}

type ProcessMetric = ReadMetric<() => ProcessFigures>

const gauge = { type: "gauge", labels: [] } as const

export const processMetrics: ReadonlyArray<ProcessMetric> = [
  {
    ...gauge,
    name: "process_start_time_seconds",
    unit: "seconds",
    description: "Unix time at which the process started",
    read: (now) => now().startedAtSeconds
  },
  {
    name: "process_cpu_seconds_total",
    type: "counter",
    labels: [],
    unit: "seconds",
    description: "User and system time of the process",
    read: (now) => now().cpuSeconds
  },
  {
    ...gauge,
    name: "process_resident_memory_bytes",
    unit: "bytes",
    description: "Resident memory of the process",
    read: (now) => now().residentBytes
  },
  {
    ...gauge,
    name: "nodejs_heap_size_used_bytes",
    unit: "bytes",
    description: "Heap in use",
    read: (now) => now().heapUsedBytes
  },
  {
    ...gauge,
    name: "nodejs_heap_size_total_bytes",
    unit: "bytes",
    description: "Heap, in use or not",
    read: (now) => now().heapTotalBytes
  },
  {
    ...gauge,
    name: "nodejs_external_memory_bytes",
    unit: "bytes",
    description: "Memory of buffers, outside of the heap",
    read: (now) => now().externalBytes
  },
  {
    ...gauge,
    name: "nodejs_eventloop_lag_mean_seconds",
    unit: "seconds",
    description: "Delay of timers, mean of the last 10 seconds or more",
    read: (now) => now().eventLoopLag.meanSeconds
  },
  {
    ...gauge,
    name: "nodejs_eventloop_lag_p99_seconds",
    unit: "seconds",
    description: "Delay of timers, 99th percentile of the last 10 seconds or more",
    read: (now) => now().eventLoopLag.p99Seconds
  },
  {
    ...gauge,
    name: "nodejs_eventloop_lag_max_seconds",
    unit: "seconds",
    description: "Delay of timers, maximum of the last 10 seconds or more",
    read: (now) => now().eventLoopLag.maxSeconds
  }
]
