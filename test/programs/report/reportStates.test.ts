import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Scope } from "effect"
import { TestClock } from "effect/testing"
import { writeFile } from "node:fs/promises"
import { layer as statusLayer } from "../../../src/layers/SyncStatus.ts"
import { reportStates } from "../../../src/programs/report/reportStates.ts"
import type { TableState } from "../../../src/services/Bookkeeping.ts"
import { StatusRecorder } from "../../../src/services/SyncStatus.ts"
import { bookkeeping } from "../../doubles/bookkeeping.ts"
import { committed } from "../../doubles/statusEvents.ts"
import { startAmpsync } from "../../support/ampsyncProcess.ts"
import { eventually } from "../../support/eventually.ts"
import { holdLock } from "../../support/holdLock.ts"
import { startProxy, throughProxy } from "../../support/proxy.ts"
import { mineAndAwait, replaceConfig, startSync } from "../../support/runningSync.ts"
import { makeWorld, type World } from "../../support/world.ts"

interface ProgressRow {
  readonly state: string
  readonly reason: string | null
  readonly state_since: Date
}

const progressRow = Effect.fnUntraced(function*({ database }: World, table: string) {
  const exists = yield* database.query(
    "SELECT FROM pg_views WHERE schemaname = $1 AND viewname = '_ampsync_progress'",
    [
      database.schema
    ]
  )
  if (exists.length === 0) return undefined
  const [row] = yield* database.query<ProgressRow>(
    "SELECT state, reason, state_since FROM _ampsync_progress WHERE table_name = $1",
    [table]
  )
  return row
})

/** Waits until _ampsync_progress shows `state` and in its reason `reason`. */
const shows = Effect.fnUntraced(function*(world: World, table: string, state: string, reason = "") {
  let last: ProgressRow | undefined
  yield* eventually(
    () => `table ${table} is shown as ${state}, ${reason}; it is ${JSON.stringify(last)}`,
    Effect.map(progressRow(world, table), (row) => {
      last = row
      return row?.state === state && (row.reason ?? "").includes(reason)
    }),
    45_000
  )
  return last!
})

const reloads = ({ database }: World) =>
  database.query<{ loaded: Date | null; failed: Date | null; reason: string | null }>(
    "SELECT config_loaded_at AS loaded, reload_failed_at AS failed, reload_reason AS reason FROM _ampsync_writers"
  )

const two = { blocks: "SELECT * FROM anvil.blocks", logs: "SELECT * FROM anvil.logs" }

describe("_ampsync_progress", () => {
  it.live("shows a table that is rejected before it was ever filled as parked, and synced once the cause is gone", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ dialect: "amp", blocks: 10, queries: two })
      yield* world.database.query("CREATE TABLE blocks (mine int)")
      const sync = yield* startSync(world.environment)
      const { reason } = yield* shows(world, "blocks", "parked", "did not create")
      assert.isTrue(sync.lines.some((line) => line.includes(reason!)), "it is the sentence of the log")
      assert.lengthOf(
        yield* world.database.query(
          "SELECT FROM _ampsync_checkpoints WHERE table_name = 'blocks' AND position_column IS NOT NULL"
        ),
        0
      )
      yield* shows(world, "logs", "caught up")
      yield* world.database.query("DROP TABLE blocks")
      yield* replaceConfig(world, { ...two, transactions: "SELECT * FROM anvil.transactions" })
      assert.isNull((yield* shows(world, "blocks", "caught up")).reason)
    }))

  it.live("shows a table that another session altered while it was synced as parked, with the column", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ dialect: "amp", blocks: 10, queries: two })
      yield* startSync(world.environment)
      for (const table of ["blocks", "logs"]) yield* shows(world, table, "caught up")
      yield* world.database.query("ALTER TABLE blocks DROP COLUMN hash")
      world.simulator.mine(1)
      yield* shows(world, "blocks", "parked", "hash")
      yield* mineAndAwait(world, ["logs"])
      assert.strictEqual((yield* progressRow(world, "logs"))?.state, "caught up", "one new block changes no state")
    }))

  it.live("shows tables whose server does not answer as stalled with the error, and as synced once it answers", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ dialect: "amp", blocks: 10, queries: two })
      yield* startSync(world.environment)
      yield* shows(world, "logs", "caught up")
      world.simulator.faults.failNext("any", 14, "the lights are out", 1_000)
      world.simulator.faults.cutAll()
      yield* shows(world, "logs", "retrying", "the lights are out")
      yield* shows(world, "logs", "stalled", "the lights are out")
      world.simulator.faults.clear()
      world.simulator.mine(1)
      assert.isNull((yield* shows(world, "logs", "caught up")).reason)
    }))

  it.live("shows why tables have not begun where the Admin API does not answer", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ dialect: "amp", blocks: 10, queries: two })
      world.simulator.faults.failAdmin(503, 4)
      yield* startSync(world.environment)
      yield* shows(world, "logs", "starting", "503")
      yield* shows(world, "logs", "caught up")
    }))

  it.live("shows the state that the writer reports while another process stands by, whose own state is in its own row", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ dialect: "amp", blocks: 10, queries: two })
      const first = yield* startSync(world.environment)
      yield* shows(world, "logs", "caught up")
      yield* startSync(world.environment)
      yield* eventually(
        "the second one reports that it stands by",
        Effect.map(
          world.database.query(
            "SELECT FROM _ampsync_states WHERE state = 'standby' AND reason LIKE '%being written by%'"
          ),
          (rows) => rows.length === 2
        )
      )
      assert.strictEqual((yield* progressRow(world, "logs"))?.state, "caught up")
      // The process that stood by takes over from one that ended in good order.
      yield* first.stop
      yield* eventually(
        "the second one writes",
        Effect.map(
          world.database.query("SELECT FROM _ampsync_states WHERE table_name = 'logs' AND state = 'caught up'"),
          (rows) => rows.length === 1
        )
      )
      assert.strictEqual((yield* progressRow(world, "logs"))?.state, "caught up")
    }))

  it.live("shows a table that left the config as removed, and one whose process stopped as stopped", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ dialect: "amp", blocks: 10, queries: two })
      const sync = yield* startSync(world.environment)
      yield* shows(world, "logs", "caught up")
      yield* replaceConfig(world, { logs: two.logs })
      yield* shows(world, "blocks", "removed", "no longer in the config")
      yield* sync.stop
      yield* shows(world, "logs", "stopped")
      assert.strictEqual((yield* progressRow(world, "blocks"))?.state, "removed")
    }))

  it.live("shows a table that left the config while no process ran as removed; _ampsync_latest waits for it no longer", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ dialect: "amp", blocks: 10, queries: two })
      const latest = world.database.query("SELECT block_num, tables FROM _ampsync_latest")
      const first = yield* startSync(world.environment)
      yield* shows(world, "blocks", "caught up")
      yield* shows(world, "logs", "caught up")
      yield* first.stop
      yield* shows(world, "blocks", "stopped")
      yield* replaceConfig(world, { logs: two.logs })
      world.simulator.mine(3)
      const second = yield* startSync(world.environment)
      yield* shows(world, "blocks", "removed", "no longer in the config")
      yield* eventually(
        "the other table alone counts",
        Effect.map(latest, ([row]) => row?.["block_num"] === "12" && String(row["tables"]) === "logs")
      )
      yield* second.stop
      yield* shows(world, "logs", "stopped")
      assert.deepStrictEqual(yield* latest, [{ block_num: "12", tables: ["logs"] }])
      yield* replaceConfig(world, two)
      yield* startSync(world.environment)
      yield* shows(world, "blocks", "caught up")
      yield* eventually(
        "both tables count",
        Effect.map(latest, ([row]) => row?.["block_num"] === "12" && String(row["tables"]) === "blocks,logs")
      )
    }))

  it.live("shows a table as offline a few seconds after its process was killed, with its last report", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ dialect: "amp", blocks: 10, queries: two })
      yield* world.database.query("CREATE TABLE blocks (mine int)")
      const process = yield* startAmpsync(world.environment)
      yield* shows(world, "blocks", "parked")
      yield* shows(world, "logs", "caught up")
      yield* process.kill("SIGKILL")
      yield* process.exited
      const killed = Date.now()
      const { state_since: since } = yield* shows(world, "logs", "offline", "last reported: caught up")
      assert.isAtMost(since.getTime(), killed + 100)
      yield* shows(world, "blocks", "offline", "last reported: parked: ")
      const next = yield* startAmpsync(world.environment)
      yield* shows(world, "logs", "caught up")
      yield* shows(world, "blocks", "parked")
      yield* next.kill("SIGTERM")
      yield* next.exited
      for (const table of ["blocks", "logs"]) assert.strictEqual((yield* progressRow(world, table))?.state, "stopped")
    }))

  it.live("shows after an outage of the database what came last in it", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ dialect: "amp", blocks: 10, queries: two })
      const real = Number(new URL(world.database.url).port)
      const up = yield* Scope.make()
      const proxy = yield* Scope.provide(startProxy(real), up)
      const sync = yield* startSync({ ...world.environment, DATABASE_URL: throughProxy(world.database.url, proxy) })
      yield* shows(world, "logs", "caught up")
      yield* Scope.close(up, Exit.void)
      yield* replaceConfig(world, { logs: two.logs })
      yield* sync.logs("Table 'blocks' is no longer in the config")
      const removed = Date.now()
      yield* sync.logs("_ampsync_progress does not show the present states")
      yield* replaceConfig(world, "{")
      yield* sync.logs("Failed to reload manifest")
      yield* shows(world, "blocks", "offline", "last reported: caught up")
      assert.isAtMost(sync.lines.filter((line) => line.startsWith("_ampsync_progress")).length, 2, "it is logged once")
      yield* startProxy(real, proxy.port)
      const { state_since: since } = yield* shows(world, "blocks", "removed")
      assert.approximately(since.getTime(), removed, 3_000)
      yield* shows(world, "logs", "caught up")
      yield* eventually(
        "the rejected reload is recorded",
        Effect.map(reloads(world), ([row]) => row?.reason?.includes("not valid JSON") === true)
      )
    }))
})

describe("a lock that another session holds on _ampsync_states", () => {
  it.live("I4 disturbs no table and no heartbeat, leaves no sessions behind, and is outlasted", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ dialect: "amp", blocks: 10, queries: two })
      // One for transactions, one for all the rest.
      const sync = yield* startSync({ ...world.environment, MAX_DB_CONNECTIONS: 2 })
      yield* shows(world, "logs", "caught up")
      const lock = yield* holdLock(world.database, "LOCK TABLE _ampsync_states")
      yield* replaceConfig(world, { logs: two.logs })
      yield* sync.logs("_ampsync_progress does not show the present states")
      for (let second = 0; second < 15; second += 1) {
        yield* mineAndAwait(world, ["logs"])
        const [alive] = yield* world.database.query<{ age: number }>(
          "SELECT extract(epoch FROM clock_timestamp() - max(heartbeat_at))::float8 AS age FROM _ampsync_writers"
        )
        // As long as other processes count it as alive.
        assert.isBelow(alive!.age, 6)
        const waiting = yield* world.database.query(
          "SELECT FROM pg_locks WHERE NOT granted AND relation = to_regclass($1)",
          [`${world.database.schema}._ampsync_states`]
        )
        // One for the states, one for tables that left the config before the start.
        assert.isAtMost(waiting.length, 2)
        yield* Effect.sleep("1 second")
      }
      yield* lock.release
      yield* shows(world, "blocks", "removed")
    }))
})

describe("_ampsync_writers", () => {
  it.live("I5 I7 shows when the config was loaded, that a reload was rejected and why, and that it was corrected", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ dialect: "amp", blocks: 10, queries: two })
      const sync = yield* startSync(world.environment)
      yield* shows(world, "logs", "caught up")
      const [first] = yield* reloads(world)
      assert.deepInclude(first, { failed: null, reason: null })
      assert.isBelow(Date.now() - first!.loaded!.getTime(), 60_000)
      yield* Effect.promise(() => writeFile(world.manifestPath, "{ \"token\": \"s3cret\", }"))
      yield* eventually("it is rejected", Effect.map(reloads(world), ([row]) => row?.reason != null))
      const [rejected] = yield* reloads(world)
      assert.deepStrictEqual(rejected!.loaded, first!.loaded)
      assert.isAbove(rejected!.failed!.getTime(), first!.loaded!.getTime())
      assert.include(rejected!.reason, "not valid JSON")
      assert.notInclude(rejected!.reason, "s3cret")
      assert.include(sync.lines, `Failed to reload manifest: ${rejected!.reason}`)
      assert.strictEqual((yield* progressRow(world, "logs"))?.state, "caught up")
      yield* replaceConfig(world, two)
      yield* eventually("it is healed", Effect.map(reloads(world), ([row]) => row?.reason === null))
      const [healed] = yield* reloads(world)
      assert.isNull(healed!.failed)
      assert.isAbove(healed!.loaded!.getTime(), rejected!.failed!.getTime())
    }))
})

describe("a stop", () => {
  it.live.each(["is gone", "does not answer"])("ends in time while the database %s", (how) =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ dialect: "amp", blocks: 10, queries: two })
      const up = yield* Scope.make()
      const proxy = yield* Scope.provide(startProxy(Number(new URL(world.database.url).port)), up)
      const process = yield* startAmpsync({
        ...world.environment,
        DATABASE_URL: throughProxy(world.database.url, proxy)
      })
      yield* shows(world, "logs", "caught up")
      if (how === "is gone") yield* Scope.close(up, Exit.void)
      else proxy.blackholeOnRequest("_ampsync_states")
      const began = Date.now()
      yield* process.kill("SIGTERM")
      assert.strictEqual((yield* process.exited).code, 0, process.output())
      assert.isBelow(Date.now() - began, 20_000)
      assert.include(process.output(), "Shutdown complete", "it came to its own end")
      yield* shows(world, "logs", "offline")
      yield* Scope.close(up, Exit.void)
    }))
})

describe("what is written", () => {
  /** Reports with doubles: the rows that were written, and the status they come from. */
  const reporting = Effect.gen(function*() {
    const written: Array<TableState> = []
    let down = false
    const services = yield* Layer.build(Layer.merge(
      statusLayer,
      bookkeeping({
        report: (states) => down ? Effect.never : Effect.sync(() => void written.push(...states)),
        reportReload: () => Effect.void
      })
    ))
    yield* Effect.provideContext(reportStates, services)
    const status = yield* Effect.provideContext(StatusRecorder, services)
    return {
      written,
      setDown: (now: boolean) => void (down = now),
      fails: (reason: string) => status.record("t", { _tag: "Failed", attempts: 1, reason }),
      parks: (reason: string) => status.record("t", { _tag: "Parked", reason }),
      commits: status.record("t", committed({ watermark: 1n, lastBlock: 1n }))
    }
  })

  const states = (written: ReadonlyArray<TableState>) => written.map(({ state }) => state)

  it.effect("is a change of phase or reason, never a commit", () =>
    Effect.gen(function*() {
      const it = yield* reporting
      for (let second = 0; second < 50; second += 1) {
        yield* it.commits
        yield* TestClock.adjust("1 second")
      }
      yield* it.fails("a")
      yield* TestClock.adjust("1 second")
      yield* it.fails("b")
      yield* TestClock.adjust("4 seconds")
      assert.deepStrictEqual(states(it.written), ["catching up", "retrying", "retrying"])
      assert.deepStrictEqual(it.written.map(({ reason }) => reason), [undefined, "a", "b"])
    }))

  it.effect("is written again every minute, for a database that lost it with its last transactions", () =>
    Effect.gen(function*() {
      const it = yield* reporting
      yield* it.parks("a")
      yield* TestClock.adjust("30 seconds")
      assert.lengthOf(it.written, 1)
      yield* TestClock.adjust("31 seconds")
      assert.lengthOf(it.written, 2)
      assert.deepInclude(it.written[1], { state: "parked", reason: "a" })
      assert.isAtLeast(it.written[1]!.ageMillis, 59_000)
    }))

  it.effect("is the newest after a time in which nothing could be written, with its true age", () =>
    Effect.gen(function*() {
      const it = yield* reporting
      it.setDown(true)
      for (const reason of ["a", "b", "c"]) {
        yield* it.fails(reason)
        yield* TestClock.adjust("1 minute")
      }
      yield* it.parks("d")
      yield* TestClock.adjust("5 minutes")
      it.setDown(false)
      yield* TestClock.adjust("20 seconds")
      assert.lengthOf(it.written, 1)
      assert.deepInclude(it.written[0], { state: "parked", reason: "d" })
      assert.isAtLeast(it.written[0]!.ageMillis, 285_000)
    }))
})
