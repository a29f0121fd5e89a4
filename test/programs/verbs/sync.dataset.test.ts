import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import type { Dialect } from "../../../src/simulator/tables.ts"
import { allDifferences } from "../../support/compare.ts"
import { eventually } from "../../support/eventually.ts"
import {
  awaitAllRows,
  awaitHead,
  mineAndAwait,
  replaceConfig,
  startSync,
  writerEpochs
} from "../../support/runningSync.ts"
import { makeWorld, manifestOf, type World } from "../../support/world.ts"

/** The settings of a world with a dataset in the place of the config file. */
const withDataset = (world: World, dataset: string, tables: string) => {
  const { DATASET_MANIFEST: _, ...environment } = world.environment
  return { ...environment, DATASET: dataset, TABLES: tables }
}

/** The Admin API of a world behind a counter of its requests. */
const counted = Effect.fnUntraced(function*(world: World) {
  const state = { requests: 0 }
  const server = yield* Effect.acquireRelease(
    Effect.promise(async () => {
      const server = createServer((request, response) => {
        state.requests += 1
        void fetch(world.simulator.adminUrl + (request.url ?? "")).then(async (answer) => {
          response.writeHead(answer.status, { "content-type": "application/json" })
          response.end(await answer.text())
        })
      })
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
      return server
    }),
    (server) =>
      Effect.promise(() => {
        server.closeAllConnections()
        return new Promise((resolve) => server.close(resolve))
      })
  )
  return { state, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
})

const recordedVersions = (world: World) =>
  Effect.map(
    world.database.query<{ v: string }>("SELECT DISTINCT dataset_version AS v FROM _ampsync_checkpoints"),
    (rows) => rows.map(({ v }) => v)
  )

describe("DATASET and TABLES in the place of a config file", () => {
  for (const dialect of ["amp", "nozzle"] satisfies ReadonlyArray<Dialect>) {
    for (const reference of ["_/anvil", dialect === "amp" ? "_/anvil@0.1.0" : "anvil@latest"]) {
      it.live(`syncs the tables of ${reference} of a server of the ${dialect} dialect`, () =>
        Effect.gen(function*() {
          const world = yield* makeWorld({ dialect, blocks: 30 })
          const sync = yield* startSync(withDataset(world, reference, "blocks, logs"))
          const revision = { "_/anvil": ", newest version", "_/anvil@0.1.0": " v0.1.0", "anvil@latest": "@latest" }
          yield* sync.logs(`Loaded manifest: anvil${revision[reference as keyof typeof revision]}`)
          yield* awaitAllRows(world, "logs")
          yield* mineAndAwait(world, ["blocks", "logs"])
          world.simulator.reorg(3, 5)
          yield* mineAndAwait(world, ["blocks", "logs"])
          // The first range was read again; in nozzle it is complete with the one after it.
          yield* mineAndAwait(world, ["blocks", "logs"])
          assert.deepStrictEqual([...(yield* sync.status.get).keys()].toSorted(), ["blocks", "logs"])
          yield* sync.stop
          world.simulator.mine(dialect === "nozzle" ? 0 : 1)
          const again = yield* startSync(withDataset(world, reference, "blocks,logs"))
          yield* again.logs("Resuming table 'logs'")
          yield* mineAndAwait(world, ["blocks", "logs"])
          if (dialect === "amp") assert.deepStrictEqual(yield* allDifferences(world, ["blocks", "logs"]), [])
        }))
    }
  }

  it.live("lists the tables of the dataset where a requested one does not exist, and waits for a server that is down", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ dialect: "amp", blocks: 5 })
      world.simulator.faults.failAdmin(503, 1)
      const sync = yield* startSync(withDataset(world, "_/anvil", "blocks,traces"))
      yield* sync.logs("trying again")
      const error = yield* Effect.flip(sync.ended)
      assert.strictEqual(
        (error as Error).message,
        "could not use the tables of dataset _/anvil that TABLES names: " +
          "there is no table \"traces\" in version 0.1.0; it has blocks, transactions, logs"
      )
    }))
})

/** A sync that polls every second for a new version. */
const startPolling = Effect.fnUntraced(function*(world: World) {
  const { state, url } = yield* counted(world)
  const sync = yield* startSync({
    ...withDataset(world, "_/anvil", "blocks,logs"),
    AMP_ADMIN_API_ADDR: url,
    VERSION_POLL_INTERVAL_SECS: 1
  })
  return { state, sync }
})

describe("VERSION_POLL_INTERVAL_SECS", () => {
  it.live(
    "reloads when a newer version of a dataset is published that is named without one",
    () =>
      Effect.gen(function*() {
        const world = yield* makeWorld({ dialect: "amp", blocks: 20 })
        const { sync } = yield* startPolling(world)
        yield* awaitAllRows(world, "logs")
        yield* awaitAllRows(world, "blocks")
        assert.notInclude(sync.lines.join("\n"), "VERSION_POLL_INTERVAL_SECS")
        const before = yield* writerEpochs(world)
        yield* Effect.sleep(2500)
        assert.deepStrictEqual(yield* writerEpochs(world), before, "the same version is no news")
        world.simulator.publish("anvil", "0.2.0")
        yield* sync.logs("Version 0.2.0 of dataset _/anvil is published, initiating hot-reload...")
        yield* sync.logs("Successfully loaded new manifest: anvil, newest version (v0.2.0)")
        yield* eventually(
          "the new version is recorded",
          Effect.map(recordedVersions(world), (versions) => versions.join() === "0.2.0")
        )
        yield* mineAndAwait(world, ["blocks", "logs"])
        const after = yield* writerEpochs(world)
        assert.deepStrictEqual(after, { blocks: before["blocks"]! + 1, logs: before["logs"]! + 1 })
      }),
    60_000
  )

  it.live("tries a rejected version only once, and the next one again", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ dialect: "amp", blocks: 20 })
      const { state, sync } = yield* startPolling(world)
      yield* awaitAllRows(world, "blocks")
      yield* world.database.query("ALTER TABLE blocks RENAME COLUMN hash TO renamed")
      world.simulator.publish("anvil", "0.2.0")
      yield* sync.logs("Failed to reload manifest: ")
      const requests = state.requests
      yield* eventually("it is asked again", Effect.sync(() => state.requests >= requests + 3))
      assert.lengthOf(sync.lines.filter((line) => line.includes("Version 0.2.0 of dataset")), 1)
      yield* world.database.query("ALTER TABLE blocks RENAME COLUMN renamed TO hash")
      world.simulator.publish("anvil", "0.3.0")
      yield* sync.logs("Successfully loaded new manifest: anvil, newest version (v0.3.0)")
      yield* mineAndAwait(world, ["blocks", "logs"])
    }))

  it.live(
    "asks for nothing where it is off, or the config names an exact version; a config without one is followed",
    () =>
      Effect.gen(function*() {
        const world = yield* makeWorld({
          dialect: "amp",
          blocks: 10,
          queries: { blocks: "SELECT * FROM self.blocks" }
        })
        const { state, url } = yield* counted(world)
        const sync = yield* startSync({ ...world.environment, AMP_ADMIN_API_ADDR: url, VERSION_POLL_INTERVAL_SECS: 1 })
        yield* awaitAllRows(world, "blocks")
        const warnings = sync.lines.filter((line) => line.includes("VERSION_POLL_INTERVAL_SECS has no effect"))
        assert.lengthOf(warnings, 1)
        assert.include(warnings[0], "every dataset is named with its version")
        yield* awaitHead(sync, "blocks")
        const before = state.requests
        yield* Effect.sleep(2500)
        assert.strictEqual(state.requests, before, "the version is exact")
        const { version: _, ...unpinned } = manifestOf("amp", { blocks: "SELECT * FROM self.blocks" }) as Record<
          string,
          unknown
        >
        yield* replaceConfig(world, unpinned)
        yield* sync.logs("Successfully loaded new manifest: example, newest version (v0.1.0)")
        const { blocks } = yield* writerEpochs(world)
        world.simulator.publish("example", "0.3.0")
        yield* sync.logs("Successfully loaded new manifest: example, newest version (v0.3.0)")
        yield* eventually(
          "the table was restarted",
          Effect.map(writerEpochs(world), (now) => now["blocks"] === blocks! + 1)
        )

        const off = yield* makeWorld({ dialect: "amp", blocks: 10 })
        const other = yield* counted(off)
        const unpolled = yield* startSync({
          ...withDataset(off, "_/anvil", "blocks"),
          AMP_ADMIN_API_ADDR: other.url
        })
        yield* awaitAllRows(off, "blocks")
        yield* awaitHead(unpolled, "blocks")
        const asked = other.state.requests
        yield* Effect.sleep(1500)
        assert.strictEqual(other.state.requests, asked)
      }),
    60_000
  )
})
