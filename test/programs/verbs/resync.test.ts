import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Console, Duration, Effect, Fiber, Layer } from "effect"
import { layer as poolLayer } from "../../../src/layers/PgPool.ts"
import { layer as sinkLayer } from "../../../src/layers/TableSink.ts"
import { connectAndResync, resync, resyncAll } from "../../../src/programs/verbs/resync.ts"
import { bookkeepingLayers } from "../../support/bookkeeping.ts"
import { prepareTable } from "../../support/chunks.ts"
import { eventually } from "../../support/eventually.ts"
import { holdLock } from "../../support/holdLock.ts"
import type { TestDatabase } from "../../support/postgres.ts"
import { BLOCK, commitRows, field, processOn, readyBench, requestOf } from "../../support/sinkBench.ts"
import { terminal } from "../../support/terminal.ts"
import { testSettings } from "../../support/testSettings.ts"

const columns = [BLOCK, field("note")]

/** A table with rows up to block 2 that no process writes any more. */
const filledTable = Effect.fnUntraced(function*() {
  const { database, leases, sink } = yield* readyBench()
  const writer = yield* prepareTable(sink, requestOf("t", columns))
  yield* commitRows(writer, columns, [[0n, "a"], [1n, "b"], [2n, "c"]])
  yield* leases.release("t")
  return database
})

/** A process that resyncs the table, and its output. */
const resyncing = (
  database: TestDatabase,
  options: {
    readonly yes: boolean
    readonly key?: string | undefined
    readonly all?: boolean
    readonly displayed?: (text: string) => void
  }
) => {
  const printed: Array<string> = []
  const listening = {
    ...globalThis.console,
    log: (...parts: ReadonlyArray<unknown>) => void printed.push(parts.join(" ")),
    error: (...parts: ReadonlyArray<unknown>) => void printed.push(parts.join(" "))
  }
  const services = sinkLayer.pipe(
    Layer.provideMerge(bookkeepingLayers),
    Layer.provideMerge(poolLayer),
    Layer.provideMerge(Layer.fresh(testSettings(database)))
  )
  const { all = false, ...asked } = { yes: options.yes, timeout: Duration.seconds(45), all: options.all }
  const run = Effect.gen(function*() {
    if (all) yield* resyncAll(asked)
    else yield* resync({ ...asked, table: "t" })
  }).pipe(
    Effect.provide(services),
    Effect.provide(terminal(options.key, options.displayed)),
    Effect.provide(NodeServices.layer),
    Effect.provideService(Console.Console, listening)
  )
  return { run, printed }
}

const rowsOf = ({ query }: TestDatabase) =>
  Effect.map(query<{ n: string }>("SELECT count(*) AS n FROM t"), ([row]) => Number(row!.n))

const watermark = ({ query }: TestDatabase) =>
  Effect.map(
    query<{ block: string | null }>("SELECT max_block_num AS block FROM _ampsync_checkpoints"),
    ([row]) => row!.block
  )

/** Another session locks the rows of the table. */
const held = (database: TestDatabase) => holdLock(database, "SELECT FROM t FOR UPDATE")

describe("a resync", () => {
  it.live.each(
    [["no", "n"], ["Enter", "enter"]] as const
  )("that is answered with %s changes nothing", ([, key]) =>
    Effect.gen(function*() {
      const database = yield* filledTable()
      const { run, printed } = resyncing(database, { yes: false, key })
      yield* run
      assert.deepStrictEqual(printed, ["Nothing was changed."])
      assert.deepStrictEqual([yield* rowsOf(database), yield* watermark(database)], [3, "2"])
    }))

  it.live("whose question is interrupted changes nothing, and fails below the question", () =>
    Effect.gen(function*() {
      const database = yield* filledTable()
      const displayed: Array<string> = []
      const { run, printed } = resyncing(database, { yes: false, displayed: (text) => void displayed.push(text) })
      const failure = yield* Effect.flip(run)
      assert.deepInclude(failure, { exitCode: 1, reason: "nothing was changed: the question was interrupted" })
      assert.deepStrictEqual([displayed.at(-1), printed], ["\n", []])
      assert.deepStrictEqual([yield* rowsOf(database), yield* watermark(database)], [3, "2"])
    }))

  it.live("of one table and of all is refused", () =>
    Effect.gen(function*() {
      const options = { all: true, table: "t", yes: true, timeout: Duration.seconds(1) }
      const database = yield* filledTable()
      const failure = yield* Effect.flip(connectAndResync(options)).pipe(
        Effect.provide(testSettings(database)),
        Effect.provide(NodeServices.layer)
      )
      assert.include(failure.message, "--table and --all exclude each other")
    }))

  it.live("that is answered with yes, or not asked, deletes every row", () =>
    Effect.gen(function*() {
      for (const options of [{ yes: false, key: "y" }, { yes: true }]) {
        const database = yield* filledTable()
        const { run, printed } = resyncing(database, options)
        yield* run
        assert.include(printed.at(-1), "3 rows deleted; the next start fills it from the first block")
        assert.deepStrictEqual([yield* rowsOf(database), yield* watermark(database)], [0, null])
      }
    }))

  it.live("of all tables asks once, and a table that another process writes does not keep the others from it", () =>
    Effect.gen(function*() {
      const database = yield* filledTable()
      const { leases, sink } = yield* processOn(database)
      yield* leases.heartbeat
      for (const table of ["s", "u"]) {
        const writer = yield* prepareTable(sink, requestOf(table, columns))
        yield* commitRows(writer, columns, [[0n, "a"], [1n, "b"]])
      }
      yield* leases.release("u")
      const refused = resyncing(database, { yes: false, key: "n", all: true })
      yield* refused.run
      assert.deepStrictEqual(refused.printed, ["Nothing was changed."])
      const { printed, run } = resyncing(database, { yes: false, key: "y", all: true })
      const error = yield* Effect.flip(run)
      assert.strictEqual(error.message, "1 of 3 tables are not resynced: s")
      assert.match(printed[0]!, /^Table "s": .*stop that process first/)
      assert.deepStrictEqual(printed.filter((line) => line.includes("rows deleted;")), [
        `Table "t": 3 rows deleted; the next start fills it from the first block.`,
        `Table "u": 2 rows deleted; the next start fills it from the first block.`
      ])
      const left = yield* database.query<{ table_name: string }>(
        "SELECT table_name FROM _ampsync_checkpoints WHERE max_block_num IS NOT NULL"
      )
      assert.deepStrictEqual(left, [{ table_name: "s" }])
      yield* leases.release("s")
      yield* resyncing(database, { yes: true, all: true }).run
      assert.deepStrictEqual(yield* database.query("SELECT FROM _ampsync_checkpoints WHERE rows > 0"), [])
    }))

  it.live("I3 holds the lease of its table for as long as it deletes", () =>
    Effect.gen(function*() {
      const database = yield* filledTable()
      yield* held(database)
      const { run } = resyncing(database, { yes: true })
      yield* Effect.forkScoped(run)
      yield* eventually("it has begun", Effect.map(watermark(database), (block) => block === null))
      const other = yield* processOn(database)
      // Longer than the time after which a writer counts as dead.
      for (let second = 0; second < 7; second += 1) {
        yield* Effect.sleep("1 second")
        const error = yield* Effect.flip(prepareTable(other.sink, requestOf("t", columns)))
        assert.strictEqual(error._tag, "TableHeld", `second ${second}`)
      }
    }))

  it.live("that is stopped finishes its step, prints how far it got, and releases the table", () =>
    Effect.gen(function*() {
      const database = yield* filledTable()
      const { release } = yield* held(database)
      const { run, printed } = resyncing(database, { yes: true })
      const fiber = yield* Effect.forkScoped(run)
      yield* eventually("it has begun", Effect.map(watermark(database), (block) => block === null))
      yield* Effect.forkScoped(Effect.delay(release, "500 millis"))
      yield* Fiber.interrupt(fiber)
      assert.include(printed.at(-1), "Stopped after 3 rows; the next start deletes the others and fills the table.")
      const other = yield* processOn(database)
      yield* prepareTable(other.sink, requestOf("t", columns))
    }))

  it.live("that is stopped waits for no lock", () =>
    Effect.gen(function*() {
      const database = yield* filledTable()
      yield* held(database)
      const { run, printed } = resyncing(database, { yes: true })
      const fiber = yield* Effect.forkScoped(run)
      yield* eventually("it has begun", Effect.map(watermark(database), (block) => block === null))
      yield* Effect.timeout(Fiber.interrupt(fiber), "5 seconds")
      assert.include(printed.at(-1), "Stopped after 0 rows")
      assert.strictEqual(yield* rowsOf(database), 3)
    }))
})
