/** The exporters of OTLP over HTTP. */
import { NodeHttpClient } from "@effect/platform-node"
import { ConfigProvider, Effect, Layer, Option, Tracer } from "effect"
import { HttpClient } from "effect/http"
import { OtlpExporter, OtlpMetrics, OtlpSerialization, OtlpTracer } from "effect/observability"
import { hostname } from "node:os"
import { VERSION } from "../../domain/version.ts"
import type { ExportSettings, TelemetrySettings } from "../../services/Config.ts"
import { flushTelemetry, SpanTracer } from "../../services/Telemetry.ts"
import { reportingClient } from "./reportingClient.ts"

/** Of the spans that wait for the next export; as many go into one request. */
const MAX_BATCH = 500
/** For both kinds together. */
const FLUSH_TIMEOUT = "400 millis"
/** Of each kind, one after the other; what counts is flushed before. */
const SHUTDOWN_TIMEOUT = "200 millis"

/** Exports what `settings` ask for. */
export const exporters = (settings: TelemetrySettings): Layer.Layer<never> => {
  const { attributes, compression, metrics, protocol, serviceName, traces } = settings
  const resource = {
    serviceName,
    serviceVersion: VERSION,
    attributes: { "host.name": hostname(), "process.pid": process.pid, ...attributes }
  }
  const reporting = (signal: "traces" | "metrics", to: ExportSettings) =>
    Layer.effect(HttpClient.HttpClient, Effect.map(HttpClient.HttpClient, reportingClient(signal, to, settings)))
  const tracer = traces === undefined ? Layer.empty : Layer.provide(
    Layer.effect(
      SpanTracer,
      Effect.map(
        OtlpTracer.make({
          url: traces.url.href,
          resource,
          compression,
          exportInterval: traces.interval,
          maxBatchSize: MAX_BATCH,
          shutdownTimeout: SHUTDOWN_TIMEOUT
        }),
        (tracer) => sampled(tracer, settings.sampledRatio)
      )
    ),
    reporting("traces", traces)
  )
  const meter = metrics === undefined ? Layer.empty : Layer.provide(
    OtlpMetrics.layer({
      url: metrics.url.href,
      resource,
      compression,
      exportInterval: metrics.interval,
      shutdownTimeout: SHUTDOWN_TIMEOUT
    }),
    reporting("metrics", metrics)
  )
  const flush = Layer.effect(
    flushTelemetry,
    Effect.map(
      OtlpExporter.Flusher,
      (flusher) => Effect.asVoid(Effect.timeoutOption(Effect.interruptible(flusher.flush), FLUSH_TIMEOUT))
    )
  )
  return Layer.mergeAll(tracer, meter, flush).pipe(
    Layer.provide([
      OtlpExporter.layerFlusher,
      protocol === "http/json" ? OtlpSerialization.layerJson : OtlpSerialization.layerProtobuf,
      NodeHttpClient.layerNodeHttp,
      // The exporters read variables of their own; the settings have all that counts.
      ConfigProvider.layer(ConfigProvider.fromUnknown({}))
    ])
  )
}

/** Exports a share of the traces, each as a whole. */
const sampled = (tracer: Tracer.Tracer, ratio: number): Tracer.Tracer =>
  ratio >= 1 ? tracer : Tracer.make({
    span: (options) =>
      tracer.span({
        ...options,
        sampled: options.sampled && (Option.isSome(options.parent) || Math.random() < ratio)
      })
  })
