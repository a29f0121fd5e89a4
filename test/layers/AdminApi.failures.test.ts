import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { writeFile } from "node:fs/promises"
import { join } from "node:path"
import { AdminApi } from "../../src/services/AdminApi.ts"
import { startSimulator } from "../../src/simulator/Simulator.ts"
import { temporaryDirectory } from "../support/temporaryDirectory.ts"
import { apiAt, datasetAt, failing, ok, reference, refused, type Reply, serverOf, text } from "./admin-api/server.ts"

describe("failures of the Admin API", () => {
  it.live("are retryable where a later request may succeed", () =>
    Effect.gen(function*() {
      const cases = [
        [refused(500, "METADATA_DB_ERROR", "connection lost"), "Unavailable", true],
        [text(502, "<html>Bad Gateway</html>"), "Unavailable", true],
        [text(503, ""), "Unavailable", true],
        [text(429, "slow down"), "Unavailable", true],
        [text(408, ""), "Unavailable", true],
        [text(401, "who are you"), "Unauthorized", false],
        [refused(403, "FORBIDDEN", "no"), "Unauthorized", false],
        [refused(400, "INVALID_PATH", "bad path"), "Rejected", false],
        [text(404, "not here"), "NoSuchRoute", false],
        [text(200, "{\"versions\": ["), "UnexpectedAnswer", true],
        [ok({ hello: 1 }), "UnexpectedAnswer", false]
      ] as const
      for (const [reply, reason, retryable] of cases) {
        const server = yield* serverOf({}, reply)
        const error = yield* failing(datasetAt(server.url, "anvil"))
        assert.deepStrictEqual([error.reason, error.retryable], [reason, retryable], error.message)
      }
    }))

  it.live("keep the server's code and text, at a bounded length", () =>
    Effect.gen(function*() {
      const server = yield* serverOf({}, refused(500, "STORE_ERROR", "x".repeat(5000)))
      const error = yield* failing(datasetAt(server.url, "anvil@0.1.0"))
      assert.deepStrictEqual([error.status, error.code], [500, "STORE_ERROR"])
      assert.isBelow(error.message.length, 600)
      assert.match(error.message, /HTTP 500 STORE_ERROR for dataset "_\/anvil@0\.1\.0": x+\.\.\.$/)
    }))

  it.live("name the address that does not respond or closes the connection", () =>
    Effect.gen(function*() {
      const closed = yield* Effect.scoped(Effect.map(serverOf({}), ({ url }) => url))
      const error = yield* failing(datasetAt(closed, "anvil"))
      assert.deepStrictEqual([error.reason, error.retryable], ["Unreachable", true])
      assert.include(error.message, closed)
      assert.include(error.message, "ECONNREFUSED")
      const server = yield* serverOf({}, { raw: (response) => response.destroy() })
      assert.strictEqual((yield* failing(datasetAt(server.url, "anvil"))).reason, "Unreachable")
    }))

  it.live("name AMP_ADMIN_API_ADDR where the server is no HTTP server", () =>
    Effect.gen(function*() {
      const { flightUrl } = yield* startSimulator({ dialect: "amp", blocks: 5 })
      const error = yield* failing(datasetAt(flightUrl, "anvil"))
      assert.deepStrictEqual([error.reason, error.retryable], ["Unreachable", true])
      assert.include(
        error.detail,
        `what answers at ${flightUrl}, which AMP_ADMIN_API_ADDR names, is not an HTTP/1.1 server, but perhaps Arrow Flight`
      )
      assert.include(error.detail, "check the port in AMP_ADMIN_API_ADDR")
    }))

  it.live("of a token are retryable while it may be replaced in its file, and name its variable", () =>
    Effect.gen(function*() {
      const path = join(yield* temporaryDirectory, "token")
      yield* Effect.promise(() => writeFile(path, "0ld\n"))
      const { adminUrl, faults } = yield* startSimulator({ dialect: "amp", blocks: 5, token: "0ld" })
      const request = Effect.flatMap(AdminApi, (api) => api.dataset(reference("anvil"))).pipe(
        Effect.provide(apiAt(adminUrl, undefined, path))
      )
      yield* request
      faults.token = "n3w"
      const error = yield* failing(request)
      assert.deepStrictEqual([error.reason, error.retryable], ["Unauthorized", true])
      assert.include(error.message, "check AMP_AUTH_TOKEN_FILE")
      yield* Effect.promise(() => writeFile(path, "n3w\n"))
      yield* request
      const wrong = yield* failing(datasetAt(adminUrl, "anvil", "0ld"))
      const missing = yield* failing(datasetAt(adminUrl, "anvil"))
      assert.match(wrong.message, /check AMP_AUTH_TOKEN$/)
      assert.match(missing.message, /set AMP_AUTH_TOKEN$/)
      assert.deepStrictEqual([wrong.retryable, missing.retryable], [false, false])
    }))

  it.live("I7 never contain the token", () =>
    Effect.gen(function*() {
      const server = yield* serverOf({}, text(401, "no"))
      const error = yield* failing(datasetAt(server.url, "anvil", "hunter2"))
      assert.notInclude(error.message + JSON.stringify(error), "hunter2")
    }))

  for (
    const [kind, reply] of [
      ["no answer", { raw: () => undefined }],
      ["half an answer", { raw: (response) => response.writeHead(200).write("{") }]
    ] satisfies ReadonlyArray<readonly [string, Reply]>
  ) {
    it.effect(`come within 10 seconds of a server that gives ${kind}`, () =>
      Effect.gen(function*() {
        const server = yield* serverOf({}, reply)
        const fiber = yield* Effect.forkChild(failing(datasetAt(server.url, "anvil")))
        while (server.paths.length === 0) yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 5)))
        yield* TestClock.adjust(Duration.seconds(10))
        const error = yield* Fiber.join(fiber)
        assert.deepStrictEqual([error.reason, error.retryable], ["Timeout", true])
      }))
  }
})
