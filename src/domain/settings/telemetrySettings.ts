/** The settings of OpenTelemetry, under the names of its standard. */
import type { Setting } from "./Setting.ts"
import { exporterAddress, exporterProtocol, headers, pairs, ratio } from "./telemetryValues.ts"
import { oneOf, text, trueOrFalse, wholeNumber } from "./values.ts"

const telemetry = { section: "telemetry", verbs: ["sync", "plan"] } as const

const samplers = [
  "always_on",
  "always_off",
  "traceidratio",
  "parentbased_always_on",
  "parentbased_always_off",
  "parentbased_traceidratio"
] as const

export const telemetrySettings = {
  OTEL_EXPORTER_OTLP_ENDPOINT: {
    ...telemetry,
    ...exporterAddress,
    whenUnset: "off",
    description: "Address of an OpenTelemetry collector; traces go to /v1/traces below it, metrics to /v1/metrics."
  },
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: {
    ...telemetry,
    ...exporterAddress,
    whenUnset: "that of both",
    description: "Address that traces go to as it is, where it is another one."
  },
  OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: {
    ...telemetry,
    ...exporterAddress,
    whenUnset: "that of both",
    description: "Address that metrics go to as it is, where it is another one."
  },
  OTEL_EXPORTER_OTLP_HEADERS: {
    ...telemetry,
    ...headers,
    fromFile: true,
    whenUnset: "none",
    description: "Headers of every export, such as api-key=... for a vendor."
  },
  OTEL_EXPORTER_OTLP_PROTOCOL: {
    ...telemetry,
    ...exporterProtocol,
    default: "http/protobuf",
    description: "How exports are encoded."
  },
  OTEL_EXPORTER_OTLP_TIMEOUT: {
    ...telemetry,
    ...wholeNumber(1, 600_000),
    default: "10000",
    description: "Milliseconds to wait for the answer to an export."
  },
  OTEL_EXPORTER_OTLP_COMPRESSION: {
    ...telemetry,
    ...oneOf("gzip", "none"),
    default: "none",
    description: "Whether exports of a kilobyte and more are compressed."
  },
  OTEL_SERVICE_NAME: {
    ...telemetry,
    ...text("a name"),
    whenUnset: "service.name of OTEL_RESOURCE_ATTRIBUTES, or ampsync",
    description: "Name of this service in traces and metrics."
  },
  OTEL_RESOURCE_ATTRIBUTES: {
    ...telemetry,
    ...pairs,
    whenUnset: "none",
    description: "Attributes of this service in traces and metrics, such as deployment.environment.name=prod."
  },
  OTEL_TRACES_EXPORTER: {
    ...telemetry,
    ...oneOf("otlp", "none"),
    whenUnset: "otlp where an address is set",
    description: "Whether traces are exported; otlp without an address exports to http://localhost:4318."
  },
  OTEL_METRICS_EXPORTER: {
    ...telemetry,
    ...oneOf("otlp", "none"),
    whenUnset: "otlp where an address is set",
    description: "Whether metrics are exported; otlp without an address exports to http://localhost:4318."
  },
  OTEL_TRACES_SAMPLER: {
    ...telemetry,
    ...oneOf(...samplers),
    default: "parentbased_always_on",
    description:
      "Which traces are exported; a ratio is that of OTEL_TRACES_SAMPLER_ARG, and parentbased changes nothing, as every trace begins here."
  },
  OTEL_TRACES_SAMPLER_ARG: {
    ...telemetry,
    ...ratio,
    default: "1",
    description: "Share of the traces that the sampler of a ratio exports."
  },
  OTEL_BSP_SCHEDULE_DELAY: {
    ...telemetry,
    ...wholeNumber(1, 600_000),
    default: "5000",
    description: "Milliseconds between two exports of traces."
  },
  OTEL_METRIC_EXPORT_INTERVAL: {
    ...telemetry,
    ...wholeNumber(1, 86_400_000),
    default: "60000",
    description: "Milliseconds between two exports of metrics."
  },
  OTEL_SDK_DISABLED: {
    ...telemetry,
    ...trueOrFalse,
    default: "false",
    description:
      "Whether traces and metrics are off whatever the other variables of OpenTelemetry are, which then are not even read."
  }
} as const satisfies Readonly<Record<string, Setting>>
