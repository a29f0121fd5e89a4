import { assert, describe, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import { writeFile } from "node:fs/promises"
import { decodeManifest } from "../../../src/domain/manifest/Manifest.ts"
import { resolveReferences } from "../../../src/programs/reload/resolveReferences.ts"
import { AdminApiError } from "../../../src/services/AdminApi.ts"
import type { Dialect } from "../../../src/simulator/tables.ts"
import { eventually } from "../../support/eventually.ts"
import {
  awaitAllRows,
  awaitHead,
  mineAndAwait,
  replaceConfig,
  startSync,
  writerEpochs
} from "../../support/runningSync.ts"
import { makeWorld, type World } from "../../support/world.ts"

type Dependencies = Readonly<Record<string, unknown>>

const BLOCKS = "SELECT * FROM rpc.blocks"

const configOf = (dependencies: Dependencies, queries: Readonly<Record<string, string>> = { blocks: BLOCKS }) => ({
  name: "example",
  network: "anvil",
  version: "0.1.0",
  dependencies,
  tables: Object.fromEntries(Object.entries(queries).map(([name, sql]) => [name, { sql }]))
})

const worldOf = Effect.fnUntraced(
  function*(dialect: Dialect, dependencies: Dependencies, queries?: Readonly<Record<string, string>>) {
    const world = yield* makeWorld({ dialect, blocks: 10 })
    const config = configOf(dependencies, queries)
    yield* Effect.promise(() => writeFile(world.manifestPath, JSON.stringify(config)))
    return world
  }
)

/** The statements of all requests to the server since call `from`. */
const statements = (world: World, from = 0): ReadonlyArray<string> => [
  ...new Set(world.simulator.faults.calls.slice(from).map(({ sql }) => sql))
]

const streamOf = (world: World, table: string, from = 0): ReadonlyArray<string> =>
  statements(world, from).filter((sql) => sql.includes(`.${table}`) && sql.includes("SETTINGS stream"))

const recordedVersions = ({ database }: World) =>
  Effect.map(
    database.query<{ table_name: string; dataset_version: string; query_fingerprint: string }>(
      "SELECT table_name, dataset_version, query_fingerprint FROM _ampsync_checkpoints"
    ),
    (rows) => Object.fromEntries(rows.map((row) => [row.table_name, row.dataset_version]))
  )

const notPublished = new AdminApiError({
  operation: "dataset",
  dataset: "_/unknown",
  reason: "DatasetNotFound",
  status: 404,
  code: undefined,
  detail: "injected",
  retryable: true
})

const owned = (version: string) => ({ rpc: { owner: "edgeandnode", name: "anvil", version } })

describe("the dependencies of a config decide what is read", () => {
  for (
    const [dialect, dependencies, blocks, logs, version] of [
      ["amp", { rpc: "_/anvil@0.1.0" }, "\"_/anvil@0.1.0\"", "\"_/example@0.1.0\"", "0.1.0"],
      ["amp", { rpc: "anvil" }, "\"_/anvil@0.2.0\"", "\"_/example@0.1.0\"", "0.2.0"],
      ["amp", owned("0.1.0"), "\"_/anvil@0.1.0\"", "\"_/example@0.1.0\"", "0.1.0"],
      ["amp", owned("^0.1.0"), "\"_/anvil@0.2.0\"", "\"_/example@0.1.0\"", "0.2.0"],
      ["nozzle", owned("0.1.0"), "anvil__0_1_0", "example__0_1_0", "0.1.0"],
      ["nozzle", owned("*"), "anvil", "example__0_1_0", "0.2.0"]
    ] as const satisfies ReadonlyArray<readonly [Dialect, Dependencies, string, string, string]>
  ) {
    it.live(`${dialect}: an alias and self are sent as what ${JSON.stringify(dependencies)} means`, () =>
      Effect.gen(function*() {
        const world = yield* worldOf(dialect, dependencies, {
          blocks: "SELECT rpc.blocks.hash, block_num FROM rpc.blocks -- FROM rpc.logs",
          logs: "SELECT * FROM self.logs"
        })
        world.simulator.publish("anvil", "0.2.0")
        const sync = yield* startSync(world.environment)
        yield* awaitAllRows(world, "blocks")
        yield* awaitAllRows(world, "logs")
        yield* awaitHead(sync, "blocks")
        assert.deepStrictEqual(streamOf(world, "blocks"), [
          `SELECT ${blocks}.blocks.hash, block_num FROM ${blocks}.blocks SETTINGS stream = true`
        ])
        assert.deepStrictEqual(streamOf(world, "logs"), [`SELECT * FROM ${logs}.logs SETTINGS stream = true`])
        assert.isTrue(
          statements(world).some((sql) => sql.includes(`FROM ${blocks}.blocks WHERE`)),
          "the head is read there"
        )
        assert.deepStrictEqual(yield* recordedVersions(world), { blocks: version, logs: "0.1.0" })
      }))
  }

  it.effect("amp: every name is sent as one version of a dataset; what is none is left to the server", () =>
    Effect.gen(function*() {
      const expected = [
        ["SELECT * FROM rpc.blocks", "SELECT * FROM \"_/anvil@0.1.0\".blocks"],
        ["SELECT * FROM RPC.blocks r", "SELECT * FROM \"_/anvil@0.1.0\".blocks r"],
        ["SELECT * FROM mixed.blocks", "SELECT * FROM \"ours/base@2.0.0\".blocks"],
        ["SELECT * FROM \"Mixed\".blocks", "SELECT * FROM \"ours/base@2.0.0\".blocks"],
        ["SELECT self.f(a) AS a FROM self.t", "SELECT \"_/example@0.1.0\".f(a) AS a FROM \"_/example@0.1.0\".t"],
        ["SELECT * FROM base.t", "SELECT * FROM \"_/base@2.0.0\".t"],
        ["SELECT * FROM \"ours/base\".t", "SELECT * FROM \"ours/base@2.0.0\".t"],
        ["SELECT * FROM \"ours/base@latest\".t", "SELECT * FROM \"ours/base@2.0.0\".t"],
        ["SELECT * FROM \"ours/base@1.0.0\".t", "SELECT * FROM \"ours/base@1.0.0\".t"],
        ["SELECT * FROM unknown.t, \"No Name\".t", "SELECT * FROM unknown.t, \"No Name\".t"],
        ["SELECT rpc.a FROM unknown.t AS rpc", "SELECT rpc.a FROM unknown.t AS rpc"]
      ] as const
      const queries = Object.fromEntries(expected.map(([sql], index) => [`t${index}`, sql]))
      const config = configOf({ rpc: "_/anvil@0.1.0", Mixed: "ours/base", unused: "_/nothing@7.0.0" }, queries)
      const { manifest, sources } = yield* resolveReferences(Result.getOrThrow(decodeManifest(config)), {
        dataset: ({ name, namespace, revision }) =>
          ["anvil", "base", "example"].includes(name)
            ? Effect.succeed({
              dialect: "amp",
              namespace,
              name,
              version: name === "base" ? (revision === "1.0.0" ? revision : "2.0.0") : "0.1.0",
              tables: []
            })
            : Effect.fail(notPublished),
        datasets: Effect.succeed([]),
        blocksTable: () => Effect.succeedNone
      })
      assert.deepStrictEqual(manifest.tables.map(({ query }) => query.batch), expected.map(([, sent]) => sent))
      for (const { query } of manifest.tables) {
        assert.strictEqual(query.streaming, `${query.batch} SETTINGS stream = true`)
      }
      assert.deepStrictEqual(sources.get("t9"), [])
    }))

  it.effect("nozzle: a version that its SQL cannot write is left out, with one warning", () =>
    Effect.gen(function*() {
      const manifest = Result.getOrThrow(
        decodeManifest(
          configOf({ rpc: "anvil@0.1.0" }, { blocks: BLOCKS, more: "SELECT rpc.f(hash) AS h FROM rpc.logs" })
        )
      )
      const resolvedTo = (version: string) =>
        resolveReferences(manifest, {
          dataset: ({ name, namespace }) => Effect.succeed({ dialect: "nozzle", namespace, name, version, tables: [] }),
          datasets: Effect.succeed([]),
          blocksTable: () => Effect.succeedNone
        })
      const leftOut = yield* resolvedTo("0.1.0-a_b")
      assert.deepStrictEqual(leftOut.warnings, [
        "Version 0.1.0-a_b of dataset anvil has no form in the SQL of a nozzle server, so its newest version is read"
      ])
      const queries = ({ manifest: { tables } }: typeof leftOut) => tables.map(({ query }) => query.batch)
      assert.deepStrictEqual(queries(leftOut), [
        "SELECT * FROM anvil.blocks",
        "SELECT anvil.f(hash) AS h FROM anvil.logs"
      ])
      const exact = yield* resolvedTo("0.1.0-LTcy")
      assert.deepStrictEqual(exact.warnings, [])
      // Only tables have versions there.
      assert.deepStrictEqual(queries(exact), [
        "SELECT * FROM \"anvil__0_1_0-LTcy\".blocks",
        "SELECT anvil.f(hash) AS h FROM \"anvil__0_1_0-LTcy\".logs"
      ])
      for (const [index, { fingerprint, query }] of exact.manifest.tables.entries()) {
        assert.strictEqual(fingerprint, manifest.tables[index]?.fingerprint)
        assert.strictEqual(query.sql, manifest.tables[index]?.query.sql)
      }
    }))

  for (const dialect of ["amp", "nozzle"] satisfies ReadonlyArray<Dialect>) {
    it.live(`${dialect}: a version that does not exist is an error before anything starts, and a reload to one is rejected`, () =>
      Effect.gen(function*() {
        const missing = { rpc: dialect === "amp" ? "_/anvil@9.9.9" : { owner: "_", name: "anvil", version: "9.9.9" } }
        const world = yield* worldOf(dialect, missing)
        const sync = yield* startSync(world.environment)
        const reason = "dependency \"rpc\" is \"_/anvil@9.9.9\": \"anvil\" has no version \"9.9.9\"; available: 0.1.0"
        yield* sync.logs(`Table 'blocks' is parked until the config changes or ampsync is started again: ${reason}`)
        assert.deepStrictEqual(world.simulator.faults.calls, [])
        yield* replaceConfig(world, configOf(owned("0.1.0")))
        yield* awaitAllRows(world, "blocks")
        const before = yield* writerEpochs(world)
        yield* replaceConfig(world, configOf(missing))
        yield* sync.logs(`Failed to reload manifest: ${reason}`)
        yield* mineAndAwait(world, ["blocks"])
        assert.deepStrictEqual(yield* writerEpochs(world), before)
      }))
  }

  it.live("amp: a dataset that does not exist under the namespace of a reference is not searched in others", () =>
    Effect.gen(function*() {
      const world = yield* worldOf("amp", { rpc: "edgeandnode/anvil@0.1.0" })
      const sync = yield* startSync(world.environment)
      yield* sync.logs(
        "dependency \"rpc\" is \"edgeandnode/anvil@0.1.0\": no dataset \"anvil\" is published at this server"
      )
      assert.deepStrictEqual(world.simulator.faults.calls, [])
    }))

  it.live("amp: a newer version that is registered while a table runs is not taken before a reload or a new start", () =>
    Effect.gen(function*() {
      const queries = { blocks: BLOCKS, logs: "SELECT * FROM anvil.logs" }
      const world = yield* worldOf("amp", { rpc: "anvil" }, queries)
      const sync = yield* startSync(world.environment)
      yield* awaitAllRows(world, "blocks")
      yield* awaitAllRows(world, "logs")
      world.simulator.publish("anvil", "0.2.0")
      // Both connect again, as after a restart of the server.
      const before = world.simulator.faults.calls.length
      world.simulator.faults.cutAll()
      yield* mineAndAwait(world, ["blocks", "logs"])
      const old = "\"_/anvil@0.1.0\""
      yield* eventually(
        "both have connected again",
        Effect.sync(() => streamOf(world, "blocks", before).length + streamOf(world, "logs", before).length === 2)
      )
      assert.deepStrictEqual(streamOf(world, "blocks", before), [`SELECT * FROM ${old}.blocks SETTINGS stream = true`])
      assert.deepStrictEqual(streamOf(world, "logs", before), [`SELECT * FROM ${old}.logs SETTINGS stream = true`])
      assert.deepStrictEqual(yield* recordedVersions(world), { blocks: "0.1.0", logs: "0.1.0" })
      yield* replaceConfig(world, { ...configOf({ rpc: "anvil" }, queries), readme: "saved again" })
      yield* sync.logs("Dataset _/anvil: version 0.2.0 is read from now on, 0.1.0 until now")
      yield* mineAndAwait(world, ["blocks", "logs"])
      assert.include(streamOf(world, "blocks"), "SELECT * FROM \"_/anvil@0.2.0\".blocks SETTINGS stream = true")
      assert.deepStrictEqual(yield* recordedVersions(world), { blocks: "0.2.0", logs: "0.2.0" })
      yield* sync.stop
      world.simulator.publish("anvil", "0.3.0")
      const again = yield* startSync(world.environment)
      yield* again.logs("Table 'blocks': it now reads version 0.3.0, previously 0.2.0")
      yield* mineAndAwait(world, ["blocks", "logs"])
    }))

  it.live("amp: VERSION_POLL_INTERVAL_SECS takes a newer version of a dependency that is named without one", () =>
    Effect.gen(function*() {
      const world = yield* worldOf("amp", { rpc: "anvil" }, { blocks: BLOCKS, logs: "SELECT * FROM self.logs" })
      const sync = yield* startSync({ ...world.environment, VERSION_POLL_INTERVAL_SECS: 1 })
      yield* awaitAllRows(world, "blocks")
      yield* awaitAllRows(world, "logs")
      const before = yield* writerEpochs(world)
      world.simulator.publish("anvil", "0.2.0")
      yield* sync.logs("Version 0.2.0 of dataset _/anvil is published, initiating hot-reload...")
      yield* sync.logs("Dataset _/anvil: version 0.2.0 is read from now on, 0.1.0 until now")
      yield* mineAndAwait(world, ["blocks", "logs"])
      const { blocks, logs } = before as { blocks: number; logs: number }
      assert.deepStrictEqual(yield* writerEpochs(world), { blocks: blocks + 1, logs })
    }))
})
