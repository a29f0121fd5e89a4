import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Stream } from "effect"
import { changes, layerWithSettings, resync, resyncOnline, rewind, type TableChange } from "../../src/index.ts"
import { differences } from "../support/compare.ts"
import { eventually } from "../support/eventually.ts"
import { awaitCanonicalChain, awaitWatermark } from "../support/snapshots.ts"
import { makeWorld } from "../support/world.ts"

const columns = ["_block_num", "hash"]
const queries = { blocks: `SELECT ${columns.join(", ")} FROM anvil.blocks` }

describe("operations from code", () => {
  it.live(
    "rewind and empty a table that no process writes, and fill one again while this process writes it",
    () =>
      Effect.gen(function*() {
        const world = yield* makeWorld({ dialect: "amp", blocks: 40, maxRangeBlocks: 7, queries })
        const settings = { ...world.environment }
        const table = "blocks"
        yield* Effect.scoped(Effect.gen(function*() {
          yield* awaitCanonicalChain(world, ["blocks"])
          const seen: Array<TableChange> = []
          yield* changes.pipe(
            Stream.runForEach((change) => Effect.sync(() => seen.push(change))),
            Effect.forkScoped
          )
          const held = yield* Effect.flip(rewind({ table, toBlock: 20n, settings }))
          assert.strictEqual(held._tag, "TableHeld")
          assert.strictEqual((yield* Effect.flip(resync({ table, settings })))._tag, "TableHeld")
          const elsewhere = { ...settings, DATABASE_SCHEMA: "nowhere" }
          assert.include((yield* Effect.flip(rewind({ table, toBlock: 20n, settings: elsewhere }))).message, "nowhere")
          yield* eventually("it has the first baseline", Effect.sync(() => seen.length === 1))
          yield* world.database.query("UPDATE blocks SET hash = '\\x00' WHERE _block_num = 9")
          assert.deepInclude(yield* resyncOnline({ table, settings }), { rowsRemoved: 1, rowsAdded: 1, firstBlock: 9n })
          yield* eventually("the rows have another baseline", Effect.sync(() => seen.length > 1))
          assert.deepStrictEqual(seen, [seen[0]!, seen[0]!])
          const unknown = yield* Effect.flip(resyncOnline({ table: "block", settings }))
          assert.include(
            unknown.message,
            `table "block" is as it was: table "block" is rejected: the config has no table "block"`
          )
          world.simulator.reorg(3)
          yield* awaitCanonicalChain(world, ["blocks"])
        })).pipe(Effect.provide(layerWithSettings(settings)))
        // Only the settings of the database are read.
        const { DATABASE_SCHEMA, DATABASE_URL } = settings
        const database = { DATABASE_SCHEMA: DATABASE_SCHEMA!, DATABASE_URL: DATABASE_URL! }
        const rewound = yield* rewind({ table, toBlock: 20n, settings: database })
        assert.deepInclude(rewound, { rowsRemoved: 20 })
        assert.strictEqual(rewound.watermark.block, 20n)
        const again = yield* rewind({ table, toBlock: 20n, settings: database })
        assert.deepStrictEqual([again.rowsRemoved, again.before], [0, again.watermark])
        assert.strictEqual(
          (yield* Effect.flip(rewind({ table: "none", toBlock: 1n, settings: database })))._tag,
          "TableRejected"
        )
        assert.strictEqual(yield* resync({ table, settings: database }), 21)
        assert.deepStrictEqual(yield* world.database.query("SELECT FROM blocks"), [])
        yield* Layer.build(layerWithSettings(settings))
        yield* awaitWatermark(world, table, 40n)
        assert.deepStrictEqual(yield* differences(world, "blocks", { columns }), [])
      }),
    60_000
  )
})

describe("an app", () => {
  it.live("may have two syncs, each with settings and services of its own", () =>
    Effect.gen(function*() {
      const [one, two] = [
        yield* makeWorld({ dialect: "amp", blocks: 10, queries }),
        yield* makeWorld({ dialect: "nozzle", blocks: 20, queries })
      ]
      const [first, second] = [one, two].map(({ environment }) => layerWithSettings({ ...environment }))
      yield* Layer.build(Layer.merge(first!, second!))
      for (const world of [one, two]) yield* awaitCanonicalChain(world, ["blocks"])
    }))
})
