/** What takes the spans and exports them with the metrics. */
import { Context, Effect, type Tracer } from "effect"

/**
 * The tracer that exports the spans of tables; undefined where traces are off: then no span is made.
 *
 * It is not `Tracer.Tracer`, so that nothing else becomes a span: spans of database drivers and HTTP clients contain the text of
 * what is sent.
 */
export const SpanTracer = Context.Reference<Tracer.Tracer | undefined>("ampsync/services/Telemetry/SpanTracer", {
  defaultValue: () => undefined
})

/** Exports what is there; takes half a second at most. */
export const flushTelemetry = Context.Reference<Effect.Effect<void>>("ampsync/services/Telemetry/flushTelemetry", {
  defaultValue: () => Effect.void
})
