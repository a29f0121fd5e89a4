/** A sync that reaches only Flight, and a config whose own dataset is not published. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { layerFrom } from "../../../src/layers/Config.ts"
import { services } from "../../../src/programs/ampsync.ts"
import { planDataset } from "../../../src/programs/verbs/plan.ts"
import type { Dialect } from "../../../src/simulator/tables.ts"
import { awaitAllRows, awaitHead, mineAndAwait, replaceConfig, startSync } from "../../support/runningSync.ts"
import { makeWorld, manifestOf, type Queries, type World } from "../../support/world.ts"

/** An address that nothing listens on until `open` lets the simulator's Admin API answer there. */
const closedAdminApi = Effect.fnUntraced(function*({ simulator }: World) {
  const server = createServer((request, response) => {
    void fetch(simulator.adminUrl + request.url).then(async (answer) => {
      response.writeHead(answer.status, { "content-type": "application/json" })
      response.end(await answer.text())
    })
  })
  const listen = (port: number) =>
    Effect.promise(() => new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve)))
  const close = Effect.promise(() => {
    server.closeAllConnections()
    return new Promise<void>((resolve) => server.close(() => resolve()))
  })
  yield* listen(0)
  const { port } = server.address() as AddressInfo
  yield* close
  yield* Effect.addFinalizer(() => close)
  return { url: `http://127.0.0.1:${port}`, open: listen(port) }
})

const WITHOUT = "going on without it. Until the Admin API answers at AMP_ADMIN_API_ADDR"
const UNPUBLISHED = "going on, as the queries of the config need only the datasets that they name"
const STARTED = "Started reorg stream for table: blocks"
const warnings = (lines: ReadonlyArray<string>, text: string) => lines.filter((line) => line.includes(text)).length

describe.concurrent.each<Dialect>(["amp", "nozzle"])(
  "with a server of the %s dialect of which only Flight answers",
  (dialect) => {
    it.live(
      "DATASET and TABLES are synced after one warning, with the lag, and what was not checked is when it answers",
      () =>
        Effect.gen(function*() {
          const world = yield* makeWorld({ dialect, blocks: 30 })
          const admin = yield* closedAdminApi(world)
          const { DATASET_MANIFEST: _, ...environment } = world.environment
          const sync = yield* startSync({
            ...environment,
            AMP_ADMIN_API_ADDR: admin.url,
            DATASET: "_/anvil",
            TABLES: "blocks,logs"
          }, { sourceHead: { interval: "1 second" } })
          yield* sync.logs(WITHOUT)
          yield* awaitAllRows(world, "logs")
          yield* awaitAllRows(world, "blocks")
          // A nozzle server completes its first range with the second.
          yield* mineAndAwait(world, ["blocks", "logs"])
          yield* awaitHead(sync, "blocks")
          world.simulator.reorg(3, 5)
          yield* mineAndAwait(world, ["blocks"])
          assert.strictEqual(warnings(sync.lines, WITHOUT), 1)
          yield* mineAndAwait(world, ["blocks"])
          const before = warnings(sync.lines, STARTED)
          yield* admin.open
          yield* sync.logs("The Admin API answers for dataset _/anvil: version 0.1.0")
          yield* mineAndAwait(world, ["blocks"])
          assert.strictEqual(warnings(sync.lines, STARTED), before, "the stream was not reopened")
        }),
      90_000
    )

    it.live(
      "a config is synced with what its aliases stand for, also one that it is changed to",
      () =>
        Effect.gen(function*() {
          const world = yield* makeWorld({ dialect, blocks: 30 })
          const admin = yield* closedAdminApi(world)
          const config = (queries: Queries) => ({
            ...manifestOf(dialect, queries) as object,
            dependencies: { rpc: { owner: "edgeandnode", name: "anvil", version: "0.1.0" } }
          })
          const queries = { blocks: "SELECT * FROM rpc.blocks" }
          yield* replaceConfig(world, config(queries))
          const sync = yield* startSync({ ...world.environment, AMP_ADMIN_API_ADDR: admin.url })
          yield* sync.logs(WITHOUT)
          yield* mineAndAwait(world, ["blocks"])
          yield* replaceConfig(world, config({ ...queries, logs: "SELECT * FROM rpc.logs" }))
          yield* mineAndAwait(world, ["blocks", "logs"])
          assert.strictEqual(warnings(sync.lines, "Failed to create"), 0)
          const schema = dialect === "amp" ? "\"_/anvil@0.1.0\"" : "anvil__0_1_0"
          const sent = () => world.simulator.faults.calls.filter(({ call }) => call === "DoGet").map(({ sql }) => sql)
          assert.include(sent(), `SELECT * FROM ${schema}.blocks SETTINGS stream = true`)
          assert.include(sent(), `SELECT * FROM ${schema}.logs SETTINGS stream = true`)
        }),
      60_000
    )

    it.live("a config waits while Flight does not answer either, and reports both", () =>
      Effect.gen(function*() {
        const world = yield* makeWorld({ dialect, blocks: 30 })
        const sync = yield* startSync({
          ...world.environment,
          AMP_ADMIN_API_ADDR: "http://127.0.0.1:9",
          AMP_FLIGHT_ADDR: "http://127.0.0.1:9"
        })
        yield* sync.logs("Failed to fetch schema from admin-api: ")
        yield* sync.logs("AMP_FLIGHT_ADDR names plans no query of the config: table \"blocks\": ")
        assert.isTrue(
          sync.lines.some((line) =>
            /AMP_ADMIN_API_ADDR.*AMP_FLIGHT_ADDR.*UNAVAILABLE.*; trying again in \d+(\.\d+)? s$/.test(line)
          )
        )
        assert.strictEqual(warnings(sync.lines, WITHOUT), 0)
        assert.include((yield* sync.status.get).get("blocks")?.reason, "AMP_ADMIN_API_ADDR")
      }))

    it.live("a config whose own dataset is not published is synced after one warning, and can be planned", () =>
      Effect.gen(function*() {
        const world = yield* makeWorld({ dialect, blocks: 30 })
        const queries = { blocks: "SELECT * FROM anvil.blocks", bad: "SELECT count(*) AS n FROM anvil.logs" }
        yield* replaceConfig(world, { ...manifestOf(dialect, queries) as object, name: "nobody" })
        const plan = yield* planDataset.pipe(Effect.provide(Layer.provideMerge(services, layerFrom(world.environment))))
        assert.deepStrictEqual(plan.tables.map(({ kind, table }) => [table, kind]), [["blocks", "create"], [
          "bad",
          "reject"
        ]])
        const sync = yield* startSync(world.environment)
        yield* sync.logs(UNPUBLISHED)
        yield* mineAndAwait(world, ["blocks"])
        yield* sync.logs("non-incremental")
        assert.strictEqual(warnings(sync.lines, UNPUBLISHED), 1)
      }))
  }
)
