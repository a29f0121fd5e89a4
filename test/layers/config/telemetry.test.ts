import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Redacted } from "effect"
import { errorOf, fromEnvironment, given, linesOf, problemsWith, withBasics } from "./given.ts"

const ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
const telemetryOf = (env: Record<string, string>) => Effect.map(given(env), ({ telemetry }) => telemetry)
const addresses = (env: Record<string, string>) =>
  Effect.map(telemetryOf(env), (telemetry) => [telemetry?.traces?.url.href, telemetry?.metrics?.url.href])

describe("the settings of OpenTelemetry", () => {
  it.effect("are off unless an address is set or an exporter is asked for", () =>
    Effect.gen(function*() {
      assert.isUndefined(yield* telemetryOf({}))
      assert.isUndefined(yield* telemetryOf({ OTEL_SERVICE_NAME: "mine", OTEL_TRACES_EXPORTER: "none" }))
      assert.isUndefined(
        yield* telemetryOf({ [ENDPOINT]: "http://c", OTEL_TRACES_EXPORTER: "none", OTEL_METRICS_EXPORTER: "none" })
      )
      assert.deepStrictEqual(yield* addresses({ OTEL_METRICS_EXPORTER: "otlp" }), [
        undefined,
        "http://localhost:4318/v1/metrics"
      ])
    }))

  it.effect("name the variable of the address, also where it is not set and the default is used", () =>
    Effect.gen(function*() {
      const variable = (env: Record<string, string>) => Effect.map(telemetryOf(env), (it) => it?.traces?.variable)
      assert.strictEqual(yield* variable({ OTEL_TRACES_EXPORTER: "otlp" }), `${ENDPOINT}, which is not set`)
      assert.strictEqual(yield* variable({ [ENDPOINT]: "http://c" }), ENDPOINT)
    }))

  it.effect("put the signals below the common address, and use their own as they are", () =>
    Effect.gen(function*() {
      for (const base of ["https://c.test/otlp", "https://c.test/otlp/"]) {
        assert.deepStrictEqual(yield* addresses({ [ENDPOINT]: base }), [
          "https://c.test/otlp/v1/traces",
          "https://c.test/otlp/v1/metrics"
        ])
      }
      const own = {
        OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "http://t.test/x",
        OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: "http://m.test"
      }
      assert.deepStrictEqual(yield* addresses({ [ENDPOINT]: "http://c", ...own }), [
        "http://t.test/x",
        "http://m.test/"
      ])
    }))

  it.effect("have the defaults of the standard, and names and values may be percent-encoded", () =>
    Effect.gen(function*() {
      const telemetry = (yield* telemetryOf({
        [ENDPOINT]: "http://c",
        OTEL_EXPORTER_OTLP_HEADERS: "api-key=a%2Cb, x-two = 2=2,",
        OTEL_RESOURCE_ATTRIBUTES: "service.name=mine,region=eu%20west"
      }))!
      assert.deepInclude(telemetry, {
        protocol: "http/protobuf",
        timeout: Duration.seconds(10),
        serviceName: "mine",
        attributes: { region: "eu west" },
        sampledRatio: 1
      })
      assert.deepStrictEqual([telemetry.traces!.interval, telemetry.metrics!.interval], [
        Duration.seconds(5),
        Duration.minutes(1)
      ])
      const headers = yield* telemetry.headers!.read
      assert.deepStrictEqual(Redacted.value(headers), { "api-key": "a,b", "x-two": "2=2" })
      assert.notInclude(JSON.stringify(headers) + String(headers), "a,b")
      const named = yield* telemetryOf({
        [ENDPOINT]: "http://c",
        OTEL_SERVICE_NAME: "one",
        OTEL_RESOURCE_ATTRIBUTES: "service.name=two"
      })
      assert.strictEqual(named?.serviceName, "one")
      assert.strictEqual((yield* telemetryOf({ [ENDPOINT]: "http://c" }))?.serviceName, "ampsync")
    }))

  it.effect.each(
    [["always_off", "0.5", 0], ["parentbased_always_on", "0.5", 1], ["traceidratio", "0.25", 0.25], [
      "parentbased_traceidratio",
      "",
      1
    ]] as const
  )("sample by %s with the argument %j", ([sampler, argument, ratio]) =>
    Effect.gen(function*() {
      const telemetry = yield* telemetryOf({
        [ENDPOINT]: "http://c",
        OTEL_TRACES_SAMPLER: sampler,
        OTEL_TRACES_SAMPLER_ARG: argument
      })
      assert.strictEqual(telemetry?.sampledRatio, ratio)
    }))

  it.effect("name every wrong value at once, gRPC with the reason", () =>
    Effect.gen(function*() {
      const wrong = {
        [ENDPOINT]: "collector:4318",
        OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "http://me:hunter2@c",
        OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: "http://c?key=hunter2",
        OTEL_EXPORTER_OTLP_PROTOCOL: "grpc",
        OTEL_RESOURCE_ATTRIBUTES: "region",
        OTEL_TRACES_EXPORTER: "zipkin",
        OTEL_TRACES_SAMPLER: "jaeger_remote",
        OTEL_TRACES_SAMPLER_ARG: "2",
        OTEL_METRIC_EXPORT_INTERVAL: "1m"
      }
      const problems = yield* problemsWith(wrong)
      assert.sameMembers(problems.map(({ variable }) => variable), Object.keys(wrong))
      assert.strictEqual(
        problems.find(({ variable }) => variable === "OTEL_EXPORTER_OTLP_PROTOCOL")?.found,
        "is grpc, which is not supported (collectors take HTTP on port 4318)"
      )
      assert.notInclude(JSON.stringify(problems), "hunter2")
      assert.isUndefined(yield* telemetryOf({ ...wrong, OTEL_SDK_DISABLED: "true" }))
      assert.isUndefined(
        yield* telemetryOf({ OTEL_EXPORTER_OTLP_PROTOCOL: "grpc", OTEL_TRACES_SAMPLER: "jaeger_remote" })
      )
    }))

  it.effect("warn of variables of the standard that have no effect, where exports are asked for", () =>
    Effect.gen(function*() {
      const ignored = { OTEL_EXPORTER_OTLP_TRACES_HEADERS: "key=hunter2", OTEL_EXPORTER_OTLP_CERTIFICATE: "/ca.pem" }
      const warnings = (env: Record<string, string>) =>
        Effect.flatMap(withBasics({ ...ignored, ...env }), (all) => linesOf(fromEnvironment(all)))
      assert.deepStrictEqual(yield* warnings({ [ENDPOINT]: "http://c" }), [
        "Warn The environment variable OTEL_EXPORTER_OTLP_TRACES_HEADERS is ignored; set the variable without TRACES or METRICS, which is for both",
        "Warn The environment variable OTEL_EXPORTER_OTLP_CERTIFICATE is ignored; set NODE_EXTRA_CA_CERTS"
      ])
      assert.deepStrictEqual(yield* warnings({}), [])
      assert.deepStrictEqual(yield* warnings({ [ENDPOINT]: "http://c", OTEL_SDK_DISABLED: "true" }), [])
    }))

  it.effect("I7 repeat nothing of headers that are wrong", () =>
    Effect.gen(function*() {
      for (const headers of ["hunter2", "=hunter2", "key=%hunter2", "key=hunter2%0Ax", "käy=hunter2"]) {
        const error = yield* errorOf(yield* withBasics({ [ENDPOINT]: "http://c", OTEL_EXPORTER_OTLP_HEADERS: headers }))
        assert.deepStrictEqual(error.problems.map(({ variable }) => variable), ["OTEL_EXPORTER_OTLP_HEADERS"])
        assert.notInclude(error.message + JSON.stringify(error), "hunter2")
      }
    }))

  it.effect("do not take other variables of the standard for misspelt ones", () =>
    Effect.gen(function*() {
      const others = ["OTEL_LOGS_EXPORTER", "OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_METRICS_EXEMPLAR_FILTER"]
      for (const name of others) process.env[name] = "none"
      yield* Effect.addFinalizer(() => Effect.sync(() => others.forEach((name) => delete process.env[name])))
      assert.notInclude((yield* linesOf(fromEnvironment(yield* withBasics({})))).join("\n"), "OTEL")
    }))
})
