/** How a running sync reacts to Flight servers and the gateways in front of them. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { writeFile } from "node:fs/promises"
import { join } from "node:path"
import { eventually } from "../../support/eventually.ts"
import { awaitAllRows, type RunningSync, startSync } from "../../support/runningSync.ts"
import { temporaryDirectory } from "../../support/temporaryDirectory.ts"
import { makeWorld } from "../../support/world.ts"

const queries = { blocks: "SELECT * FROM anvil.blocks" }

const reaches = (sync: RunningSync, phase: string) =>
  eventually(
    () => `the table is ${phase}; it logged:\n${sync.lines.slice(-20).join("\n")}`,
    Effect.map(sync.status.get, (tables) => tables.get("blocks")?.phase === phase)
  )

describe("a sync", () => {
  it.live("takes the streams of a server that stops for ended, and counts no failure", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ dialect: "amp", blocks: 30, queries })
      const sync = yield* startSync(world.environment)
      yield* reaches(sync, "caught up")
      const before = sync.lines.length
      world.simulator.faults.resetStreams()
      yield* sync.logs("Stream ended", before)
      world.simulator.mine(3)
      yield* awaitAllRows(world, "blocks")
      assert.deepStrictEqual(sync.lines.slice(before).filter((line) => /\(attempt |Failed/.test(line)), [])
    }))

  it.live("waits for a token that is rotated later than the server's, at the start and while it runs", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ dialect: "amp", blocks: 30, queries, token: "first" })
      const path = join(yield* temporaryDirectory, "token")
      const write = (token: string) => Effect.promise(() => writeFile(path, token))
      yield* write("zeroth")
      const sync = yield* startSync({ ...world.environment, AMP_AUTH_TOKEN_FILE: path })
      yield* sync.logs("check AMP_AUTH_TOKEN_FILE")
      yield* write("first")
      yield* reaches(sync, "caught up")
      const before = sync.lines.length
      world.simulator.faults.token = "second"
      world.simulator.faults.cutAll()
      yield* sync.logs("check AMP_AUTH_TOKEN_FILE", before)
      yield* write("second")
      world.simulator.mine(3)
      yield* awaitAllRows(world, "blocks")
      assert.notInclude(sync.lines.join("\n"), "is parked")
    }))

  it.live("waits while a maintenance page answers in the place of the server", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ dialect: "amp", blocks: 30, queries })
      const { faults } = world.simulator
      faults.showMaintenancePage()
      const sync = yield* startSync(world.environment)
      yield* sync.logs("text/html")
      faults.clear()
      yield* awaitAllRows(world, "blocks")
      assert.notInclude(sync.lines.join("\n"), "is parked")
    }))
})
