/** The metrics of a sync as a whole. */
import { readinessProblems, type RecordedHealth } from "../health/readiness.ts"
import { VERSION } from "../version.ts"
import type { ReadMetric } from "./Metric.ts"

/** What the metrics of a sync are read from. */
export interface SyncFigures extends RecordedHealth {
  readonly startedAtMillis: number
  readonly reload: { readonly applied: number; readonly failed: number } | undefined
  readonly permits: { readonly total: number; readonly inUse: () => number } | undefined
}

type SyncMetric = ReadMetric<SyncFigures>

const gauge = { type: "gauge", labels: [] } as const

export const syncMetrics: ReadonlyArray<SyncMetric> = [
  {
    ...gauge,
    name: "ampsync_ready",
    unit: "{info}",
    description: "1 where /readyz without parameters answers with 200, else 0",
    read: (health, _, nowMillis) =>
      readinessProblems(health, { blocks: undefined, seconds: undefined }, nowMillis).length === 0 ? 1 : 0
  },
  {
    ...gauge,
    name: "ampsync_build_info",
    unit: "{info}",
    labels: ["version"],
    description: "Always 1; its label is the version of Ampsync",
    values: [VERSION],
    read: () => 1
  },
  {
    ...gauge,
    name: "ampsync_start_timestamp_seconds",
    unit: "seconds",
    description: "Unix time at which the sync started",
    read: ({ startedAtMillis }) => startedAtMillis / 1_000
  },
  {
    ...gauge,
    name: "ampsync_heartbeat_timestamp_seconds",
    unit: "seconds",
    description:
      "Unix time at which the database last recorded a heartbeat of this process; no series before the first",
    read: ({ heartbeatAtMillis }) => heartbeatAtMillis === undefined ? undefined : heartbeatAtMillis / 1_000
  },
  {
    ...gauge,
    name: "ampsync_permits",
    unit: "{permit}",
    description: "Transactions that may be in flight over all tables (MAX_CONCURRENT_BATCHES); " +
      "no series before the first config is active",
    read: ({ permits }) => permits?.total
  },
  {
    ...gauge,
    name: "ampsync_permits_in_use",
    unit: "{permit}",
    description: "Tables that write right now; no series before the first config is active",
    read: ({ permits }) => permits?.inUse()
  },
  {
    name: "ampsync_reloads_total",
    type: "counter",
    unit: "{reload}",
    labels: ["outcome"],
    description: "Changes of the config, or of the version of a dataset, that were applied or failed",
    values: ["applied", "failed"],
    read: ({ reload }, outcome) => (outcome === "applied" ? reload?.applied : reload?.failed) ?? 0
  }
]
