import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Layer, Option, Redacted, Result } from "effect"
import { FetchHttpClient } from "effect/http"
import { TestClock } from "effect/testing"
import { createServer, type Server, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { type DatasetReference, parseDatasetReference } from "../../src/domain/Dataset.ts"
import { decodeManifest } from "../../src/domain/Manifest.ts"
import { layer } from "../../src/layers/AdminApi.ts"
import { layerFrom } from "../../src/layers/Config.ts"
import { AdminApi, AdminApiError } from "../../src/services/AdminApi.ts"

/** A JSON document, or what a server does with the socket. */
type Reply = { readonly status?: number; readonly json: unknown } | { readonly raw: (response: ServerResponse) => void }
type Routes = Readonly<Record<string, Reply | undefined>>

interface Recorded {
  readonly url: string
  readonly paths: Array<string>
  readonly authorization: Array<string | undefined>
}

const ok = (json: unknown): Reply => ({ json })
const refused = (status: number, code: string, message: string): Reply => ({
  status,
  json: { error_code: code, error_message: message }
})
const text = (status: number, body: string): Reply => ({ raw: (response) => response.writeHead(status).end(body) })

/** A HTTP server that answers what `routes` has, and else a 404 without a document, as the real one does. */
const serverOf = (routes: Routes, fallback: Reply = text(404, "")) =>
  Effect.acquireRelease(
    Effect.promise(() =>
      new Promise<{ readonly server: Server; readonly recorded: Recorded }>((resolve) => {
        const paths: Array<string> = []
        const authorization: Array<string | undefined> = []
        const server = createServer((request, response) => {
          const path = request.url ?? ""
          paths.push(path)
          authorization.push(request.headers.authorization)
          const reply = routes[path] ?? fallback
          if ("raw" in reply) return reply.raw(response)
          response.writeHead(reply.status ?? 200, { "content-type": "application/json" }).end(JSON.stringify(reply.json))
        })
        server.listen(0, "127.0.0.1", () => {
          const { port } = server.address() as AddressInfo
          resolve({ server, recorded: { url: `http://127.0.0.1:${port}`, paths, authorization } })
        })
      })
    ),
    ({ server }) =>
      Effect.promise(() =>
        new Promise<void>((resolve) => {
          server.close(() => resolve())
          server.closeAllConnections()
        })
      )
  ).pipe(Effect.map(({ recorded }) => recorded))

const apiAt = (url: string, token?: string) =>
  layer.pipe(
    Layer.provide(layerFrom({
      DATASET_MANIFEST: "package.json",
      DATABASE_URL: "postgresql://me@h/db",
      AMP_ADMIN_API_ADDR: url,
      AMP_AUTH_TOKEN: token === undefined ? undefined : Redacted.make(token)
    })),
    Layer.provide(FetchHttpClient.layer)
  )

const reference = (name: string): DatasetReference => Result.getOrThrow(parseDatasetReference(name))

const datasetAt = (url: string, name: string, token?: string) =>
  Effect.flatMap(AdminApi, (api) => api.dataset(reference(name))).pipe(Effect.provide(apiAt(url, token)))

const dataset = Effect.fnUntraced(function*(routes: Routes, name: string) {
  return yield* datasetAt((yield* serverOf(routes)).url, name)
})

const failing = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.flip(effect), (error) => {
    assert.instanceOf(error, AdminApiError)
    return error as AdminApiError
  })

const field = (name: string, type: unknown) => ({ name, type, nullable: false })
const hash32 = { FixedSizeBinary: 32 }
const blockFields = [
  field("_block_num", "UInt64"),
  field("block_num", "UInt64"),
  field("timestamp", { Timestamp: ["Nanosecond", "+00:00"] }),
  field("hash", hash32)
]

const nozzleTable = (name: string, network: string, fields: ReadonlyArray<unknown> = blockFields) => ({
  name,
  network,
  schema: { arrow: { fields } }
})

const nozzle: Routes = {
  "/datasets/example/versions?limit=1000": ok({
    versions: ["0.2.10", "0.2.1-LTcyNjgz", "0.2.1-LTEwMDAw", "0.2.0", "0.1.0"],
    next_cursor: "0.1.0"
  }),
  "/datasets/example/versions/0.2.10/schema": ok({ name: "example", version: "0.2.10", tables: [] }),
  "/datasets/example/versions/0.2.0/schema": ok({ name: "example", version: "0.2.0", tables: [] }),
  "/datasets/example/versions/0.2.1-LTcyNjgz/schema": ok({
    name: "example",
    version: "0.2.1-LTcyNjgz",
    tables: [nozzleTable("blocks", "anvil")]
  }),
  "/datasets/anvil/versions?limit=1000": ok({ versions: ["0.1.0"], next_cursor: "0.1.0" }),
  "/datasets/anvil/versions/0.1.0/schema": ok({
    name: "anvil",
    version: "0.1.0",
    tables: [nozzleTable("blocks", "anvil"), nozzleTable("logs", "anvil")]
  }),
  "/datasets/unknown/versions?limit=1000": ok({ versions: [] })
}

const hash = "cd".repeat(32)

const ampVersions = (name: string, versions: ReadonlyArray<string>) =>
  ok({
    namespace: "_",
    name,
    versions: versions.map((version) => ({ version, manifest_hash: hash, created_at: "x", updated_at: "x" })),
    special_tags: versions[0] === undefined ? {} : { latest: versions[0], dev: hash }
  })

const rawManifest = ok({
  kind: "evm-rpc",
  network: "anvil",
  start_block: 0,
  finalized_blocks_only: false,
  tables: {
    blocks: { schema: { arrow: { fields: blockFields.slice(1) } }, network: "anvil" },
    logs: { schema: { arrow: { fields: [field("block_num", "UInt64")] } } }
  }
})

const derivedManifest = (dependencies: Readonly<Record<string, string>>, fields: ReadonlyArray<unknown> = blockFields) =>
  ok({
    kind: "manifest",
    dependencies,
    tables: { blocks: { input: { sql: "SELECT 1" }, schema: { arrow: { fields } } } },
    functions: {}
  })

const amp: Routes = {
  "/datasets/_/example/versions": ampVersions("example", ["0.2.10", "0.2.0"]),
  "/datasets/_/example/versions/0.2.10/manifest": derivedManifest({ anvil: "_/anvil@0.0.1" }),
  "/datasets/_/example/versions/0.2.0/manifest": derivedManifest({}),
  [`/datasets/_/example/versions/${hash}/manifest`]: derivedManifest({}),
  "/datasets/_/anvil/versions": ampVersions("anvil", ["0.0.2", "0.0.1"]),
  "/datasets/_/anvil/versions/0.0.1/manifest": rawManifest,
  "/datasets/_/anvil/versions/0.0.2/manifest": rawManifest,
  "/datasets/_/unknown/versions": ampVersions("unknown", []),
  "/datasets/_/untagged/versions": ok({ namespace: "_", name: "untagged", versions: [], special_tags: { dev: hash } }),
  [`/datasets/_/untagged/versions/${hash}/manifest`]: rawManifest
}

describe("AdminApi.dataset", () => {
  it.live("reads the tables of a dataset from a nozzle server", () =>
    Effect.gen(function*() {
      const server = yield* serverOf(nozzle)
      const info = yield* datasetAt(server.url, "anvil@0.1.0")
      assert.deepStrictEqual([info.dialect, info.namespace, info.name, info.version], ["nozzle", "_", "anvil", "0.1.0"])
      assert.deepStrictEqual(info.tables.map((table) => [table.name, table.network]), [["blocks", "anvil"], ["logs", "anvil"]])
      assert.deepStrictEqual(info.tables[0]?.schema?.fields[3], {
        name: "hash",
        type: { kind: "fixedSizeBinary", width: 32 },
        nullable: false
      })
      assert.deepStrictEqual(server.paths, [
        "/datasets/_/anvil/versions",
        "/datasets/anvil/versions?limit=1000",
        "/datasets/anvil/versions/0.1.0/schema"
      ])
    }))

  it.live("reads the tables of a dataset from an amp server", () =>
    Effect.gen(function*() {
      const info = yield* dataset(amp, "anvil@0.0.1")
      assert.deepStrictEqual([info.dialect, info.namespace, info.name, info.version], ["amp", "_", "anvil", "0.0.1"])
      assert.deepStrictEqual(info.tables.map((table) => [table.name, table.network, table.schema?.fields.length]), [
        ["blocks", "anvil", 3],
        ["logs", "anvil", 1]
      ])
      const derived = yield* dataset(amp, "example")
      assert.deepStrictEqual(derived.tables.map((table) => [table.name, table.network]), [["blocks", undefined]])
    }))

  it.live("takes the newest publication of exactly the version that is asked for, never of one that begins like it", () =>
    Effect.gen(function*() {
      const version = (name: string) => Effect.map(dataset(nozzle, name), (info) => info.version)
      assert.strictEqual(yield* version("example@0.2.1"), "0.2.1-LTcyNjgz")
      assert.strictEqual(yield* version("example@0.2.0"), "0.2.0")
      assert.strictEqual(yield* version("example"), "0.2.10")
      const error = yield* failing(dataset(nozzle, "example@0.1.1"))
      assert.deepStrictEqual([error.reason, error.retryable], ["VersionNotFound", true])
      assert.include(error.message, "available: 0.2.10, 0.2.1-LTcyNjgz, 0.2.1-LTEwMDAw, 0.2.0, 0.1.0")
      const only10 = { "/datasets/example/versions?limit=1000": ok({ versions: ["1.0.10", "1.0.10-x"] }) }
      assert.strictEqual((yield* failing(dataset(only10, "example@1.0.1"))).reason, "VersionNotFound")
    }))

  it.live("resolves a revision of an amp server by name, tag or hash", () =>
    Effect.gen(function*() {
      const version = (name: string) => Effect.map(dataset(amp, name), (info) => info.version)
      assert.strictEqual(yield* version("example@0.2.0"), "0.2.0")
      assert.strictEqual(yield* version("example"), "0.2.10")
      assert.strictEqual(yield* version("example@latest"), "0.2.10")
      assert.strictEqual(yield* version("example@dev"), hash)
      assert.strictEqual(yield* version(`example@${hash}`), hash)
      assert.strictEqual(yield* version("untagged"), hash)
      assert.strictEqual((yield* failing(dataset(amp, "example@0.2.1"))).reason, "VersionNotFound")
    }))

  it.live("reads all pages of the versions", () =>
    Effect.gen(function*() {
      const page = Array.from({ length: 1000 }, (_, index) => `0.${2000 - index}.0`)
      const info = yield* dataset({
        ...nozzle,
        "/datasets/example/versions?limit=1000": ok({ versions: page, next_cursor: "0.1001.0" }),
        "/datasets/example/versions?limit=1000&last_version=0.1001.0": ok({ versions: ["0.2.0"], next_cursor: "0.2.0" })
      }, "example@0.2.0")
      assert.strictEqual(info.version, "0.2.0")
    }))

  it.live("lists tables without schemas on a nozzle server that has no route for them", () =>
    Effect.gen(function*() {
      const info = yield* dataset({
        "/datasets/anvil/versions?limit=1000": ok({ versions: ["0.1.0"] }),
        "/datasets/anvil/versions/0.1.0": ok({
          name: "anvil",
          version: "0.1.0",
          kind: "evm-rpc",
          tables: [{ name: "blocks", active_location: "s3://x", network: "anvil" }]
        })
      }, "anvil")
      assert.deepStrictEqual(info.tables, [{ name: "blocks", network: "anvil", schema: undefined }])
    }))

  it.live("leaves the schema out where it has a type that is not known", () =>
    Effect.gen(function*() {
      const info = yield* dataset({
        ...nozzle,
        "/datasets/anvil/versions/0.1.0/schema": ok({
          tables: [nozzleTable("odd", "anvil", [field("x", "Quaternion")]), nozzleTable("blocks", "anvil")]
        })
      }, "anvil")
      assert.deepStrictEqual(info.tables.map((table) => table.schema === undefined), [true, false])
    }))

  it.live("says that a dataset is not there, and that it may still come", () =>
    Effect.gen(function*() {
      for (const routes of [amp, nozzle]) {
        const error = yield* failing(dataset(routes, "unknown"))
        assert.deepStrictEqual([error.reason, error.retryable], ["DatasetNotFound", true])
        assert.include(error.message, "dataset \"_/unknown\"")
      }
      const vanished = { ...amp, "/datasets/_/anvil/versions/0.0.2/manifest": refused(404, "MANIFEST_NOT_FOUND", "gone") }
      const error = yield* failing(dataset(vanished, "anvil"))
      assert.deepStrictEqual([error.reason, error.status, error.code, error.retryable], [
        "DatasetNotFound",
        404,
        "MANIFEST_NOT_FOUND",
        true
      ])
    }))

  it.live("asks both generations anew for every question", () =>
    Effect.gen(function*() {
      const server = yield* serverOf(nozzle)
      yield* Effect.gen(function*() {
        const api = yield* AdminApi
        yield* api.dataset(reference("anvil"))
        yield* api.dataset(reference("anvil"))
      }).pipe(Effect.provide(apiAt(server.url)))
      assert.strictEqual(server.paths.filter((path) => path === "/datasets/_/anvil/versions").length, 2)
    }))

  it.live("sends the token as a bearer token, and none where there is none", () =>
    Effect.gen(function*() {
      const server = yield* serverOf(amp)
      yield* datasetAt(server.url, "anvil", "t0ken")
      yield* datasetAt(server.url, "anvil")
      assert.deepStrictEqual(server.authorization, ["Bearer t0ken", "Bearer t0ken", undefined, undefined])
    }))
})

describe("failures of the Admin API", () => {
  it.live("are retryable where the next answer may be another one", () =>
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
      assert.match(error.message, /dataset "_\/anvil@0\.1\.0": x+\.\.\. \(HTTP 500 STORE_ERROR\)$/)
    }))

  it.live("name the address that nobody answers at, or that hangs up", () =>
    Effect.gen(function*() {
      const closed = yield* Effect.scoped(Effect.map(serverOf({}), ({ url }) => url))
      const error = yield* failing(datasetAt(closed, "anvil"))
      assert.deepStrictEqual([error.reason, error.retryable], ["Unreachable", true])
      assert.include(error.message, closed)
      assert.include(error.message, "ECONNREFUSED")
      const server = yield* serverOf({}, { raw: (response) => response.destroy() })
      assert.strictEqual((yield* failing(datasetAt(server.url, "anvil"))).reason, "Unreachable")
    }))

  it.live("I7 never hold the token", () =>
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

describe("AdminApi.blocksTable", () => {
  const manifestOf = (config: object) =>
    Result.getOrThrow(decodeManifest({ name: "example", tables: { t: { sql: "SELECT 1" } }, ...config }))

  const blocks = Effect.fnUntraced(function*(routes: Routes, config: object, network = "anvil") {
    const server = yield* serverOf(routes)
    const found = yield* Effect.flatMap(AdminApi, (api) => api.blocksTable(manifestOf(config), network)).pipe(
      Effect.provide(apiAt(server.url))
    )
    return Option.getOrUndefined(found)
  })

  const first = { version: "0.2.1", dependencies: { anvil: { owner: "graphops", name: "anvil", version: "0.1.0" } } }

  it.live("is found through the dependencies of the config, in the dialect of the server", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* blocks(nozzle, first), "anvil__0_1_0.blocks")
      assert.strictEqual(yield* blocks(nozzle, { dependencies: { anvil: "_/anvil" } }), "anvil.blocks")
      assert.strictEqual(yield* blocks(amp, { dependencies: { anvil: "_/anvil@0.0.1" } }), "\"_/anvil@0.0.1\".blocks")
    }))

  it.live("is found with a config of the first era on an amp server, whatever owner and version it names", () =>
    Effect.gen(function*() {
      const routes = { ...amp, "/datasets/graphops/anvil/versions": ampVersions("anvil", []) }
      assert.strictEqual(yield* blocks(routes, { dependencies: first.dependencies }), "\"_/anvil@0.0.2\".blocks")
    }))

  it.live("is found through what the registered manifest builds on", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* blocks(amp, {}), "\"_/anvil@0.0.1\".blocks")
    }))

  it.live("is not a table of another network, or one that has no hashes", () =>
    Effect.gen(function*() {
      assert.isUndefined(yield* blocks(nozzle, first, "mainnet"))
      assert.isUndefined(yield* blocks(amp, {}, "mainnet"))
      const odd = {
        "/datasets/example/versions?limit=1000": ok({ versions: ["0.2.1"] }),
        "/datasets/example/versions/0.2.1/schema": ok({ tables: [nozzleTable("blocks", "anvil", [field("n", "Int64")])] })
      }
      assert.isUndefined(yield* blocks(odd, {}))
    }))

  it.live("is the dataset's own where nothing else has one", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* blocks(nozzle, { version: "0.2.1" }), "\"example__0_2_1-LTcyNjgz\".blocks")
    }))

  it.live("ends where datasets depend on each other, and says nothing of dependencies that are gone", () =>
    Effect.gen(function*() {
      const circle: Routes = {
        "/datasets/_/example/versions": ampVersions("example", ["1.0.0"]),
        "/datasets/_/example/versions/1.0.0/manifest": derivedManifest({ a: "_/other@1.0.0", b: "_/gone@1.0.0" }),
        "/datasets/_/other/versions": ampVersions("other", ["1.0.0"]),
        "/datasets/_/other/versions/1.0.0/manifest": derivedManifest({ a: "_/example@1.0.0" }),
        "/datasets/_/gone/versions": ampVersions("gone", [])
      }
      assert.isUndefined(yield* blocks(circle, {}))
    }))

  it.live("is not known, rather than absent, while the server is in trouble", () =>
    Effect.gen(function*() {
      const error = yield* failing(blocks({ "/datasets/_/anvil/versions": text(503, "") }, { dependencies: { anvil: "anvil" } }))
      assert.deepStrictEqual([error.operation, error.reason, error.retryable], ["blocksTable", "Unavailable", true])
    }))
})
