/**
 * The standard variables of OpenTelemetry that have no effect in ampsync, and what has; those that have one are settings.
 *
 * Source: OpenTelemetry, "OTLP Exporter Configuration".
 */

const ownOfSignals = "the variable without TRACES or METRICS, which is for both"
const authorities = "NODE_EXTRA_CA_CERTS"
const keys = "OTEL_EXPORTER_OTLP_HEADERS, as client certificates are not supported"

/** What to set instead. In the standard they change what is sent to whom. */
export const insteadOfTelemetry = {
  OTEL_EXPORTER_OTLP_TRACES_HEADERS: ownOfSignals,
  OTEL_EXPORTER_OTLP_METRICS_HEADERS: ownOfSignals,
  OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: ownOfSignals,
  OTEL_EXPORTER_OTLP_METRICS_PROTOCOL: ownOfSignals,
  OTEL_EXPORTER_OTLP_TRACES_TIMEOUT: ownOfSignals,
  OTEL_EXPORTER_OTLP_METRICS_TIMEOUT: ownOfSignals,
  OTEL_EXPORTER_OTLP_TRACES_COMPRESSION: ownOfSignals,
  OTEL_EXPORTER_OTLP_METRICS_COMPRESSION: ownOfSignals,
  OTEL_EXPORTER_OTLP_CERTIFICATE: authorities,
  OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE: authorities,
  OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE: authorities,
  OTEL_EXPORTER_OTLP_CLIENT_KEY: keys,
  OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE: keys
} as const

export type IgnoredTelemetryName = keyof typeof insteadOfTelemetry

export const ignoredTelemetryNames = Object.keys(insteadOfTelemetry) as ReadonlyArray<IgnoredTelemetryName>
