import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { Dialect } from "../../src/simulator/tables.ts"
import { startAmpsync } from "../support/ampsyncProcess.ts"
import { assertAlwaysRight } from "../support/compare.ts"
import { eventually } from "../support/eventually.ts"
import { awaitCanonicalChain, watchSnapshots } from "../support/snapshots.ts"
import { makeWorld, type World } from "../support/world.ts"

const provisionalRows = (world: World, table: string) =>
  Effect.map(
    world.database.query<{ rows: string }>(
      "SELECT provisional_rows AS rows FROM _ampsync_checkpoints WHERE table_name = $1",
      [
        table
      ]
    ),
    ([row]) => Number(row?.rows ?? 0)
  )

const isReady = (world: World) =>
  Effect.map(
    world.database.query("SELECT 1 FROM pg_tables WHERE schemaname = $1 AND tablename = '_ampsync_checkpoints'", [
      world.database.schema
    ]),
    (rows) => rows.length > 0
  )

describe.concurrent.each<Dialect>(["amp", "nozzle"])("the program against a server of the %s dialect", (dialect) => {
  it.live(
    "I1 is killed in the middle of a range, misses a reorg while it is down, and every row is right afterwards",
    () =>
      Effect.gen(function*() {
        // One range of 260 blocks in pieces of 150 rows: the kill comes while rows without a watermark are there.
        const world = yield* makeWorld({ dialect, blocks: 260, maxRangeBlocks: 1000, maxBatchRows: 150 })
        const { chain, faults } = world.simulator
        const snapshots = yield* watchSnapshots(world)
        // The range of logs has 24 pieces: on a busy machine as well, the kill comes before the last one.
        faults.delayMillis = 120
        const first = yield* startAmpsync(world.environment)
        yield* eventually(
          () => `provisional rows are there; the process printed:\n${first.output()}`,
          Effect.gen(function*() {
            if (!(yield* isReady(world))) return false
            return (yield* provisionalRows(world, "logs")) > 0
          })
        )
        yield* first.kill("SIGKILL")
        assert.strictEqual((yield* first.exited).signal, "SIGKILL")
        const provisional = yield* provisionalRows(world, "logs")
        assert.isAbove(provisional, 0, "the process was killed in the middle of a range")
        assert.isBelow(provisional, chain.countRows("logs"), "the process was killed in the middle of a range")

        faults.clear()
        chain.reorg(7)
        const second = yield* startAmpsync(world.environment)
        yield* awaitCanonicalChain(world)

        // Live: blocks one by one, reorgs of several depths that meet no earlier end of a range.
        for (const depth of [1, 0, 0, 4, 0, 11, 0]) {
          if (depth === 0) world.simulator.mine(1)
          else world.simulator.reorg(depth)
          yield* awaitCanonicalChain(world)
          // The watermark stays as it is for as long as a reader may need.
          yield* Effect.sleep(150)
        }
        yield* awaitCanonicalChain(world)

        yield* second.kill("SIGKILL")
        yield* second.exited
        world.simulator.reorg(60, 75)
        yield* Effect.scoped(Effect.gen(function*() {
          const third = yield* startAmpsync(world.environment)
          yield* awaitCanonicalChain(world)
          world.simulator.mine(3)
          yield* awaitCanonicalChain(world)
          yield* third.kill("SIGTERM")
          assert.strictEqual((yield* third.exited).code, 0, third.output())
        }))
        yield* assertAlwaysRight(world, snapshots)
        assert.isAbove(snapshots.checked(), 3, "snapshots were checked at several watermarks")
      }),
    180_000
  )
})
