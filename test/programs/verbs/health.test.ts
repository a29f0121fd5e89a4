import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { startAmpsync } from "../../support/ampsyncProcess.ts"
import { addressOf, becomes } from "../../support/health.ts"
import { replaceConfig } from "../../support/runningSync.ts"
import { silentPort } from "../../support/silentPort.ts"
import { makeWorld } from "../../support/world.ts"

const runHealth = Effect.fnUntraced(function*(HEALTH_PORT: string, ...args: ReadonlyArray<string>) {
  const process = yield* startAmpsync(HEALTH_PORT === "" ? {} : { HEALTH_PORT }, ["health", ...args])
  const { code } = yield* process.exited
  return { code, output: process.output() }
}, Effect.scoped)

describe("the verb health", () => {
  it.live("exits 0 where the process is alive, and 1 with --ready for the reason that a table is not synced", () =>
    Effect.gen(function*() {
      const queries = { blocks: "SELECT * FROM anvil.blocks" }
      const world = yield* makeWorld({ dialect: "amp", blocks: 5, queries })
      yield* world.database.query("CREATE TABLE blocks (mine int)")
      // It listens on every address, as in a container.
      const address = yield* addressOf(yield* startAmpsync({ ...world.environment, HEALTH_PORT: "0" }))
      const port = address.split(":")[1]!
      yield* becomes(`127.0.0.1:${port}`, ["blocks: parked"])
      const alive = { code: 0, output: `The process at 127.0.0.1:${port} is alive\n` }
      assert.deepStrictEqual(yield* runHealth(port), alive)
      const parked = yield* runHealth(port, "--ready")
      assert.strictEqual(parked.code, 1)
      assert.match(parked.output, /is not ready:\n {2}- table 'blocks' is parked: .+did not create/)
      yield* world.database.query("DROP TABLE blocks")
      yield* replaceConfig(world, { ...queries, logs: "SELECT * FROM anvil.logs" })
      yield* becomes(`127.0.0.1:${port}`, [])
      assert.deepStrictEqual(yield* runHealth(port, "--ready"), {
        code: 0,
        output: `The process at 127.0.0.1:${port} is ready\n`
      })
    }))

  it.live("exits 1 where nothing listens, where nothing is answered in time, and where another program does", () =>
    Effect.gen(function*() {
      const refused = yield* runHealth("1")
      assert.strictEqual(refused.code, 1)
      assert.match(refused.output, /The process at 127\.0\.0\.1:1 does not answer: .*ECONNREFUSED.*HEALTH_PORT/)
      const silent = yield* runHealth(`${yield* silentPort()}`, "--timeout", "200ms")
      assert.strictEqual(silent.code, 1)
      assert.include(silent.output, "does not answer within 200ms")
      const stranger = yield* silentPort("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK")
      const other = yield* runHealth(`${stranger}`)
      assert.strictEqual(other.code, 1)
      assert.include(other.output, "is another program")
    }))

  it.live("exits 2 where HEALTH_PORT is not set, or takes a free port", () =>
    Effect.gen(function*() {
      for (const [port, found] of [["", "is not set"], ["0", "is 0, which is another port at each start"]] as const) {
        const { code, output } = yield* runHealth(port)
        assert.strictEqual(code, 2)
        assert.include(output, `HEALTH_PORT ${found}`)
      }
    }))
})
