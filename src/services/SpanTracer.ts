/** Takes the spans of attempts and chunks. */
import { Context, type Tracer } from "effect"

/**
 * The tracer that exports the spans of tables; undefined where traces are off: then no span is made.
 *
 * It is not `Tracer.Tracer`, so that nothing else becomes a span: spans of database drivers and HTTP clients contain the text of
 * what is sent.
 */
export const SpanTracer = Context.Reference<Tracer.Tracer | undefined>("ampsync/services/SpanTracer", {
  defaultValue: () => undefined
})
