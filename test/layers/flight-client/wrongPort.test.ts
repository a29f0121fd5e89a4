/** A port or a scheme that is not that of Arrow Flight: the message has the address and what to check. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import { readFileSync } from "node:fs"
import { createServer } from "node:http"
import { createSecureServer } from "node:http2"
import { createServer as createTlsServer } from "node:https"
import type { Server } from "node:net"
import { inject } from "vitest"
import { clientOf, SQL } from "./client.ts"
import { serveHttp2 } from "./http2Server.ts"

const pem = (name: string) => readFileSync(new URL(`../../fixtures/tls/${name}`, import.meta.url))
const certificate = () => ({ key: pem("server.key"), cert: pem("server.pem") })

const portOf = (make: () => Server): Effect.Effect<number, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.callback<Server>((resume) => {
        const server = make()
        server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
      }),
      (server) => Effect.sync(() => server.close())
    ),
    (server) => (server.address() as { readonly port: number }).port
  )

const http = portOf(() => createServer((_, response) => response.end("hello")))
const tls = portOf(() => createSecureServer(certificate()))
const https = portOf(() => createTlsServer(certificate()))
const plaintext = Effect.map(serveHttp2({}), (url) => Number(new URL(url).port))
/** A web server or a gateway on HTTP/2 without a Flight server. */
const answering = (status: number) =>
  Effect.map(
    serveHttp2({
      GetFlightInfo: (stream) => {
        stream.respond({ ":status": status, "content-type": "text/html" })
        stream.end("<html></html>")
      }
    }),
    (url) => Number(new URL(url).port)
  )
const postgres = Effect.sync(() => Number(new URL(inject("postgresUrl")).port))

describe("AMP_FLIGHT_ADDR", () => {
  it.live.each(
    [
      ["http to a port with TLS", "http", tls, "try https in AMP_FLIGHT_ADDR"],
      ["https to a port without TLS", "https", plaintext, "try http in AMP_FLIGHT_ADDR"],
      ["http to a web server, such as the Admin API", "http", http, "perhaps the Admin API: check the port"],
      ["https to a web server without TLS", "https", http, "the port answers without TLS"],
      ["https to a web server with TLS", "https", https, "has TLS, but not gRPC: check the port"],
      ["https to an unknown authority", "https", tls, "NODE_EXTRA_CA_CERTS"],
      [
        "a gateway that answers 404",
        "http",
        answering(404),
        "no Arrow Flight server answers there: check AMP_FLIGHT_ADDR"
      ],
      [
        "a gateway that answers 400",
        "http",
        answering(400),
        "no Arrow Flight server answers there: check AMP_FLIGHT_ADDR"
      ],
      [
        "a gateway that answers 301",
        "http",
        answering(301),
        "no Arrow Flight server answers there: check AMP_FLIGHT_ADDR"
      ],
      ["http to PostgreSQL", "http", postgres, "closes the connection"],
      ["https to PostgreSQL", "https", postgres, "check scheme and port in AMP_FLIGHT_ADDR"]
    ] as const
  )(
    "%s fails with the address and what to check, in words that stay the same",
    ([, scheme, listening, advice]) =>
      Effect.gen(function*() {
        const address = `${scheme}://127.0.0.1:${yield* listening}`
        const client = yield* clientOf(address)
        const error = yield* Effect.flip(client.schema(SQL))
        assert.deepInclude(error, { status: "UNAVAILABLE", retryable: true })
        assert.include(error.message, `(at ${address}, which AMP_FLIGHT_ADDR names); `)
        assert.include(error.message, advice)
        // An address in memory or a time would make another reason of every attempt.
        assert.notMatch(error.message, /\n|[0-9A-F]{8}|\d\d:\d\d:\d\d|ssl3_/)
      }),
    30_000
  )
})
