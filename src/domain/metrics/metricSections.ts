/** Every metric that there is. */
import type { MetricDefinition } from "./Metric.ts"
import { processMetrics } from "./processMetrics.ts"
import { syncMetrics } from "./syncMetrics.ts"
import { tableHistograms, tableMetrics } from "./tableMetrics.ts"

export const metricSections: Readonly<Record<"table" | "sync" | "process", ReadonlyArray<MetricDefinition>>> = {
  table: [...tableMetrics, ...Object.values(tableHistograms)],
  sync: syncMetrics,
  process: processMetrics
}
