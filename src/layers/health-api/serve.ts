/** The HTTP server of the health API; loaded only where it is wanted, because a start should not wait for it. */
import { NodeHttpServer } from "@effect/platform-node"
import { Context, Effect, Layer } from "effect"
import { HttpRouter, HttpServer } from "effect/http"
import { HttpApiBuilder, HttpApiMiddleware } from "effect/http-api"
import { PrometheusMetrics } from "effect/observability"
import { createServer } from "node:http"
import { HealthApi, QueryErrors } from "../../services/HealthApi.ts"
import { SyncStatus } from "../../services/SyncStatus.ts"
import { makeAnswers } from "./answers.ts"
import { pageHandlers } from "./pageHandlers.ts"

/** Probes are few and short: these bound what anybody else can hold open (I4). */
const LIMITS = {
  maxConnections: 256,
  requestTimeout: 5_000,
  headersTimeout: 5_000,
  connectionsCheckingInterval: 1_000,
  /** Event streams send every five seconds. Node closes a connection after this or, with bytes that nobody takes, twice this. */
  silenceTimeout: 15_000
}

const handlers = HttpApiBuilder.group(
  HealthApi,
  "probes",
  Effect.fnUntraced(function*(handlers) {
    const { isReady, notReady, report } = makeAnswers(yield* SyncStatus)
    // The registry is that of the program, not of a request.
    const context = yield* Effect.context<never>()
    return handlers.handleAll({
      livez: () => Effect.succeed({ status: "alive" } as const),
      healthz: () => Effect.map(isReady, (ready) => ({ status: "alive", ready }) as const),
      readyz: Effect.fnUntraced(function*({ query: { max_lag_blocks: blocks, max_lag_seconds: seconds } }) {
        const problem = yield* notReady({ blocks, seconds })
        return problem === undefined ? { ready: true } as const : yield* Effect.fail(problem)
      }),
      status: () => report,
      metrics: () => Effect.sync(() => PrometheusMetrics.formatUnsafe(context))
    })
  })
)

/** The schema's words have the name of the parameter, and are about properties. */
const parameterProblem = (words: string): string => {
  const name = /at \["([^"]*)"\]/.exec(words)?.[1]
  if (name === undefined) return "has parameters that cannot be read"
  return words.includes("excess property")
    ? `has no parameter "${name}"`
    : `has another value of ${name} than it allows`
}

const queryErrors = HttpApiMiddleware.layerSchemaErrorTransform(
  QueryErrors,
  (error, { endpoint }) =>
    error.kind === "Query"
      ? Effect.fail({
        message: `${endpoint.path} ${parameterProblem(error.cause.message)}. ` +
          "Allowed: max_lag_blocks and max_lag_seconds, each at most once, a whole number of at least 0."
      })
      : Effect.fail(error)
)

const routes = HttpApiBuilder.layer(HealthApi, { openapiPath: "/openapi.json" }).pipe(
  Layer.provide([Layer.provide(handlers, queryErrors), pageHandlers])
)

/** Listens on `host` and `port`; a stop closes every connection, also one that its client keeps open. */
const listening = (host: string, port: number) =>
  Effect.gen(function*() {
    const { maxConnections, silenceTimeout, ...options } = LIMITS
    const node = createServer(options)
    node.maxConnections = maxConnections
    node.timeout = silenceTimeout
    // Without a listener a connection that cannot be accepted, as with too many open files, would end the process.
    node.on("error", () => {})
    const server = yield* NodeHttpServer.make(() => node, { host, port, disablePreemptiveShutdown: true })
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        node.close()
        node.closeAllConnections()
      })
    )
    return server
  })

/** Serves the API for as long as the layer lives; gives the address that it listens on, as `host:port`. */
export const serve = (host: string, port: number) =>
  Effect.gen(function*() {
    const server = yield* Layer.build(
      Layer.provideMerge(
        HttpRouter.serve(routes, { disableLogger: true, disableListenLog: true }),
        Layer.merge(Layer.effect(HttpServer.HttpServer, listening(host, port)), NodeHttpServer.layerHttpServices)
      )
    )
    return Context.get(server, HttpServer.HttpServer).address
  })
