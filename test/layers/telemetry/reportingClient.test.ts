import { assert, describe, it } from "@effect/vitest"
import { Context, Duration, Effect, Exit, Layer, Option, Redacted, type Tracer } from "effect"
import { HttpClient, HttpClientError, type HttpClientRequest, HttpClientResponse } from "effect/http"
import { OtlpExporter, OtlpSerialization, OtlpTracer } from "effect/observability"
import { TestClock } from "effect/testing"
import { reportingClient } from "../../../src/layers/telemetry/reportingClient.ts"
import { SecretError, type TelemetrySettings } from "../../../src/services/Config.ts"
import { recordedLog } from "../../doubles/Log.ts"

const to = {
  url: new URL("http://collector.test:4318/v1/traces"),
  variable: "OTEL_EXPORTER_OTLP_ENDPOINT",
  interval: Duration.seconds(1)
}

const settings: TelemetrySettings = {
  traces: to,
  metrics: undefined,
  protocol: "http/json",
  headers: undefined,
  compression: "none",
  timeout: Duration.seconds(10),
  serviceName: "ampsync",
  attributes: {},
  sampledRatio: 1
}

type Answer = Effect.Effect<number, HttpClientError.HttpClientError>

/** An exporter of traces in batches of two over a client whose answers a test decides, by the number of the request. */
const exporting = Effect.fnUntraced(function*(
  answer: (request: number, sent: HttpClientRequest.HttpClientRequest) => Answer,
  changed: Partial<TelemetrySettings> = {}
) {
  const { layer: logging, lines } = recordedLog()
  let requests = 0
  const client = HttpClient.make((request) =>
    Effect.map(
      Effect.suspend(() => answer(requests++, request)),
      (status) => HttpClientResponse.fromWeb(request, new Response(null, { status }))
    )
  )
  const services = yield* Layer.build(Layer.mergeAll(
    OtlpExporter.layerFlusher,
    OtlpSerialization.layerJson,
    Layer.succeed(HttpClient.HttpClient, reportingClient("traces", to, { ...settings, ...changed })(client)),
    logging
  ))
  const tracer = yield* Effect.provideContext(
    OtlpTracer.make({
      url: to.url.href,
      resource: { serviceName: "ampsync", serviceVersion: "1" },
      exportInterval: to.interval,
      maxBatchSize: 2,
      shutdownTimeout: 0
    }),
    services
  )
  return {
    lines: () => lines.filter((line) => line.includes("export")),
    requests: () => requests,
    span: Effect.andThen(Effect.sync(() => end(tracer)), TestClock.adjust(0))
  }
})

const end = (tracer: Tracer.Tracer) =>
  tracer.span({
    name: "chunk",
    parent: Option.none(),
    annotations: Context.empty(),
    links: [],
    startTime: 0n,
    kind: "internal",
    root: true,
    sampled: true
  }).end(1n, Exit.void)

const seconds = (count: number) => Effect.repeat(TestClock.adjust("1 second"), { times: count - 1 })

const refused = (request: HttpClientRequest.HttpClientRequest) =>
  Effect.fail(
    new HttpClientError.HttpClientError({
      reason: new HttpClientError.TransportError({ request, cause: new Error("connect ECONNREFUSED") })
    })
  )

const FAILED =
  "Cannot export traces to http://collector.test:4318/v1/traces: connect ECONNREFUSED; check OTEL_EXPORTER_OTLP_ENDPOINT. " +
  "They are dropped until an export succeeds; it is tried every minute"

describe("a failure of the export", () => {
  it.effect("is logged once where the exporter gives up, and once when an export succeeds again", () =>
    Effect.gen(function*() {
      const it = yield* exporting((request, sent) => request < 8 ? refused(sent) : Effect.succeed(200))
      yield* it.span
      yield* seconds(4)
      assert.deepStrictEqual(it.lines(), [FAILED])
      for (
        const expected of [[FAILED], [
          FAILED,
          "The export of traces to http://collector.test:4318/v1/traces works again"
        ]]
      ) {
        yield* seconds(62)
        yield* it.span
        yield* seconds(5)
        assert.deepStrictEqual(it.lines(), expected)
      }
      assert.strictEqual(it.requests(), 9)
    }))

  it.effect("that passes is not logged", () =>
    Effect.gen(function*() {
      const it = yield* exporting((request) => Effect.succeed(request < 3 ? 503 : 200))
      yield* it.span
      yield* seconds(10)
      assert.strictEqual(it.requests(), 4)
      assert.deepStrictEqual(it.lines(), [])
    }))

  it.effect.each(
    [
      [401, "OTEL_EXPORTER_OTLP_HEADERS"],
      [404, "OTEL_EXPORTER_OTLP_ENDPOINT"],
      [415, "OTEL_EXPORTER_OTLP_ENDPOINT and OTEL_EXPORTER_OTLP_PROTOCOL"]
    ] as const
  )("by status %i is not tried again, and names %s", ([status, variable]) =>
    Effect.gen(function*() {
      const it = yield* exporting(() => Effect.succeed(status))
      yield* it.span
      yield* seconds(10)
      assert.strictEqual(it.requests(), 1)
      assert.lengthOf(it.lines(), 1)
      assert.include(it.lines()[0], `: HTTP ${status}; check ${variable}. `)
    }))

  it.effect("I8 is also that four exports wait for an answer: what comes then is dropped", () =>
    Effect.gen(function*() {
      const it = yield* exporting(() => Effect.never)
      for (let spans = 0; spans < 30; spans += 1) yield* it.span
      assert.strictEqual(it.requests(), 4)
      assert.lengthOf(it.lines(), 1)
      assert.include(
        it.lines()[0],
        ": 4 exports wait for an answer already; check the collector, or lower OTEL_TRACES_SAMPLER_ARG. "
      )
    }))
})

describe("the headers of an export", () => {
  it.effect("are read again each time; a file that cannot be read is named and nothing is sent", () =>
    Effect.gen(function*() {
      const sent: Array<string | undefined> = []
      let key: string | undefined = "first"
      const read = Effect.suspend(() =>
        key === undefined
          ? Effect.fail(
            new SecretError({ variable: "OTEL_EXPORTER_OTLP_HEADERS_FILE", reason: "names a file that is empty" })
          )
          : Effect.succeed(Redacted.make({ "api-key": key }))
      )
      const it = yield* exporting(
        (_, request) => Effect.sync(() => (sent.push(request.headers["api-key"]), 200)),
        { headers: { variable: "OTEL_EXPORTER_OTLP_HEADERS_FILE", mayChange: true, read } }
      )
      for (const next of ["first", "second", undefined]) {
        key = next
        yield* it.span
        yield* seconds(2)
      }
      assert.deepStrictEqual(sent, ["first", "second"])
      assert.lengthOf(it.lines(), 1)
      assert.include(
        it.lines()[0],
        "OTEL_EXPORTER_OTLP_HEADERS_FILE names a file that is empty; check OTEL_EXPORTER_OTLP_HEADERS_FILE. "
      )
    }))
})
