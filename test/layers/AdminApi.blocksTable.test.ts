import { assert, describe, it } from "@effect/vitest"
import { Effect, Option, Result } from "effect"
import { decodeManifest } from "../../src/domain/manifest/Manifest.ts"
import { AdminApi } from "../../src/services/AdminApi.ts"
import { amp, ampVersions, derivedManifest, field, nozzle, nozzleTable } from "./admin-api/documents.ts"
import { apiAt, failing, ok, type Routes, serverOf, text } from "./admin-api/server.ts"

const manifestOf = (config: object) =>
  Result.getOrThrow(decodeManifest({ name: "example", tables: { t: { sql: "SELECT 1" } }, ...config }))

describe("AdminApi.blocksTable", () => {
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

  it.live("is found with a config of the first ampsync on an amp server, with any owner and version", () =>
    Effect.gen(function*() {
      const routes = { ...amp, "/datasets/graphops/anvil/versions": ampVersions("anvil", []) }
      assert.strictEqual(yield* blocks(routes, { dependencies: first.dependencies }), "\"_/anvil@0.0.2\".blocks")
    }))

  it.live("is found through the dependencies of the registered manifest", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* blocks(amp, {}), "\"_/anvil@0.0.1\".blocks")
    }))

  it.live("is not a table of another network, or one that has no hashes", () =>
    Effect.gen(function*() {
      assert.isUndefined(yield* blocks(nozzle, first, "mainnet"))
      assert.isUndefined(yield* blocks(amp, {}, "mainnet"))
      const odd = {
        "/datasets/example/versions?limit=1000": ok({ versions: ["0.2.1"] }),
        "/datasets/example/versions/0.2.1/schema": ok({
          tables: [nozzleTable("blocks", "anvil", [field("n", "Int64")])]
        })
      }
      assert.isUndefined(yield* blocks(odd, {}))
    }))

  it.live("is the dataset's own where nothing else has one", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* blocks(nozzle, { version: "0.2.1" }), "\"example__0_2_1-LTcyNjgz\".blocks")
    }))

  it.live("is searched once per dataset where datasets depend on each other, and missing dependencies are skipped", () =>
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

  it.live("is a failure, rather than absent, while the server fails", () =>
    Effect.gen(function*() {
      const error = yield* failing(
        blocks({ "/datasets/_/anvil/versions": text(503, "") }, { dependencies: { anvil: "anvil" } })
      )
      assert.deepStrictEqual([error.operation, error.reason, error.retryable], ["blocksTable", "Unavailable", true])
    }))
})
