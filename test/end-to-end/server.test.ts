import { assert, describe, it } from "@effect/vitest"
import { status } from "@grpc/grpc-js"
import { Effect } from "effect"
import { type Dialect, TABLE_NAMES } from "../../src/simulator/tables.ts"
import { startAmpsync } from "../support/ampsyncProcess.ts"
import { allDifferences, assertAlwaysRight, differences } from "../support/compare.ts"
import { eventually } from "../support/eventually.ts"
import { awaitCanonicalChain, awaitWatermark, watchSnapshots } from "../support/snapshots.ts"
import { makeWorld, type World } from "../support/world.ts"

const dialects: ReadonlyArray<Dialect> = ["amp", "nozzle"]

/** Runs the program until the tables hold the chain, and stops it as an operator does. */
const syncOnce = (world: World, more: Readonly<Record<string, string>> = {}) =>
  Effect.scoped(Effect.gen(function*() {
    const process = yield* startAmpsync({ ...world.environment, ...more })
    yield* awaitCanonicalChain(world)
    yield* process.kill("SIGTERM")
    assert.strictEqual((yield* process.exited).code, 0, process.output())
  }))

const rowsOf = ({ database }: World) =>
  Effect.forEach(
    TABLE_NAMES,
    (table) =>
      Effect.map(database.query<{ n: string }>(`SELECT count(*) AS n FROM ${table}`), ([row]) => Number(row?.n))
  )

describe.concurrent.each(dialects)("with a server of the %s dialect", (dialect) => {
  it.live(
    "every row arrives although the server starts late, resets, fails, falls silent and ends streams without an error",
    () =>
      Effect.gen(function*() {
        const world = yield* makeWorld({ dialect, blocks: 80, maxRangeBlocks: 25, maxBatchRows: 60 })
        const { faults, mine, reorg } = world.simulator
        const snapshots = yield* watchSnapshots(world)
        faults.failAdmin(503, 2)
        faults.failNext("any", status.UNAVAILABLE, "not yet", 3)
        faults.delayMillis = 10
        faults.cutAfter(9)
        faults.failAfter(21, status.INTERNAL, "streaming query execution error: injected")
        const process = yield* startAmpsync({ ...world.environment, RUST_LOG: "debug" })
        yield* awaitCanonicalChain(world)
        faults.delayMillis = 0
        faults.silence()
        world.simulator.chain.mine(6)
        yield* Effect.sleep(700)
        faults.resume()
        yield* awaitCanonicalChain(world)
        faults.cutAll()
        reorg(9)
        yield* awaitCanonicalChain(world)
        faults.endStreams()
        mine(2)
        yield* awaitCanonicalChain(world)
        // A range that is cut once is delivered again from its beginning, with other rows of the same blocks in other pieces.
        faults.cutAfter(3)
        reorg(17, 40)
        yield* awaitCanonicalChain(world)
        yield* assertAlwaysRight(world, snapshots)
        assert.notInclude(process.output(), "is parked")
      }),
    180_000
  )

  it.live(
    "I2 a server that lost the blocks it replaced is asked from older ones, and orphaned rows are replaced",
    () =>
      Effect.gen(function*() {
        const world = yield* makeWorld({ dialect, blocks: 60, maxRangeBlocks: 4 })
        const { chain, reorg } = world.simulator
        const snapshots = yield* watchSnapshots(world)
        yield* syncOnce(world)
        reorg(13, 20)
        chain.forgetOrphans()
        yield* syncOnce(world)
        assert.deepStrictEqual(yield* allDifferences(world), [])
        // And while it is connected.
        const process = yield* startAmpsync(world.environment)
        yield* process.prints("Started reorg stream for table: logs")
        reorg(6, 9)
        chain.forgetOrphans()
        yield* awaitCanonicalChain(world)
        yield* assertAlwaysRight(world, snapshots)
      }),
    180_000
  )

  it.live(
    "I2 a server that ignores the cursor costs no row: a long table is parked with the reason, and synced once it is fixed",
    () =>
      Effect.gen(function*() {
        const world = yield* makeWorld({ dialect, blocks: 300, maxRangeBlocks: 50 })
        const { faults, mine } = world.simulator
        yield* syncOnce(world)
        const before = yield* rowsOf(world)
        faults.ignoreResume = true
        yield* Effect.scoped(Effect.gen(function*() {
          const process = yield* startAmpsync(world.environment)
          for (const table of TABLE_NAMES) {
            yield* process.prints(new RegExp(`Table '${table}' is parked.*another chain.*resume header`))
          }
          yield* process.kill("SIGTERM")
          assert.strictEqual((yield* process.exited).code, 0)
        }))
        assert.deepStrictEqual(yield* rowsOf(world), before)
        faults.ignoreResume = false
        mine(3)
        yield* syncOnce(world)
        assert.deepStrictEqual(yield* allDifferences(world), [])
      }),
    180_000
  )

  it.live(
    "I2 another chain at the same address parks the tables and keeps their rows; ON_CHAIN_RESET=resync takes it over",
    () =>
      Effect.gen(function*() {
        const world = yield* makeWorld({ dialect, blocks: 260, maxRangeBlocks: 50 })
        const { chain } = world.simulator
        yield* syncOnce(world)
        const before = yield* rowsOf(world)
        chain.reset({ blocks: 290 })
        yield* Effect.scoped(Effect.gen(function*() {
          const process = yield* startAmpsync(world.environment)
          for (const table of TABLE_NAMES) {
            yield* process.prints(new RegExp(`Table '${table}' is parked.*another chain`))
          }
        }))
        assert.deepStrictEqual(yield* rowsOf(world), before)
        yield* syncOnce(world, { ON_CHAIN_RESET: "resync" })
        assert.deepStrictEqual(yield* allDifferences(world), [])
      }),
    180_000
  )

  it.live(
    "I4 a table whose query the server rejects leaves its siblings alone, also when they start again",
    () =>
      Effect.gen(function*() {
        const world = yield* makeWorld({
          dialect,
          blocks: 40,
          queries: {
            blocks: "SELECT * FROM anvil.blocks",
            broken: "SELECT no_such_column FROM anvil.blocks",
            missing: "SELECT * FROM anvil.nothing",
            "joined": "SELECT _block_num, sum(gas_used) FROM anvil.blocks GROUP BY _block_num",
            logs: "SELECT * FROM anvil.logs"
          }
        })
        const { faults, mine } = world.simulator
        const process = yield* startAmpsync(world.environment)
        const healthy = ["blocks", "logs"] as const
        yield* awaitCanonicalChain(world, healthy)
        yield* process.prints(/no_such_column/)
        yield* process.prints(/Table 'joined' is parked/)
        faults.cutAll()
        mine(4)
        yield* awaitCanonicalChain(world, healthy)
        yield* process.prints(/broken.*\(attempt 3\/5\)/)
        mine(4)
        yield* awaitCanonicalChain(world, healthy)
        assert.deepStrictEqual(yield* allDifferences(world, healthy), [])
      }),
    180_000
  )

  it.live(
    "queries without a block number, with chosen columns, and tables with names that need quoting follow the chain too",
    () =>
      Effect.gen(function*() {
        const strange = "Übungs\"Tabelle; DROP TABLE x"
        const long = "t".repeat(63)
        const columns = ["hash", "timestamp", "gas_used", "nonce"]
        const chosen = ["_block_num", "tx_hash", "to", "from", "value"]
        const world = yield* makeWorld({
          dialect,
          blocks: 50,
          maxRangeBlocks: 20,
          maxBatchRows: 30,
          queries: {
            ranged: `SELECT ${columns.join(", ")} FROM anvil.blocks`,
            [strange]: `SELECT _block_num, tx_hash, "to", "from", value FROM anvil.transactions`,
            [long]: "SELECT * FROM anvil.logs",
            order: "SELECT block_num, hash FROM anvil.blocks"
          }
        })
        const { chain, mine, reorg } = world.simulator
        const all = Effect.map(
          Effect.all([
            differences(world, "blocks", { as: "ranged", columns }),
            differences(world, "transactions", { as: strange, columns: chosen }),
            differences(world, "logs", { as: long }),
            differences(world, "blocks", { as: "order", columns: ["block_num", "hash"] })
          ]),
          (found) => found.flat()
        )
        const awaitEqual = (what: string) => {
          let found: ReadonlyArray<string> = []
          return eventually(
            () => `${what}: ${found.join("\n")}`,
            Effect.map(Effect.tap(all, (now) => Effect.sync(() => found = now)), (now) => now.length === 0)
          )
        }
        const process = yield* startAmpsync(world.environment)
        yield* awaitWatermark(world, "order", dialect === "amp" ? 49n : 39n)
        yield* process.prints(new RegExp(`Started reorg stream for table: ${long}`))
        yield* awaitEqual("history")
        mine(3)
        yield* awaitEqual("new blocks")
        reorg(5)
        yield* awaitEqual("a reorg")
        reorg(14, 30)
        yield* awaitEqual("a reorg in the middle of stored ranges")
        yield* process.kill("SIGKILL")
        yield* process.exited
        reorg(3)
        chain.mine(2)
        yield* startAmpsync(world.environment)
        yield* awaitEqual("a reorg while it was down")
      }),
    180_000
  )
})
