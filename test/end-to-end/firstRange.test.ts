/** Reorgs inside of the first range that a table ever stored: nothing older is stored that could prove where the chains meet. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { BlockSource } from "../../src/simulator/BlockSource.ts"
import { startSimulator } from "../../src/simulator/Simulator.ts"
import type { Dialect } from "../../src/simulator/tables.ts"
import { startAmpsync } from "../support/ampsyncProcess.ts"
import { allDifferences } from "../support/compare.ts"
import { awaitCanonicalChain, awaitWatermark } from "../support/snapshots.ts"
import { makeWorld } from "../support/world.ts"

const queries = { logs: "SELECT * FROM anvil.logs" }
const BLOCKS = 12
/** A block that has no logs in a child of `fork`, and has some in the first chain, whatever the hash of the parent is. */
const logsOf = (seed: number, fork: number, number: number): number =>
  new BlockSource(seed, { fork, number: BigInt(number) }, new Uint8Array(32)).logs

/** A chain whose first reorg, at `block`, begins with a block without logs in the place of one with logs. */
const seedWith = (block: number): number => {
  for (let seed = 1; seed < 10_000; seed += 1) {
    if (logsOf(seed, 0, block) > 0 && logsOf(seed, 1, block) === 0 && logsOf(seed, 1, block + 1) > 0) return seed
  }
  throw new Error("no such chain")
}

/** Where the chains diverge. */
const FORKS = { "in its middle": 6, "from its first block on": 0 } as const

const cases = (Object.keys(FORKS) as ReadonlyArray<keyof typeof FORKS>).flatMap((where) =>
  (["amp", "nozzle"] satisfies ReadonlyArray<Dialect>).map((dialect) => [where, dialect] as const)
)

describe.concurrent("a reorg inside of the first stored range", () => {
  it.live.each(cases)(
    "I2 %s leaves no row of an orphaned block, though its first new block has no rows (%s)",
    ([where, dialect]) =>
      Effect.gen(function*() {
        const block = FORKS[where]
        const options = { dialect, seed: seedWith(block), blocks: BLOCKS }
        const world = yield* makeWorld({ ...options, queries })
        yield* Effect.scoped(Effect.gen(function*() {
          const process = yield* startAmpsync(world.environment)
          yield* awaitCanonicalChain(world, ["logs"])
          // A nozzle range is complete with the one after it.
          if (dialect === "nozzle") world.simulator.mine(1)
          yield* awaitWatermark(world, "logs", BigInt(BLOCKS - 1))
          yield* process.kill("SIGTERM")
          yield* process.exited
        }))
        const stored = yield* world.database.query("SELECT block_num FROM _ampsync_watermarks")
        assert.deepStrictEqual(stored, [{ block_num: String(BLOCKS - 1) }])
        // The same server, which now serves a range per block, and has a longer chain from `block` on.
        const simulator = yield* Effect.orDie(startSimulator({ ...options, blocks: BLOCKS + 1, maxRangeBlocks: 1 }))
        simulator.reorg(BLOCKS + 1 - block, BLOCKS + 4 - block)
        assert.isTrue([...simulator.chain.rows("logs", BigInt(block), BigInt(block))].length === 0)
        const later = { ...world, simulator }
        const process = yield* startAmpsync({
          ...world.environment,
          AMP_FLIGHT_ADDR: simulator.flightUrl,
          AMP_ADMIN_API_ADDR: simulator.adminUrl
        })
        yield* awaitCanonicalChain(later, ["logs"])
        simulator.mine(2)
        yield* awaitCanonicalChain(later, ["logs"])
        assert.notInclude(process.output(), "is parked")
        if (dialect === "amp") assert.deepStrictEqual(yield* allDifferences(later, ["logs"]), [])
      })
  )
})
