/** Tables whose rows wait for confirmations, from the server to readers of the database. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, type Scope } from "effect"
import type { Dialect } from "../../src/simulator/tables.ts"
import { startAmpsync } from "../support/ampsyncProcess.ts"
import { eventually } from "../support/eventually.ts"
import { readQueries, watchLatest } from "../support/latestSnapshots.ts"
import { replaceConfig, rowsOf, startSync, writerEpochs } from "../support/runningSync.ts"
import { Chains, watchSnapshots } from "../support/snapshots.ts"
import { makeWorld, manifestOf, type Queries, type World } from "../support/world.ts"

/** The source is asked more often than every 15 s, so that the tests are short. */
const quickly = { sourceHead: { interval: "300 millis" } } as const

const dialects: ReadonlyArray<Dialect> = ["amp", "nozzle"]

/** The queries, with a number of confirmations for some of the tables. */
const configOf = (dialect: Dialect, queries: Queries, confirmations: Readonly<Record<string, number>> = {}) => {
  const { tables, ...rest } = manifestOf(dialect, queries) as { tables: Record<string, object> }
  return {
    ...rest,
    tables: Object.fromEntries(
      Object.entries(tables).map(([name, table]) => [
        name,
        confirmations[name] === undefined ? table : { ...table, confirmations: confirmations[name] }
      ])
    )
  }
}

const highest = ({ database }: World, table: string) =>
  Effect.map(
    database.query<{ block: string | null }>(`SELECT max(_block_num) AS block FROM ${table}`),
    ([row]) => row?.block == null ? -1n : BigInt(row.block)
  )

const exists = ({ database }: World, table: string) =>
  Effect.map(
    database.query("SELECT FROM pg_tables WHERE schemaname = $1 AND tablename = $2", [database.schema, table]),
    (found) => found.length > 0
  )

/** Waits until the highest visible block of a table, provisional ones included, is `block`. */
const awaitHighest = (world: World, table: string, block: bigint) =>
  eventually(
    `table ${table} ends with block ${block}`,
    Effect.gen(function*() {
      return (yield* exists(world, table)) && (yield* highest(world, table)) === block
    })
  )

/** Reads over and over that no row is visible above the chain's tip without its confirmations; returns what contradicts it. */
const watchConfirmations = Effect.fnUntraced(function*(
  world: World,
  table: string,
  confirmations: bigint
): Effect.fn.Return<Effect.Effect<ReadonlyArray<string>>, never, Scope.Scope> {
  const { chain } = world.simulator
  const violations: Array<string> = []
  const check = Effect.gen(function*() {
    if (!(yield* exists(world, table))) return
    const seen = yield* highest(world, table)
    // The tip only grows, so one that is read later than the rows allows no more than was right.
    const { tip } = chain
    if (seen + confirmations > tip) violations.push(`block ${seen} is visible, the chain ends at ${tip}`)
  })
  const fiber = yield* Effect.forkScoped(Effect.forever(Effect.andThen(check, Effect.sleep("25 millis"))))
  return Effect.map(Fiber.interrupt(fiber), () => violations)
})

const reorgsLogged = ({ database }: World) => database.query("SELECT first_block FROM _ampsync_reorgs")

/** Whether the rows are exactly the canonical chain up to some block, and up to `block` at least. */
const isChainUpTo = Effect.fnUntraced(function*({ database, simulator: { chain } }: World, block: bigint) {
  const rows = yield* database.query<{ number: string; hash: string }>(
    "SELECT _block_num AS number, '0x' || encode(hash, 'hex') AS hash FROM blocks ORDER BY 1"
  )
  return BigInt(rows.length) > block &&
    rows.every(({ hash, number }, index) => index === Number(number) && chain.hashAt(BigInt(number)) === hash)
})

/** Mines one block after the other until the highest visible one is `block` or higher. */
const mineUntilVisible = (world: World, block: bigint) =>
  eventually(
    `block ${block} is visible`,
    Effect.gen(function*() {
      if ((yield* exists(world, "blocks")) && (yield* highest(world, "blocks")) >= block) return true
      world.simulator.mine(1)
      return false
    })
  )

const blocks = { blocks: "SELECT * FROM anvil.blocks" }

describe.each(dialects)("with a server of the %s dialect", (dialect) => {
  it.live(
    "no reader sees a row without its confirmations, shallow reorgs leave no trace, and deeper ones are undone",
    () =>
      Effect.gen(function*() {
        const world = yield* makeWorld({ dialect, blocks: 40, queries: blocks })
        const { chain, faults, mine, reorg } = world.simulator
        const early = yield* watchConfirmations(world, "blocks", 4n)
        const snapshots = yield* watchSnapshots(world, ["blocks"], new Chains(chain))
        const sync = yield* startSync({ ...world.environment, CONFIRMATIONS: "4" }, quickly)
        yield* mineUntilVisible(world, 45n)
        for (let step = 0; step < 12; step += 1) {
          if (step % 3 === 2) reorg(1 + step % 4)
          else mine(1)
          if (step === 6) faults.cutAll()
          yield* Effect.sleep("60 millis")
        }
        yield* mineUntilVisible(world, chain.tip)
        assert.isTrue(yield* isChainUpTo(world, chain.tip - 30n))
        assert.deepStrictEqual(yield* reorgsLogged(world), [])
        assert.strictEqual((yield* sync.status.get).get("blocks")?.reorgs, 0)
        assert.isFalse(sync.lines.some((line) => line.includes("Reorg detected")))

        const visible = yield* highest(world, "blocks")
        reorg(Number(chain.tip - visible) + 3)
        yield* eventually(
          "what was replaced is deleted before its replacement is confirmed",
          Effect.map(highest(world, "blocks"), (block) => block <= visible - 3n)
        )
        assert.isTrue(yield* isChainUpTo(world, 0n))
        yield* mineUntilVisible(world, chain.tip)
        assert.isTrue(yield* isChainUpTo(world, visible + 1n))
        assert.isNotEmpty(yield* reorgsLogged(world))
        assert.deepStrictEqual(yield* early, [])
        assert.deepStrictEqual(yield* snapshots.violations, [])
        assert.isAbove(snapshots.checked(), 3)
      }),
    60_000
  )

  it.live(
    "a process that is killed while rows wait loses nothing, and shows none of them too early",
    () =>
      Effect.gen(function*() {
        const world = yield* makeWorld({ dialect, blocks: 30, queries: blocks })
        const { chain, reorg } = world.simulator
        const environment = { ...world.environment, CONFIRMATIONS: "6" }
        const early = yield* watchConfirmations(world, "blocks", 6n)
        const first = yield* startAmpsync(environment)
        yield* mineUntilVisible(world, 29n)
        yield* first.kill("SIGKILL")
        yield* first.exited
        // What waited is replaced while no process is there.
        reorg(5)
        const second = yield* startAmpsync(environment)
        yield* second.prints("Resuming table 'blocks'")
        yield* mineUntilVisible(world, chain.tip)
        assert.isTrue(yield* isChainUpTo(world, 29n))
        assert.deepStrictEqual(yield* reorgsLogged(world), [])
        assert.deepStrictEqual(yield* early, [])
      }),
    60_000
  )

  it.live(
    "the last rows of a table without later ones are written once the source confirms them",
    () =>
      Effect.gen(function*() {
        const queries = { few: "SELECT _block_num, log_index FROM anvil.logs WHERE block_num < 20" }
        const world = yield* makeWorld({ dialect, blocks: 22, queries })
        const { mine } = world.simulator
        const sync = yield* startSync({ ...world.environment, CONFIRMATIONS: "30" }, quickly)
        yield* eventually(
          "its rows wait",
          Effect.map(sync.status.get, (tables) => (tables.get("few")?.held.rows ?? 0) > 0)
        )
        yield* Effect.sleep("500 millis")
        assert.strictEqual(yield* rowsOf(world, "few"), 0)
        mine(40)
        yield* eventually("they are written", Effect.map(rowsOf(world, "few"), (rows) => (rows ?? 0) > 0))
        yield* eventually(
          "and the table has caught up",
          Effect.map(sync.status.get, (tables) => tables.get("few")?.phase === "caught up")
        )
        assert.strictEqual((yield* sync.status.get).get("few")?.held.rows, 0)
      }),
    60_000
  )

  it.live(
    "a change of the number in the config restarts only that table: fewer show more, and more take nothing away",
    () =>
      Effect.gen(function*() {
        const queries = { ...blocks, others: "SELECT * FROM anvil.blocks" }
        const world = yield* makeWorld({ dialect, blocks: 40, maxRangeBlocks: 1, queries })
        const { chain, mine } = world.simulator
        yield* replaceConfig(world, configOf(dialect, queries, { blocks: 10, others: 3 }))
        const sync = yield* startSync(world.environment, quickly)
        yield* awaitHighest(world, "blocks", 29n)
        yield* awaitHighest(world, "others", 36n)
        const before = yield* writerEpochs(world)
        yield* replaceConfig(world, configOf(dialect, queries, { blocks: 2, others: 3 }))
        yield* awaitHighest(world, "blocks", 37n)
        yield* replaceConfig(world, configOf(dialect, queries, { blocks: 20, others: 3 }))
        yield* sync.logs("Successfully loaded new manifest", sync.lines.length)
        yield* eventually(
          "it is started again with the new number",
          Effect.map(sync.status.get, (tables) => tables.get("blocks")?.confirmations === 20)
        )
        mine(3)
        yield* awaitHighest(world, "others", chain.tip - 3n)
        assert.strictEqual(yield* highest(world, "blocks"), 37n)
        const after = yield* writerEpochs(world)
        assert.strictEqual(after["others"], before["others"])
        assert.isAbove(after["blocks"]!, before["blocks"]!)
      }),
    60_000
  )
})

it.live(
  "up to _ampsync_latest tables with different confirmations show one chain in every snapshot",
  () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ dialect: "amp", blocks: 40, maxRangeBlocks: 7, queries: readQueries })
      const { chain, mine, reorg } = world.simulator
      yield* replaceConfig(world, configOf("amp", readQueries, { transactions: 5, sparse: 2, by_range: 3 }))
      const observation = yield* watchLatest(world, new Chains(chain))
      yield* startSync(world.environment, quickly)
      for (const depth of [0, 1, 0, 3, 0, 8, 1, 0, 2, 0, 0, 4]) {
        if (depth === 0) mine(2)
        else reorg(depth)
        yield* Effect.sleep("80 millis")
      }
      const { tip } = chain
      yield* eventually(
        "the tables have a later block in common",
        Effect.gen(function*() {
          mine(1)
          const [row] = yield* world.database.query<{ found: boolean }>(
            "SELECT to_regclass('_ampsync_latest') IS NOT NULL AS found"
          )
          if (row?.found !== true) return false
          const [latest] = yield* world.database.query<{ block_num: string }>("SELECT block_num FROM _ampsync_latest")
          return latest !== undefined && BigInt(latest.block_num) > tip
        })
      )
      assert.deepStrictEqual(yield* observation.violations, [])
      assert.isAbove(observation.checked(), 1)
    }),
  60_000
)

it.live(
  "I8 a range larger than CONFIRMATIONS_MAX_MB is not read to its end before the source confirms it",
  () =>
    Effect.gen(function*() {
      const queries = { logs: "SELECT * FROM anvil.logs" }
      const world = yield* makeWorld({ dialect: "nozzle", blocks: 1_500, queries })
      const { chain, mine } = world.simulator
      const all = chain.countRows("logs", 0n)
      const environment = { ...world.environment, CONFIRMATIONS: "5", CONFIRMATIONS_MAX_MB: "1" }
      const sync = yield* startSync(environment, quickly)
      const held = Effect.map(sync.status.get, (tables) => tables.get("logs")?.held ?? { bytes: 0, rows: 0 })
      yield* eventually("the memory is used up", Effect.map(held, ({ bytes }) => bytes >= 1024 * 1024))
      yield* Effect.sleep("1 second")
      const { bytes, rows } = yield* held
      assert.isBelow(bytes, 4 * 1024 * 1024)
      assert.isBelow(rows, all / 2)
      assert.strictEqual(yield* rowsOf(world, "logs"), 0)
      mine(5)
      yield* eventually("every row is there", Effect.map(rowsOf(world, "logs"), (now) => now === all), 30_000)
    }),
  60_000
)
