/** Exports spans and metrics to an OpenTelemetry collector, where the settings name one. */
import { Effect, Layer } from "effect"
import { SyncConfig } from "../services/Config.ts"

/**
 * `SpanTracer`, and an exporter of the metrics of the process, for as long as the layer lives; nothing where the settings name
 * no collector. Exporting never fails and never holds up a sync; a stop waits for it a second at most.
 */
export const layer: Layer.Layer<never, never, SyncConfig> = Layer.unwrap(
  Effect.gen(function*() {
    const { telemetry } = yield* SyncConfig
    if (telemetry === undefined) return Layer.empty
    // Loaded only where it is wanted, because a start should not wait for it.
    const { exporters } = yield* Effect.promise(() => import("./telemetry/exporters.ts"))
    return exporters(telemetry)
  })
)
