/** The simulator with the chain of a real node behind it, and a sync of that. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { startAmpsync } from "../../support/ampsyncProcess.ts"
import { type Anvil, anvilUnavailable, startAnvil } from "../../support/anvil.ts"
import { allDifferences } from "../../support/compare.ts"
import { eventually } from "../../support/eventually.ts"
import { makeWorld, type World } from "../../support/world.ts"

const FROM = "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266"
const TO = "0x70997970c51812dc3a010c7d01b50e0d17dc79c8"
/** The code of a constructor that emits a log with one topic (42) and 32 bytes of data, and leaves an empty contract. */
const LOGGING_CODE = "0x602a60206000a100"

/** A block with a transfer of each kind and a contract whose constructor emits a log. */
const mineBlock = Effect.fnUntraced(function*({ call }: Anvil) {
  yield* call("eth_sendTransaction", { from: FROM, to: TO, value: "0x1", type: "0x0", gasPrice: "0x77359400" })
  yield* call("eth_sendTransaction", { from: FROM, to: TO, value: "0xde0b6b3a7640000", accessList: [] })
  yield* call("eth_sendTransaction", { from: FROM, data: LOGGING_CODE, gas: "0x30d40" })
  yield* call("anvil_mine", "0x1")
})

const isEqual = (world: World, number: bigint) => {
  let last: ReadonlyArray<string> = []
  return eventually(
    () =>
      `the tables are those of block ${number}; the simulator is at ${world.simulator.chain.tip}; ${last.join("\n")}`,
    Effect.gen(function*() {
      if (world.simulator.chain.tip !== number) return false
      last = yield* Effect.catchDefect(allDifferences(world), (defect) => Effect.succeed([String(defect)]))
      return last.length === 0
    })
  )
}

describe("the simulator with a node", () => {
  it.live.skipIf(anvilUnavailable !== undefined)(
    `serves its blocks, transactions and logs, and follows its reorgs${
      anvilUnavailable === undefined ? "" : ` (skipped: ${anvilUnavailable})`
    }`,
    () =>
      Effect.gen(function*() {
        const anvil = yield* startAnvil
        for (const _ of [1, 2, 3, 4]) yield* mineBlock(anvil)
        const world = yield* makeWorld({ dialect: "amp", evmRpc: anvil.url })
        const sync = yield* startAmpsync(world.environment)
        yield* isEqual(world, 4n)
        for (const number of [5n, 6n]) {
          yield* mineBlock(anvil)
          yield* isEqual(world, number)
        }
        const [counted] = yield* world.database.query(
          "SELECT (SELECT count(*)::int FROM transactions) AS transactions, (SELECT count(*)::int FROM logs) AS logs"
        )
        assert.deepStrictEqual(counted, { transactions: 18, logs: 6 })

        // As many blocks as before are not noticed by a server, one more is.
        yield* anvil.call("anvil_reorg", 2, [])
        yield* mineBlock(anvil)
        yield* isEqual(world, 7n)
        const [stored] = yield* world.database.query(
          "SELECT '0x' || encode(hash, 'hex') AS hash, (SELECT count(*)::int FROM _ampsync_reorgs WHERE table_name = 'blocks') AS reorgs FROM blocks WHERE _block_num = 7"
        )
        assert.deepStrictEqual(stored, { hash: yield* anvil.hashAt(7n), reorgs: 1 })
        yield* sync.kill("SIGTERM")
        assert.strictEqual((yield* sync.exited).code, 0)
      })
  )
})
