import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { startSimulator } from "../../src/simulator/Simulator.ts"
import type { Dialect } from "../../src/simulator/tables.ts"

/** Status and JSON of one request; an empty body is undefined. */
const ask = (url: string, body?: unknown) =>
  Effect.promise(async () => {
    const response = await fetch(url, body === undefined ? {} : { method: "POST", body: JSON.stringify(body) })
    const text = await response.text()
    // oxlint-disable-next-line typescript/no-explicit-any -- the JSON of an API has no type
    return { status: response.status, json: text === "" ? undefined : JSON.parse(text) as any }
  })

const admin = (dialect: Dialect) =>
  Effect.map(startSimulator({ dialect, blocks: 3, versionSuffix: "c2Fs" }), ({ adminUrl, faults }) => ({
    faults,
    get: (path: string) => ask(`${adminUrl}${path}`),
    post: (path: string, body: unknown) => ask(`${adminUrl}${path}`, body)
  }))

describe("Admin API of the simulator", () => {
  it.live("nozzle: lists versions newest first, in pages", () =>
    Effect.gen(function*() {
      const { get } = yield* admin("nozzle")
      const all = yield* get("/datasets/example/versions?limit=1000")
      assert.deepStrictEqual(all.json, { versions: ["0.1.0", "0.1.0-c2Fs"], next_cursor: "0.1.0-c2Fs" })
      const page = yield* get("/datasets/example/versions?limit=1")
      assert.deepStrictEqual(page.json, { versions: ["0.1.0"], next_cursor: "0.1.0" })
      const rest = yield* get("/datasets/example/versions?limit=1&last_version=0.1.0")
      assert.deepStrictEqual(rest.json.versions, ["0.1.0-c2Fs"])
      assert.deepStrictEqual(yield* get("/datasets/unknown/versions"), { status: 200, json: { versions: [] } })
    }))

  it.live("nozzle: returns the schema of a version with types in the JSON of Arrow's serde", () =>
    Effect.gen(function*() {
      const { get } = yield* admin("nozzle")
      for (const version of ["0.1.0", "0.1.0-c2Fs"]) {
        const { json, status } = yield* get(`/datasets/example/versions/${version}/schema`)
        assert.strictEqual(status, 200)
        assert.deepStrictEqual([json.name, json.version, json.tables.length], ["example", version, 3])
        assert.deepStrictEqual(json.tables[0].schema.arrow.fields.slice(0, 4), [
          { name: "_block_num", type: "UInt64", nullable: false },
          { name: "block_num", type: "UInt64", nullable: false },
          { name: "timestamp", type: { Timestamp: ["Nanosecond", "+00:00"] }, nullable: false },
          { name: "hash", type: { FixedSizeBinary: 32 }, nullable: false }
        ])
      }
    }))

  it.live("nozzle: fails where the real server does, with its messages", () =>
    Effect.gen(function*() {
      const { get } = yield* admin("nozzle")
      const expected = [
        ["/datasets/Example/versions", 400, "INVALID_SELECTOR"],
        ["/datasets/example/versions/latest/schema", 400, "INVALID_SELECTOR"],
        ["/datasets/example/versions/9.0.0/schema", 404, "DATASET_NOT_FOUND"],
        ["/datasets/example/versions?limit=0", 400, "LIMIT_INVALID"],
        ["/datasets/example/versions?limit=2000", 400, "LIMIT_TOO_LARGE"],
        ["/datasets/example/versions?limit=x", 400, "INVALID_QUERY_PARAMETERS"]
      ] as const
      for (const [path, status, code] of expected) {
        const answer = yield* get(path)
        assert.deepStrictEqual([answer.status, answer.json.error_code], [status, code], path)
        assert.isString(answer.json.error_message)
      }
      assert.deepStrictEqual(yield* get("/nothing"), { status: 404, json: undefined })
    }))

  it.live("nozzle: returns the schema of any query, with the block number in front when it is to become a table", () =>
    Effect.gen(function*() {
      const { post } = yield* admin("nozzle")
      const body = { sql_query: "SELECT hash FROM anvil.blocks", is_sql_dataset: true }
      const { json } = yield* post("/schema", body)
      assert.deepStrictEqual(json.schema.arrow.fields.map((_: { name: string }) => _.name), ["_block_num", "hash"])
      assert.deepStrictEqual(json.networks, ["anvil"])
      const error = yield* post("/schema", { ...body, sql_query: "SELECT FROM" })
      assert.deepStrictEqual([error.status, error.json.error_code], [400, "SQL_PARSE_ERROR"])
    }))

  it.live("amp: resolves versions, tags and hashes, and serves manifests", () =>
    Effect.gen(function*() {
      const { get } = yield* admin("amp")
      const versions = yield* get("/datasets/_/example/versions")
      const hash = versions.json.special_tags.dev as string
      assert.match(hash, /^[0-9a-f]{64}$/)
      assert.deepStrictEqual(versions.json.versions.map((_: { version: string }) => _.version), ["0.1.0", "0.1.0-c2Fs"])
      for (const revision of ["0.1.0", "latest", "dev", hash]) {
        const { json, status } = yield* get(`/datasets/_/example/versions/${revision}`)
        assert.deepStrictEqual([status, json.revision, json.manifest_hash, json.kind], [
          200,
          revision,
          hash,
          "manifest"
        ])
        const manifest = yield* get(`/datasets/_/example/versions/${revision}/manifest`)
        assert.deepStrictEqual(manifest.json.dependencies, { anvil: "_/anvil@0.1.0" })
      }
      const raw = yield* get("/datasets/_/anvil/versions/latest/manifest")
      assert.strictEqual(raw.json.kind, "evm-rpc")
      assert.notInclude(JSON.stringify(raw.json), "_block_num")
    }))

  it.live("amp: spells nested types with data_type", () =>
    Effect.gen(function*() {
      const { get } = yield* admin("amp")
      const { json } = yield* get("/datasets/_/example/versions/latest/manifest")
      const fields = json.tables.transactions.schema.arrow.fields as ReadonlyArray<{ name: string; type: unknown }>
      assert.deepStrictEqual(fields.find((_) => _.name === "blob_versioned_hashes")?.type, {
        List: {
          name: "item",
          data_type: { FixedSizeBinary: 32 },
          nullable: false,
          dict_id: 0,
          dict_is_ordered: false,
          metadata: {}
        }
      })
    }))

  it.live("amp: the schema route of nozzle does not exist", () =>
    Effect.gen(function*() {
      const { get } = yield* admin("amp")
      assert.deepStrictEqual(yield* get("/datasets/example/versions/0.1.0/schema"), { status: 404, json: undefined })
      assert.deepStrictEqual(yield* get("/datasets/_/example/versions/0.1.0/schema"), { status: 404, json: undefined })
      assert.strictEqual((yield* get("/datasets/_/example")).json.error_code, "INVALID_PATH")
      assert.strictEqual((yield* get("/datasets/_/nope/versions/latest")).json.error_code, "DATASET_NOT_FOUND")
      assert.deepStrictEqual((yield* get("/datasets/_/nope/versions")).json, {
        namespace: "_",
        name: "nope",
        versions: [],
        special_tags: {}
      })
    }))

  it.live("amp: returns the schemas of several queries over named dependencies", () =>
    Effect.gen(function*() {
      const { post } = yield* admin("amp")
      const dependencies = { chain: "_/anvil@0.1.0" }
      const { json } = yield* post("/schema", {
        tables: { t: "SELECT hash FROM chain.blocks" },
        dependencies,
        functions: {}
      })
      assert.deepStrictEqual(json.schemas.t.arrow.fields.map((_: { name: string }) => _.name), ["_block_num", "hash"])
      const codes = [
        [{ tables: {} }, 400, "EMPTY_TABLES_AND_FUNCTIONS"],
        [{ tables: { t: "SELECT 1 FROM a.b" }, dependencies: { a: "_/no@1.0.0" } }, 404, "DEPENDENCY_NOT_FOUND"],
        [{ tables: { t: "SELECT" } }, 400, "INVALID_TABLE_SQL"],
        [{ tables: { t: "SELECT * FROM chain.logs LIMIT 1" }, dependencies }, 400, "NON_INCREMENTAL_QUERY"]
      ] as const
      for (const [body, status, code] of codes) {
        const answer = yield* post("/schema", body)
        assert.deepStrictEqual([answer.status, answer.json.error_code], [status, code])
      }
    }))

  it.live("fails and delays on demand", () =>
    Effect.gen(function*() {
      const { faults, get } = yield* admin("nozzle")
      faults.failAdmin(503, 2)
      faults.failAdmin(500)
      const statuses = yield* Effect.all([1, 2, 3, 4].map(() => Effect.map(get("/datasets"), (_) => _.status)))
      assert.deepStrictEqual(statuses, [503, 503, 500, 200])
      faults.adminDelayMillis = 120
      const before = Date.now()
      yield* get("/datasets")
      assert.isAtLeast(Date.now() - before, 110)
    }))
})
