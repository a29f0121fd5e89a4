/** Where traces and metrics go, from the standard variables of OpenTelemetry. */
import { Duration, Result } from "effect"
import { decodeSettings, type Problems } from "../../domain/settings/decode.ts"
import type { ExportSettings, TelemetrySettings } from "../../services/Config.ts"
import { secretFrom } from "./secretFile.ts"
import type { Texts } from "./variables.ts"

/** Source: OpenTelemetry, "OTLP Exporter Configuration". */
const DEFAULT_ADDRESS = "http://localhost:4318"
const SERVICE = "ampsync"

/** Whether a variable asks for exports: elsewhere it does not matter what else is set. */
export const isTelemetryAsked = (texts: Texts): boolean => {
  const read = readTelemetry(texts)
  return Result.isSuccess(read) && read.success !== undefined
}

/** Undefined where neither traces nor metrics are exported. */
export const readTelemetry = (texts: Texts): Result.Result<TelemetrySettings | undefined, Problems> =>
  Result.flatMap(
    decodeSettings(["OTEL_SDK_DISABLED"], texts),
    ({ OTEL_SDK_DISABLED }) =>
      OTEL_SDK_DISABLED || ASKING.every((name) => texts[name] === undefined)
        ? Result.succeed(undefined)
        : readEnabled(texts)
  )

/** Without any of these nothing is exported: the others may be those of a cluster, and need not fit. */
const ASKING = [
  "OTEL_EXPORTER_OTLP_ENDPOINT",
  "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
  "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
  "OTEL_TRACES_EXPORTER",
  "OTEL_METRICS_EXPORTER"
] as const

const readEnabled = (texts: Texts): Result.Result<TelemetrySettings | undefined, Problems> =>
  Result.map(
    decodeSettings([
      "OTEL_EXPORTER_OTLP_ENDPOINT",
      "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
      "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
      "OTEL_EXPORTER_OTLP_HEADERS",
      "OTEL_EXPORTER_OTLP_PROTOCOL",
      "OTEL_EXPORTER_OTLP_TIMEOUT",
      "OTEL_EXPORTER_OTLP_COMPRESSION",
      "OTEL_SERVICE_NAME",
      "OTEL_RESOURCE_ATTRIBUTES",
      "OTEL_TRACES_EXPORTER",
      "OTEL_METRICS_EXPORTER",
      "OTEL_TRACES_SAMPLER",
      "OTEL_TRACES_SAMPLER_ARG",
      "OTEL_BSP_SCHEDULE_DELAY",
      "OTEL_METRIC_EXPORT_INTERVAL"
    ], texts),
    (settings) => {
      const isDefault = settings.OTEL_EXPORTER_OTLP_ENDPOINT === undefined
      const endpoint = `OTEL_EXPORTER_OTLP_ENDPOINT${isDefault ? ", which is not set" : ""}`
      const exportTo = (signal: "TRACES" | "METRICS", intervalMillis: number): ExportSettings | undefined => {
        const [own, exporter] = [`OTEL_EXPORTER_OTLP_${signal}_ENDPOINT`, settings[`OTEL_${signal}_EXPORTER`]] as const
        const common = settings.OTEL_EXPORTER_OTLP_ENDPOINT ??
          (exporter === "otlp" ? new URL(DEFAULT_ADDRESS) : undefined)
        if (exporter === "none") return undefined
        const interval = Duration.millis(intervalMillis)
        const ownUrl = settings[own]
        if (ownUrl !== undefined) return { url: ownUrl, variable: own, interval }
        return common === undefined
          ? undefined
          : { url: below(common, signal.toLowerCase()), variable: endpoint, interval }
      }
      const traces = exportTo("TRACES", settings.OTEL_BSP_SCHEDULE_DELAY)
      const metrics = exportTo("METRICS", settings.OTEL_METRIC_EXPORT_INTERVAL)
      if (traces === undefined && metrics === undefined) return undefined
      const { "service.name": named, ...attributes } = settings.OTEL_RESOURCE_ATTRIBUTES ?? {}
      return {
        traces,
        metrics,
        protocol: settings.OTEL_EXPORTER_OTLP_PROTOCOL,
        headers: secretFrom("OTEL_EXPORTER_OTLP_HEADERS", texts),
        compression: settings.OTEL_EXPORTER_OTLP_COMPRESSION,
        timeout: Duration.millis(settings.OTEL_EXPORTER_OTLP_TIMEOUT),
        serviceName: settings.OTEL_SERVICE_NAME ?? named ?? SERVICE,
        attributes,
        sampledRatio: ratioOf(settings.OTEL_TRACES_SAMPLER, settings.OTEL_TRACES_SAMPLER_ARG)
      }
    }
  )

/** The address of a signal below that of a collector, which may have a path. */
const below = (base: URL, signal: string): URL => {
  const url = new URL(base)
  url.pathname = `${base.pathname.replace(/\/$/, "")}/v1/${signal}`
  return url
}

/** A trace begins with one of our spans: there is no parent that a sampler could follow. */
const ratioOf = (sampler: string, argument: number): number =>
  sampler.endsWith("ratio") ? argument : sampler.endsWith("on") ? 1 : 0
