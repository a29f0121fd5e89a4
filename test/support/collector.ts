/** An OpenTelemetry collector on the loopback that records what it receives. */
import { Effect, type Scope } from "effect"
import { createServer, type IncomingHttpHeaders } from "node:http"
import type { AddressInfo } from "node:net"
import { gunzipSync } from "node:zlib"

export interface ReceivedExport {
  readonly path: string
  readonly headers: IncomingHttpHeaders
  /** Decompressed. */
  readonly body: Buffer
}

/** A span of OTLP in JSON, attributes as a record. */
export interface ReceivedSpan {
  readonly name: string
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId: string | undefined
  readonly start: bigint
  readonly end: bigint
  readonly attributes: Readonly<Record<string, string | number>>
  readonly links: ReadonlyArray<{ readonly traceId: string; readonly spanId: string; readonly kind: string }>
  /** Source: OpenTelemetry, trace.proto, `Status.StatusCode`: 1 ok, 2 error. */
  readonly status: { readonly code: number; readonly message?: string }
}

export interface Collector {
  readonly url: string
  readonly received: ReadonlyArray<ReceivedExport>
  /** Answers with this status from now on, or never. */
  readonly answer: (status: number | "never") => void
  /** Everything received, as it came. */
  readonly text: () => string
  /** Of exports in JSON. */
  readonly spans: () => ReadonlyArray<ReceivedSpan>
  readonly resource: () => Readonly<Record<string, string | number>>
  readonly metricNames: () => ReadonlyArray<string>
  /** The labels and the value of the first series of a counter, as it came last. */
  readonly lastCounter: (name: string) => Readonly<Record<string, string | number>>
}

/** Listens until the scope closes. */
export const startCollector: Effect.Effect<Collector, never, Scope.Scope> = Effect.gen(function*() {
  const received: Array<ReceivedExport> = []
  let status: number | "never" = 200
  const server = createServer((request, response) => {
    const parts: Array<Buffer> = []
    request.on("data", (part: Buffer) => parts.push(part)).on("end", () => {
      const sent = Buffer.concat(parts)
      const body = request.headers["content-encoding"] === "gzip" ? gunzipSync(sent) : sent
      received.push({ path: request.url ?? "", headers: request.headers, body })
      if (status !== "never") response.writeHead(status, { "content-type": "application/json" }).end("{}")
    })
  })
  yield* Effect.acquireRelease(
    Effect.callback<void>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.void))),
    () =>
      Effect.callback<void>((resume) => {
        server.close(() => resume(Effect.void))
        server.closeAllConnections()
      })
  )
  const metrics = () =>
    documents("/v1/metrics").flatMap(({ resourceMetrics }): ReadonlyArray<RawMetric> =>
      resourceMetrics[0].scopeMetrics[0].metrics
    )
  const documents = (path: string) =>
    received.filter((one) => one.path.endsWith(path)).map(({ body }) => JSON.parse(body.toString("utf8")))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    received,
    answer: (next) => {
      status = next
    },
    text: () => received.map(({ body }) => body.toString("latin1")).join("\n"),
    spans: () =>
      documents("/v1/traces").flatMap(({ resourceSpans }) => resourceSpans[0].scopeSpans[0].spans.map(spanOf)),
    resource: () => recordOf(documents("/v1/traces")[0].resourceSpans[0].resource.attributes),
    metricNames: () => [...new Set(metrics().map(({ name }) => name))],
    lastCounter: (name) => {
      const point = metrics().findLast((metric) => metric.name === name)!.sum!.dataPoints[0]!
      return { ...recordOf(point.attributes), value: point.asDouble }
    }
  }
})

interface RawMetric {
  readonly name: string
  readonly sum?: {
    readonly dataPoints: ReadonlyArray<{ readonly attributes: ReadonlyArray<KeyValue>; readonly asDouble: number }>
  }
}

interface KeyValue {
  readonly key: string
  readonly value: { readonly stringValue?: string; readonly intValue?: string | number; readonly doubleValue?: number }
}

const recordOf = (attributes: ReadonlyArray<KeyValue>): Readonly<Record<string, string | number>> =>
  Object.fromEntries(attributes.map(({ key, value: { doubleValue, intValue, stringValue } }) => [
    key,
    stringValue ?? doubleValue ?? Number(intValue)
  ]))

interface RawSpan extends Pick<ReceivedSpan, "name" | "traceId" | "spanId" | "parentSpanId" | "status"> {
  readonly startTimeUnixNano: string
  readonly endTimeUnixNano: string
  readonly attributes: ReadonlyArray<KeyValue>
  readonly links: ReadonlyArray<{
    readonly traceId: string
    readonly spanId: string
    readonly attributes: ReadonlyArray<KeyValue>
  }>
}

const spanOf = ({ attributes, endTimeUnixNano, links, startTimeUnixNano, ...span }: RawSpan): ReceivedSpan => ({
  ...span,
  start: BigInt(startTimeUnixNano),
  end: BigInt(endTimeUnixNano),
  attributes: recordOf(attributes),
  links: links.map((link) => ({
    traceId: link.traceId,
    spanId: link.spanId,
    kind: String(recordOf(link.attributes)["ampsync.link"])
  }))
})
