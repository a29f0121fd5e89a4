import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { type SimulatorOptions, startSimulator } from "../../src/simulator/Simulator.ts"
import { startAmpsync } from "../support/ampsyncProcess.ts"
import { awaitCanonicalChain, awaitWatermark } from "../support/snapshots.ts"
import { makeWorld, type World } from "../support/world.ts"

/** Runs `verify` to its end. */
const verify = Effect.fnUntraced(function*(
  world: Pick<World, "environment">,
  table: string,
  ...args: ReadonlyArray<string>
) {
  const run = yield* startAmpsync(world.environment, ["verify", "--table", table, ...args])
  const { code } = yield* run.exited
  return { code, output: run.output() }
}, Effect.scoped)

/** The document of `--json`, without the lines of the log around it. */
const documentOf = ({ output }: { readonly output: string }): unknown => JSON.parse(/^\{[^]*?^\}$/m.exec(output)![0])

/** Syncs a chain of 40 blocks and some more through reorgs; the sync goes on. */
const syncThroughReorgs = Effect.fnUntraced(function*(world: World) {
  const { simulator } = world
  const sync = yield* startAmpsync(world.environment)
  yield* awaitCanonicalChain(world)
  // A nozzle server shows only with the next block that one is complete.
  for (
    const change of [
      () => simulator.mine(2),
      () => simulator.mine(3),
      () => simulator.reorg(2, 4),
      () => simulator.mine(1),
      () => simulator.reorg(3, 5),
      () => simulator.mine(1)
    ]
  ) {
    change()
    yield* awaitCanonicalChain(world)
  }
  return sync
})

const stopped = Effect.fnUntraced(function*(sync: Effect.Success<ReturnType<typeof startAmpsync>>) {
  yield* sync.kill("SIGTERM")
  assert.strictEqual((yield* sync.exited).code, 0)
})

describe("verify", () => {
  for (const dialect of ["amp", "nozzle"] as const) {
    it.live(
      `finds every row equal after reorgs while the sync runs, and names blocks changed by hand (${dialect})`,
      () =>
        Effect.gen(function*() {
          const world = yield* makeWorld({ dialect, blocks: 40 })
          const { query } = world.database
          const sync = yield* syncThroughReorgs(world)
          for (const table of ["blocks", "logs"]) {
            const { code, output } = yield* verify(world, table)
            assert.strictEqual(code, 0, output)
            assert.match(
              output,
              new RegExp(`^Table "${table}": \\d+ rows of blocks 0 to [45]\\d are as the server sends`, "m")
            )
            assert.include(output, "Bookkeeping: its counters and watermarks fit the table.")
          }
          // From a stored watermark on, without the blocks before it.
          const newest = yield* verify(world, "blocks", "--from", "43")
          assert.strictEqual(newest.code, 0, newest.output)
          assert.match(newest.output, /rows of blocks 43 to [45]\d are as the server sends them/)
          assert.notInclude(sync.output(), "Standing by")
          yield* stopped(sync)
          yield* query("DELETE FROM blocks WHERE _block_num = 20")
          yield* query(
            `INSERT INTO blocks SELECT (jsonb_populate_record(b, '{"_row_index": 7}')).* FROM blocks b WHERE _block_num = 21`
          )
          yield* query("UPDATE blocks SET gas_used = gas_used + 1 WHERE _block_num = 30")
          // One bit of one byte.
          yield* query("UPDATE blocks SET hash = set_byte(hash, 7, get_byte(hash, 7) # 1) WHERE _block_num = 35")
          const all = yield* verify(world, "blocks")
          assert.strictEqual(all.code, 3, all.output)
          assert.match(all.output, /4 blocks of blocks 0 to [45]\d differ .*, the first is block 20\./)
          assert.include(all.output, "block 20: 0 rows, 1 missing")
          assert.include(all.output, "block 21: 2 rows, 1 too many")
          assert.include(all.output, "block 30: 1 row, as many as the server sends, with other values")
          assert.include(all.output, "block 35: 1 row, as many as the server sends, with other values")
          assert.include(all.output, "while it is used: node dist/main.js resync --online --table blocks")
          assert.include(all.output, "stop the sync, and run: node dist/main.js resync --table blocks")
          const part = yield* verify(world, "blocks", "--from", "21", "--to", "29", "--json")
          assert.strictEqual(part.code, 3, part.output)
          const report = JSON.parse(part.output) as Record<string, unknown>
          assert.deepStrictEqual(report, {
            table: "blocks",
            outcome: "different",
            from: 21,
            to: 29,
            comparedTo: 29,
            serverEnd: null,
            rows: 10,
            differentBlocks: 1,
            rowsMissing: 0,
            rowsTooMany: 1,
            rowsWithOtherValues: 0,
            firstDifferentBlocks: [{ from: 21, to: 21, expected: 1, stored: 2 }],
            bookkeeping: [],
            notes: []
          })
        }),
      60_000
    )
  }

  it.live(
    "compares what the bookkeeping records with the rows, and needs no right but SELECT",
    () =>
      Effect.gen(function*() {
        const world = yield* makeWorld({ dialect: "amp", blocks: 30 })
        const { query } = world.database
        yield* stopped(yield* syncThroughReorgs(world))
        yield* query(
          `UPDATE _ampsync_checkpoints SET rows = rows + 2, provisional_rows = 5, origin_block = 1
         WHERE table_name = 'blocks'`
        )
        const role = `reader_${world.database.schema}`
        yield* Effect.acquireRelease(
          query(
            `CREATE ROLE ${role} LOGIN PASSWORD 'test'; GRANT USAGE ON SCHEMA ${world.database.schema} TO ${role};
           GRANT SELECT ON ALL TABLES IN SCHEMA ${world.database.schema} TO ${role}`
          ),
          () => Effect.andThen(query(`DROP OWNED BY ${role} CASCADE`), query(`DROP ROLE ${role}`))
        )
        const login = new URL(world.database.url)
        login.username = role
        login.password = "test"
        const environment = { ...world.environment, DATABASE_URL: login.href }
        const { code, output } = yield* verify({ environment }, "blocks", "--from", "2")
        assert.strictEqual(code, 3, output)
        assert.match(output, /rows of blocks 2 to \d+ are as the server sends them/)
        assert.match(output, /the table has (\d+) rows, and the counter "rows" is \d+/)
        assert.include(output, "0 rows are above the watermark, and provisional_rows is 5")
        assert.include(output, "1 rows are below the first block, 1")
      }),
    60_000
  )

  it.live(
    "compares rows that carry only the end of their range up to the ends that both sides have",
    () =>
      Effect.gen(function*() {
        const queries = { blocks: "SELECT hash, gas_used FROM anvil.blocks" }
        const world = yield* makeWorld({ dialect: "amp", blocks: 30, queries })
        const sync = yield* startAmpsync(world.environment)
        for (const block of [29n, 33n, 40n]) {
          yield* awaitWatermark(world, "blocks", block)
          if (block < 40n) world.simulator.mine(Number(block === 29n ? 4n : 7n))
        }
        yield* stopped(sync)
        const equal = yield* verify(world, "blocks")
        assert.strictEqual(equal.code, 0, equal.output)
        assert.include(equal.output, "41 rows of blocks 0 to 40 are as the server sends them")
        yield* world.database.query(
          "UPDATE blocks SET gas_used = gas_used + 1 WHERE _range_end = 33 AND _row_index = 0"
        )
        const differs = yield* verify(world, "blocks", "--from", "34")
        assert.strictEqual(differs.code, 0, differs.output)
        const all = yield* verify(world, "blocks")
        assert.strictEqual(all.code, 3, all.output)
        assert.match(all.output, /the first is the range \d+ to \d+\./)
      }),
    60_000
  )

  it.live(
    "leaves out blocks that were replaced instead of reporting them, and reports what cannot be compared",
    () =>
      Effect.gen(function*() {
        const world = yield* makeWorld({ dialect: "amp", blocks: 30 })
        yield* stopped(yield* syncThroughReorgs(world))
        const [row] = yield* world.database.query<{ watermark: string }>(
          "SELECT max_block_num AS watermark FROM _ampsync_checkpoints WHERE table_name = 'blocks'"
        )
        world.simulator.reorg(4, 9)
        const equal = yield* verify(world, "blocks")
        assert.strictEqual(equal.code, 4, equal.output)
        const partial = yield* verify(world, "blocks", "--json")
        assert.strictEqual(partial.code, 4, partial.output)
        assert.deepInclude(documentOf(partial), { outcome: "partial", differentBlocks: 0 })
        assert.match(equal.output, /rows of blocks 0 to \d\d are as the server sends them/)
        assert.match(
          equal.output,
          new RegExp(`Note: blocks \\d+ to ${row!.watermark} are not compared: they were replaced`)
        )
        yield* world.database.query("UPDATE blocks SET gas_used = 0 WHERE _block_num = 20")
        const differs = yield* verify(world, "blocks")
        assert.strictEqual(differs.code, 3, differs.output)
        assert.match(differs.output, /1 block of blocks 0 to \d\d differs .*, the first is block 20\./)
        for (
          const [args, reason] of [
            [["blocks", "--to", "99999"], `--to 99999 is above the watermark, block ${row!.watermark}`],
            [["block"], `the config has no table "block"; did you mean "blocks"?`]
          ] as const
        ) {
          const { code, output } = yield* verify(world, args[0], ...args.slice(1))
          assert.strictEqual(code, 2, output)
          assert.include(output, reason)
          const json = yield* verify(world, args[0], ...args.slice(1), "--json")
          assert.strictEqual(json.code, 2, json.output)
          assert.deepStrictEqual(documentOf(json), { table: args[0], outcome: "not compared", reason })
        }
      }),
    60_000
  )

  it.live(
    "leaves out no more than was replaced, as far as stored blocks show where that begins",
    () =>
      Effect.gen(function*() {
        const world = yield* makeWorld({ dialect: "amp", blocks: 30, maxRangeBlocks: 1 })
        const sync = yield* startAmpsync(world.environment)
        yield* awaitCanonicalChain(world)
        yield* stopped(sync)
        yield* world.database.query("UPDATE blocks SET gas_used = gas_used + 1 WHERE _block_num = 25")
        // Blocks 26 to 29.
        world.simulator.reorg(4, 9)
        const { code, output } = yield* verify(world, "blocks")
        assert.strictEqual(code, 3, output)
        assert.match(output, /1 block of blocks 0 to 25 differs .*, the first is block 25\./)
        assert.include(output, "Note: blocks 26 to 29 are not compared: they were replaced")
      }),
    60_000
  )

  it.live(
    "finds blocks of the server that lie before the recorded first block of the table",
    () =>
      Effect.gen(function*() {
        const world = yield* makeWorld({ dialect: "amp", blocks: 30 })
        yield* stopped(yield* syncThroughReorgs(world))
        yield* world.database.query(
          `WITH gone AS (DELETE FROM blocks WHERE _block_num < 10 RETURNING 1)
         UPDATE _ampsync_checkpoints SET rows = rows - (SELECT count(*) FROM gone), origin_block = 10
         WHERE table_name = 'blocks';
         DELETE FROM _ampsync_watermarks WHERE table_name = 'blocks' AND block_num < 10`
        )
        const { code, output } = yield* verify(world, "blocks")
        assert.strictEqual(code, 3, output)
        assert.match(output, /10 blocks of blocks 0 to \d+ differ .*, the first is block 0\./)
        assert.include(output, "Bookkeeping: its counters and watermarks fit the table.")
      }),
    60_000
  )

  it.live("goes on where a stream broke off, and reports a server that stays silent", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ dialect: "amp", blocks: 60, maxRangeBlocks: 10, maxBatchRows: 7 })
      const sync = yield* startAmpsync(world.environment)
      yield* awaitCanonicalChain(world)
      yield* stopped(sync)
      yield* world.database.query("UPDATE logs SET data = data || '\\x00' WHERE _block_num = 47")
      const { faults } = world.simulator
      faults.cutAfter(40)
      const resumed = yield* verify(world, "logs")
      assert.strictEqual(resumed.code, 3, resumed.output)
      assert.match(resumed.output, /1 block of blocks 0 to 59 differs .*, the first is block 47\./)
      faults.silenceCalls("DoGet")
      const silent = yield* verify(world, "logs", "--timeout", "5s")
      assert.strictEqual(silent.code, 1, silent.output)
      assert.include(silent.output, "the server sent nothing for 5s, and block 59 is not reached")
    }), 60_000)

  for (const dialect of ["amp", "nozzle"] as const) {
    it.live(
      `reports blocks that the chain of the server lacks, whether it is silent or replaces others (${dialect})`,
      () =>
        Effect.gen(function*() {
          const world = yield* makeWorld({ dialect, blocks: 60 })
          const sync = yield* startAmpsync(world.environment)
          yield* awaitCanonicalChain(world)
          // A nozzle server shows only with the next block that one is complete.
          world.simulator.mine(2)
          yield* awaitCanonicalChain(world)
          yield* stopped(sync)
          const against = Effect.fnUntraced(
            function*(options: Partial<SimulatorOptions>, ...args: ReadonlyArray<string>) {
              const other = yield* Effect.orDie(startSimulator({ seed: 7, dialect, ...options }))
              const environment = {
                ...world.environment,
                AMP_FLIGHT_ADDR: other.flightUrl,
                AMP_ADMIN_API_ADDR: other.adminUrl
              }
              return yield* verify({ environment }, "blocks", ...args)
            },
            Effect.scoped
          )
          // The same chain, 20 blocks shorter.
          const silent = yield* against({ blocks: 40 }, "--timeout", "5s")
          assert.strictEqual(silent.code, 3, silent.output)
          assert.match(
            silent.output,
            /The chain of the server ends at block 39: it has nothing of blocks 40 to \d\d, up to which the table is complete\./
          )
          if (dialect === "amp") {
            assert.include(silent.output, "40 rows of blocks 0 to 39 are as the server sends them")
            assert.notInclude(silent.output, "are not compared")
          }
          const growing = { blocks: 20, blockTime: "300 millis", reorgEvery: 2, reorgDepth: 2 } as const
          const replaced = yield* against(growing, "--timeout", "8s", "--json")
          assert.strictEqual(replaced.code, 3, replaced.output)
          const report = JSON.parse(replaced.output) as { outcome: string; serverEnd: number; to: number }
          assert.strictEqual(report.outcome, "different")
          assert.isBelow(report.serverEnd, report.to)
        }),
      60_000
    )
  }
})
