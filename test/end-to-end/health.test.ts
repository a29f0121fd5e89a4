/** The probes of the real program: what they answer when tables, the database or another process is in the way. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Agent, get } from "node:http"
import { startAmpsync } from "../support/ampsyncProcess.ts"
import { eventually } from "../support/eventually.ts"
import { addressOf, ask, becomes, reasons } from "../support/health.ts"
import { replaceConfig } from "../support/runningSync.ts"
import { makeWorld, type World } from "../support/world.ts"

const two = { blocks: "SELECT * FROM anvil.blocks", logs: "SELECT * FROM anvil.logs" }
const open = { HEALTH_PORT: "0", HEALTH_HOST: "127.0.0.1" }

const start = (world: World, environment: Readonly<Record<string, string>> = {}) =>
  startAmpsync({ ...world.environment, ...open, ...environment })

describe("the probes of a process", () => {
  it.live("are alive and not ready while the database is down", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ dialect: "amp", blocks: 5 })
      const process = yield* start(world, { DATABASE_URL: "postgresql://nobody@127.0.0.1:1/none" })
      const address = yield* addressOf(process)
      assert.strictEqual((yield* ask(address, "/livez")).status, 200)
      assert.deepStrictEqual(yield* reasons(address), ["null: no active config"])
    }))

  it.live("report a parked table, become ready once it may go on, and a second process is not ready while it stands by", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ dialect: "amp", blocks: 30, queries: two })
      yield* world.database.query("CREATE TABLE blocks (mine int)")
      const first = yield* start(world)
      const address = yield* addressOf(first)
      yield* becomes(address, ["blocks: parked"])
      assert.strictEqual((yield* ask(address, "/livez")).status, 200)
      const { body: parked } = yield* ask(address, "/status")
      yield* world.database.query("DROP TABLE blocks")
      yield* replaceConfig(world, { ...two, transactions: "SELECT * FROM anvil.transactions" })
      yield* becomes(address, [], "?max_lag_blocks=0&max_lag_seconds=0")
      const { body, text } = yield* ask(address, "/status")
      assert.strictEqual(body.ready, true)
      assert.deepStrictEqual(body.tables.map((one: { table: string }) => one.table).toSorted(), [
        "blocks",
        "logs",
        "transactions"
      ])
      assert.deepInclude(body.config, { dataset: "_/example@0.1.0", dialect: "amp" })
      assert.notStrictEqual(body.config.fingerprint, parked.config.fingerprint)
      assert.strictEqual(body.last_reload.outcome, "applied")
      const blocks = body.tables.find((one: { table: string }) => one.table === "blocks")
      assert.deepInclude(blocks, { lag_blocks: 0, rows: 30, failed_attempts: 0 })
      assert.include(blocks.last_error.message, "did not create")
      for (const secret of ["SELECT", new URL(world.database.url).password]) {
        if (secret !== "") assert.notInclude(text, secret)
      }

      const second = yield* start(world)
      const standby = yield* addressOf(second)
      yield* becomes(standby, ["blocks: standby", "logs: standby", "transactions: standby"])
      yield* becomes(address, [])
      yield* first.kill("SIGKILL")
      yield* becomes(standby, [])
    }))

  it.live("report the lag of a table whose stream hangs while the chain goes on", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ dialect: "amp", blocks: 30, queries: { blocks: two.blocks } })
      const process = yield* start(world)
      const address = yield* addressOf(process)
      yield* becomes(address, [], "?max_lag_blocks=5")
      assert.strictEqual(world.simulator.faults.hangStreams(({ isStreaming }) => isStreaming), 1)
      world.simulator.mine(20)
      yield* becomes(address, ["blocks: lag exceeded"], "?max_lag_blocks=5")
      assert.deepStrictEqual(yield* reasons(address), [])
    }))
})

describe("the lag of a table that is filled from one long range", () => {
  it.live("is what is not committed yet, not the way from the end of the range", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({
        dialect: "nozzle",
        blocks: 30_000,
        queries: { blocks: "SELECT block_num, hash FROM anvil.blocks" }
      })
      world.simulator.faults.delayMillis = 1_000
      const address = yield* addressOf(yield* start(world))
      yield* eventually(
        "rows are committed",
        Effect.map(
          ask(address, "/status"),
          ({ body }) => body.tables[0]?.rows > 0 && body.tables[0].lag_blocks !== null
        )
      )
      const [{ lag_blocks: lag, last_block: last, rows }] = (yield* ask(address, "/status")).body.tables
      assert.isBelow(rows, 30_000)
      assert.strictEqual(last, 29_999)
      assert.strictEqual(lag, 30_000 - rows)
      assert.deepStrictEqual(yield* reasons(address, "?max_lag_blocks=50"), ["blocks: lag exceeded"])
    }))
})

describe("HEALTH_PORT", () => {
  it.live("ends the start with exit code 2 where another process has the port", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ dialect: "amp", blocks: 5 })
      const address = yield* addressOf(yield* start(world))
      const HEALTH_PORT = address.split(":")[1]!
      const second = yield* start(world, { HEALTH_PORT })
      const { code } = yield* second.exited
      assert.strictEqual(code, 2, second.output())
      assert.include(second.output(), `HEALTH_PORT is ${HEALTH_PORT}, and this process cannot listen there`)
    }))

  it.live("does not delay a stop by a connection that is kept open", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ dialect: "amp", blocks: 5, queries: { blocks: two.blocks } })
      const process = yield* start(world)
      const address = yield* addressOf(process)
      yield* becomes(address, [])
      const agent = new Agent({ keepAlive: true })
      yield* Effect.promise(() =>
        new Promise<void>((resolve, reject) => {
          get(`http://${address}/livez`, { agent }, (response) => response.resume().on("end", resolve)).on(
            "error",
            reject
          )
        })
      )
      const asked = performance.now()
      yield* process.kill("SIGTERM")
      const { code } = yield* process.exited
      assert.strictEqual(code, 0, process.output())
      assert.include(process.output(), "Shutdown complete")
      assert.isBelow(performance.now() - asked, 5_000)
      agent.destroy()
    }))
})
