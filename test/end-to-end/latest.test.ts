import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { Dialect } from "../../src/simulator/tables.ts"
import { startAmpsync } from "../support/ampsyncProcess.ts"
import { eventually } from "../support/eventually.ts"
import { holdLock } from "../support/holdLock.ts"
import { readQueries, watchLatest } from "../support/latestSnapshots.ts"
import { Chains } from "../support/snapshots.ts"
import { makeWorld, type World } from "../support/world.ts"

const latestBlock = ({ database }: World) =>
  Effect.map(
    database.query<{ block_num: string }>("SELECT block_num FROM _ampsync_latest"),
    ([row]) => row === undefined ? -1n : BigInt(row.block_num)
  )

const hasBlock = ({ database }: World, table: string, number: bigint) =>
  Effect.map(database.query(`SELECT FROM ${table} WHERE _block_num = $1`, [number]), (rows) => rows.length > 0)

describe.concurrent.each<Dialect>(["amp", "nozzle"])("with a server of the %s dialect", (dialect) => {
  it.live(
    "up to the block of _ampsync_latest tables of different density show one chain in every snapshot, while reorgs come and connections break",
    () =>
      Effect.gen(function*() {
        const world = yield* makeWorld({ dialect, blocks: 60, maxRangeBlocks: 7, queries: readQueries })
        const { chain, faults, mine, reorg } = world.simulator
        const observation = yield* watchLatest(world, new Chains(chain))
        faults.delayMillis = 5
        const process = yield* startAmpsync(world.environment)
        yield* process.prints("Started reorg stream for table: sparse")
        yield* eventually("the tables have a block in common", Effect.map(latestBlock(world), (block) => block > 30n))
        for (const depth of [0, 1, 0, 3, 0, 0, 8, 1, 0, 2, 5, 0, 0, 12, 0, 1, 0, 4]) {
          if (depth === 0) mine(2)
          else reorg(depth)
          if (depth === 5) faults.cutAll()
          yield* Effect.sleep(120)
        }
        // A lock keeps one table on the chain that the others leave.
        for (const table of ["transactions", "sparse", "blocks", "by_range"]) {
          for (let block = 0; block < 3; block++) {
            mine(1)
            yield* eventually("the newest block is there", hasBlock(world, "blocks", chain.tip))
          }
          const lock = yield* holdLock(world.database, `LOCK TABLE ${table} IN SHARE MODE`)
          // More blocks than a range has, so that ranges of the new chain end at blocks at which those of the old one did.
          reorg(8)
          const other = table === "blocks" ? "transactions" : "blocks"
          yield* eventually(`table ${other} is on the new chain`, hasBlock(world, other, chain.tip))
          yield* Effect.sleep(200)
          yield* lock.release
        }
        // One by one: the table of all blocks records each of them, and so has whatever block another table records. Those of
        // the first generation are complete up to the last block but one that has rows of them.
        for (let block = 0; block < 11; block++) {
          mine(1)
          yield* eventually("the newest block is there", hasBlock(world, "blocks", chain.tip))
        }
        const { tip } = chain
        yield* eventually(
          () => `the tables agree at the end of the chain; the process printed:\n${process.output()}`,
          Effect.map(latestBlock(world), (block) => dialect === "amp" ? block === tip : block >= tip - 10n)
        )
        assert.deepStrictEqual(yield* observation.violations, [])
        assert.isAbove(observation.checked(), 3, "snapshots were compared at several blocks")
        assert.notInclude(process.output(), "is parked")
      }),
    120_000
  )
})
