/** HTTP proxies that the environment names: which addresses go through one, and the message when it fails. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { createServer } from "node:http"
import { type AddressInfo, connect, type Socket } from "node:net"
import { mayUseProxy } from "../../../src/layers/flight-client/proxy.ts"
import { startSimulator } from "../../../src/simulator/Simulator.ts"
import { clientOf, open, SQL } from "./client.ts"

const NAMES = ["grpc_proxy", "https_proxy", "http_proxy", "no_grpc_proxy", "no_proxy"]

/** Sets variables of this process until the scope closes; all that are not named are unset. */
const environment = (values: Readonly<Record<string, string>>) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const before = NAMES.map((name) => [name, process.env[name]] as const)
      for (const name of NAMES) delete process.env[name]
      Object.assign(process.env, values)
      return before
    }),
    (before) =>
      Effect.sync(() => {
        for (const [name, value] of before) {
          if (value === undefined) delete process.env[name]
          else process.env[name] = value
        }
      })
  )

/** A proxy that connects every request to `port`, or refuses; returns its own port and the requested addresses. */
const httpProxy = (port: number | undefined) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly port: number; readonly asked: Array<string>; readonly close: () => void }>((resume) => {
      const asked: Array<string> = []
      const sockets = new Set<Socket>()
      const server = createServer().on("connect", (request, client: Socket) => {
        asked.push(String(request.url))
        sockets.add(client.on("error", () => client.destroy()))
        if (port === undefined) return client.end("HTTP/1.1 403 Forbidden\r\n\r\n")
        const upstream = connect(port, "127.0.0.1", () => {
          client.write("HTTP/1.1 200 OK\r\n\r\n")
          client.pipe(upstream).pipe(client)
        })
        sockets.add(upstream.on("error", () => upstream.destroy()))
      })
      server.listen(0, "127.0.0.1", () =>
        resume(Effect.succeed({
          port: (server.address() as AddressInfo).port,
          asked,
          close: () => {
            server.close()
            for (const socket of sockets) socket.destroy()
          }
        })))
    }),
    ({ close }) => Effect.sync(close)
  )

const dead = "http://127.0.0.1:1"

describe("an HTTP proxy that the environment names", () => {
  it.live("is not used for an address of the loopback", () =>
    Effect.gen(function*() {
      yield* environment({ grpc_proxy: dead, https_proxy: dead, http_proxy: dead })
      const { flightUrl } = yield* startSimulator({ dialect: "amp", blocks: 5 })
      for (const url of [flightUrl, flightUrl.replace("127.0.0.1", "localhost")]) {
        assert.isAbove((yield* (yield* clientOf(url)).schema(SQL)).length, 0)
      }
    }))

  it.live("is used for any other address where grpc_proxy names it", () =>
    Effect.gen(function*() {
      const { flightUrl } = yield* startSimulator({ dialect: "amp", blocks: 5 })
      const proxy = yield* httpProxy(Number(new URL(flightUrl).port))
      yield* environment({ grpc_proxy: `http://127.0.0.1:${proxy.port}` })
      const client = yield* clientOf("http://amp.invalid:1602")
      assert.lengthOf(yield* Stream.runCollect(Stream.take(open(client), 2)), 2)
      assert.deepStrictEqual(proxy.asked, ["amp.invalid:1602"])
    }))

  it.live("is named with its variable, and without its credentials, where it does not connect", () =>
    Effect.gen(function*() {
      const refusing = yield* httpProxy(undefined)
      const cases = [
        ["grpc_proxy", `127.0.0.1:${refusing.port}`, "http://amp.invalid:1602"],
        ["https_proxy", "127.0.0.1:1", "https://amp.invalid"]
      ] as const
      for (const [variable, address, url] of cases) {
        const error = yield* Effect.scoped(Effect.gen(function*() {
          yield* environment({ [variable]: `http://me:s3cret@${address}` })
          return yield* Effect.flip((yield* clientOf(url)).schema(SQL))
        }))
        assert.deepInclude(error, { status: "UNAVAILABLE", retryable: true })
        assert.include(
          error.message,
          `The proxy did not connect (at ${url}, which AMP_FLIGHT_ADDR names, through the proxy ${address} of ${variable})`
        )
        assert.notInclude(error.message, "undefined")
        assert.notInclude(error.message, "s3cret")
      }
    }))

  const cases: ReadonlyArray<readonly [string, Readonly<Record<string, string>>, boolean]> = [
    ["https://amp.example", { https_proxy: dead }, true],
    ["https://amp.example", { https_proxy: dead, no_proxy: "*" }, false],
    ["https://127.0.0.9:443", { https_proxy: dead }, false],
    ["https://[::1]:443", { https_proxy: dead }, false],
    ["https://amp.localhost", { https_proxy: dead }, false],
    ["http://amp:1602", { https_proxy: dead, http_proxy: dead }, false],
    ["http://amp:1602", { grpc_proxy: dead }, true],
    ["http://localhost:1602", { grpc_proxy: dead }, false]
  ]
  it.each(cases)("may be asked for %s with %j: %s", (url, variables, expected) => {
    assert.strictEqual(mayUseProxy(new URL(url), variables), expected)
  })
})
