import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { Dialect } from "../../src/simulator/tables.ts"
import { startAmpsync } from "../support/ampsyncProcess.ts"
import { differences } from "../support/compare.ts"
import { eventually } from "../support/eventually.ts"
import { holdsCanonicalChain } from "../support/snapshots.ts"
import { makeWorld, type World } from "../support/world.ts"

const columns = ["_block_num", "block_num", "hash"]
const queries = { blocks: `SELECT ${columns.join(", ")} FROM anvil.blocks` }

const syncOnce = Effect.fnUntraced(function*(world: World) {
  const sync = yield* startAmpsync(world.environment)
  yield* eventually(
    () => `the table holds the chain; the process printed:\n${sync.output()}`,
    holdsCanonicalChain(world, ["blocks"])
  )
  yield* sync.kill("SIGTERM")
  assert.strictEqual((yield* sync.exited).code, 0)
}, Effect.scoped)

const rewind = (world: World, toBlock: number, ...args: ReadonlyArray<string>) =>
  startAmpsync(world.environment, ["rewind", "--table", "blocks", "--to-block", String(toBlock), ...args])

const lastBlock = ({ database }: World) =>
  Effect.map(
    database.query<{ n: string; watermark: string }>(
      "SELECT (SELECT max(_block_num) FROM blocks) AS n, max_block_num AS watermark FROM _ampsync_checkpoints"
    ),
    ([row]) => [Number(row!.n), Number(row!.watermark)]
  )

describe("rewind", () => {
  it.live.each<Dialect>(["amp", "nozzle"])(
    "removes the newest blocks, which the next start reads again, with a %s server that had a reorg meanwhile",
    (dialect) =>
      Effect.gen(function*() {
        const world = yield* makeWorld({ dialect, blocks: 60, maxRangeBlocks: 7, queries })
        yield* syncOnce(world)
        const run = yield* rewind(world, 40, "--yes")
        assert.strictEqual((yield* run.exited).code, 0, run.output())
        assert.match(
          run.output(),
          /rewound from block \d+ to block 34, its newest watermark at or below 40; 25 rows deleted/
        )
        assert.deepStrictEqual(yield* lastBlock(world), [34, 34])
        world.simulator.reorg(30)
        yield* syncOnce(world)
        assert.deepStrictEqual(yield* differences(world, "blocks", { columns }), [])
      })
  )

  it.live("changes nothing while a process writes the table, without a terminal to confirm on, or below every watermark", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ dialect: "amp", blocks: 60, maxRangeBlocks: 7, queries })
      yield* Effect.scoped(Effect.gen(function*() {
        const sync = yield* startAmpsync(world.environment)
        yield* eventually("the table holds the chain", holdsCanonicalChain(world, ["blocks"]))
        const run = yield* rewind(world, 40, "--yes")
        assert.strictEqual((yield* run.exited).code, 1)
        assert.match(run.output(), new RegExp(`is being written by .* pid ${sync.pid} .*; stop that process first`))
        yield* sync.kill("SIGTERM")
        yield* sync.exited
      }))
      const unconfirmed = yield* rewind(world, 40)
      assert.strictEqual((yield* unconfirmed.exited).code, 2)
      assert.include(unconfirmed.output(), "there is no terminal to confirm on; pass --yes")
      const tooLow = yield* rewind(world, 3, "--yes")
      assert.strictEqual((yield* tooLow.exited).code, 1)
      assert.include(tooLow.output(), "no watermark at or below block 3 is recorded; the oldest is that of block 6")
      const nothing = yield* rewind(world, 1000, "--yes")
      assert.strictEqual((yield* nothing.exited).code, 0)
      assert.include(nothing.output(), `Table "blocks": nothing to rewind; it is complete up to block 59.`)
      assert.deepStrictEqual(yield* lastBlock(world), [59, 59])
      assert.deepStrictEqual(yield* world.database.query("SELECT FROM _ampsync_reorgs"), [])
    }))
})
