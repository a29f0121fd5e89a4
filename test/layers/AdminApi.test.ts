import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { AdminApi } from "../../src/services/AdminApi.ts"
import { startSimulator } from "../../src/simulator/Simulator.ts"
import { amp, field, hash, nozzle, nozzleTable } from "./admin-api/documents.ts"
import {
  apiAt,
  dataset,
  datasetAt,
  failing,
  ok,
  reference,
  refused,
  type Routes,
  serverOf
} from "./admin-api/server.ts"

/** What a reference resolves to. */
const versionOf = (routes: Routes, name: string) => Effect.map(dataset(routes, name), (info) => info.version)

describe("AdminApi.dataset", () => {
  it.live("reads the tables of a dataset from a nozzle server", () =>
    Effect.gen(function*() {
      const server = yield* serverOf(nozzle)
      const info = yield* datasetAt(server.url, "anvil@0.1.0")
      assert.deepStrictEqual([info.dialect, info.namespace, info.name, info.version], ["nozzle", "_", "anvil", "0.1.0"])
      assert.deepStrictEqual(info.tables.map((table) => [table.name, table.network]), [["blocks", "anvil"], [
        "logs",
        "anvil"
      ]])
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

  it.live("resolves a version to its newest publication, never to one of a longer version with the same prefix", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* versionOf(nozzle, "example@0.2.1"), "0.2.1-LTcyNjgz")
      assert.strictEqual(yield* versionOf(nozzle, "example@0.2.0"), "0.2.0")
      assert.strictEqual(yield* versionOf(nozzle, "example"), "0.2.10")
      const error = yield* failing(dataset(nozzle, "example@0.1.1"))
      assert.deepStrictEqual([error.reason, error.retryable], ["VersionNotFound", true])
      assert.include(error.message, "available: 0.2.10, 0.2.1-LTcyNjgz, 0.2.1-LTEwMDAw, 0.2.0, 0.1.0")
      const only10 = { "/datasets/example/versions?limit=1000": ok({ versions: ["1.0.10", "1.0.10-x"] }) }
      assert.strictEqual((yield* failing(dataset(only10, "example@1.0.1"))).reason, "VersionNotFound")
    }))

  it.live("resolves a revision of an amp server by name, tag or hash", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* versionOf(amp, "example@0.2.0"), "0.2.0")
      assert.strictEqual(yield* versionOf(amp, "example"), "0.2.10")
      assert.strictEqual(yield* versionOf(amp, "example@latest"), "0.2.10")
      assert.strictEqual(yield* versionOf(amp, "example@dev"), hash)
      assert.strictEqual(yield* versionOf(amp, `example@${hash}`), hash)
      assert.strictEqual(yield* versionOf(amp, "untagged"), hash)
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

  it.live("leaves the schema out where it has an unknown type", () =>
    Effect.gen(function*() {
      const info = yield* dataset({
        ...nozzle,
        "/datasets/anvil/versions/0.1.0/schema": ok({
          tables: [nozzleTable("odd", "anvil", [field("x", "Quaternion")]), nozzleTable("blocks", "anvil")]
        })
      }, "anvil")
      assert.deepStrictEqual(info.tables.map((table) => table.schema === undefined), [true, false])
    }))

  it.live("reports a dataset that is not published as a retryable failure", () =>
    Effect.gen(function*() {
      for (const routes of [amp, nozzle]) {
        const error = yield* failing(dataset(routes, "unknown"))
        assert.deepStrictEqual([error.reason, error.retryable], ["DatasetNotFound", true])
        assert.include(error.message, "dataset \"_/unknown\"")
      }
      const vanished = {
        ...amp,
        "/datasets/_/anvil/versions/0.0.2/manifest": refused(404, "MANIFEST_NOT_FOUND", "gone")
      }
      const error = yield* failing(dataset(vanished, "anvil"))
      assert.deepStrictEqual([error.reason, error.status, error.code, error.retryable], [
        "DatasetNotFound",
        404,
        "MANIFEST_NOT_FOUND",
        true
      ])
    }))

  it.live("detects the generation of the server for every request", () =>
    Effect.gen(function*() {
      const server = yield* serverOf(nozzle)
      yield* Effect.gen(function*() {
        const api = yield* AdminApi
        yield* api.dataset(reference("anvil"))
        yield* api.dataset(reference("anvil"))
      }).pipe(Effect.provide(apiAt(server.url)))
      assert.strictEqual(server.paths.filter((path) => path === "/datasets/_/anvil/versions").length, 2)
    }))

  it.live("recognises an amp server by its response to a path of the first generation, and retries with its own paths", () =>
    Effect.gen(function*() {
      const invalidPath = refused(400, "INVALID_PATH", "Invalid path parameters: Wrong number of path arguments")
      const [path, flat] = ["/datasets/_/anvil/versions", "/datasets/anvil/versions?limit=1000"]
      // A gateway without its server answers the first request.
      const routes: Record<string, Routes[string]> = {
        ...amp,
        [flat]: invalidPath,
        [path]: {
          raw: (response) => {
            routes[path] = amp[path]
            response.writeHead(404).end()
          }
        }
      }
      assert.strictEqual((yield* dataset(routes, "anvil")).dialect, "amp")
      const away = yield* failing(dataset({ [flat]: invalidPath }, "anvil"))
      assert.deepStrictEqual([away.reason, away.status, away.retryable], ["NoSuchRoute", 404, true])
      assert.include(away.message, "/datasets/_/anvil/versions is not a path of this server")
      // The simulator responds as the real server.
      const simulator = yield* startSimulator({ dialect: "amp", blocks: 5 })
      const response = yield* Effect.promise(() => fetch(simulator.adminUrl + flat))
      const document = (yield* Effect.promise(() => response.json())) as { readonly error_code: string }
      assert.deepStrictEqual([response.status, document.error_code], [400, "INVALID_PATH"])
    }))

  it.live("sends the token as a bearer token, and no header without one", () =>
    Effect.gen(function*() {
      const server = yield* serverOf(amp)
      yield* datasetAt(server.url, "anvil", "t0ken")
      yield* datasetAt(server.url, "anvil")
      assert.deepStrictEqual(server.authorization, ["Bearer t0ken", "Bearer t0ken", undefined, undefined])
    }))
})
