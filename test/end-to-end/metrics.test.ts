/** /metrics of the real program: read by a parser that is not ours, compared with /status and the database. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { metricSections } from "../../src/domain/metrics/metricSections.ts"
import { startAmpsync } from "../support/ampsyncProcess.ts"
import { eventually } from "../support/eventually.ts"
import { addressOf, ask, becomes } from "../support/health.ts"
import { Scrape } from "../support/prometheus.ts"
import { promtool, promtoolUnavailable } from "../support/promtool.ts"
import { replaceConfig } from "../support/runningSync.ts"
import { makeWorld, type World } from "../support/world.ts"

const two = { blocks: "SELECT * FROM anvil.blocks", logs: "SELECT * FROM anvil.logs" }

const start = (world: World, environment: Readonly<Record<string, string>> = {}) =>
  startAmpsync({ ...world.environment, HEALTH_PORT: "0", HEALTH_HOST: "127.0.0.1", ...environment })

const scrapeOf = (address: string) => Effect.map(ask(address, "/metrics"), ({ text }) => new Scrape(text))

/** Every counter, and every count of a histogram, that is lower than before. */
const fallen = (before: Scrape, now: Scrape) => {
  const values = now.cumulative()
  return [...before.cumulative()].filter(([series, value]) => (values.get(series) ?? value) < value)
}

interface Checkpoint {
  readonly table: string
  readonly block: number
  readonly rows: number
  readonly provisional: number
  readonly reorgs: number
}

const checkpointsOf = ({ database }: World) =>
  database.query<{ [key in keyof Checkpoint]: Checkpoint[key] }>(
    `SELECT table_name AS table, max_block_num::int AS block, rows::int, provisional_rows::int AS provisional,
       (SELECT count(*)::int FROM _ampsync_reorgs r WHERE r.table_name = c.table_name) AS reorgs
     FROM _ampsync_checkpoints c ORDER BY table_name`
  )

/** Waits until both tables are complete up to the tip, compares all figures, and returns the scrape. */
const agree = Effect.fnUntraced(function*(world: World, address: string) {
  const tip = Number(world.simulator.chain.tip)
  yield* eventually(
    `both tables are complete up to block ${tip}`,
    Effect.map(
      scrapeOf(address),
      (scrape) => ["blocks", "logs"].every((table) => scrape.value("ampsync_table_watermark_block", { table }) === tip)
    )
  )
  yield* becomes(address, [], "?max_lag_blocks=0")
  const before = yield* scrapeOf(address)
  const { body } = yield* ask(address, "/status")
  const scrape = yield* scrapeOf(address)
  const stored = yield* checkpointsOf(world)
  assert.deepStrictEqual(stored.map(({ table }) => table), ["blocks", "logs"])
  for (const { block, provisional, reorgs, rows, table } of stored) {
    const status = body.tables.find((one: { table: string }) => one.table === table)
    const valueOf = (name: string) => scrape.value(name, { table })
    assert.deepStrictEqual(
      [
        valueOf("ampsync_table_watermark_block"),
        valueOf("ampsync_table_rows"),
        valueOf("ampsync_table_rows_provisional"),
        valueOf("ampsync_table_reorgs_total")
      ],
      [block, rows, provisional, reorgs]
    )
    assert.deepStrictEqual([status.watermark, status.rows, status.provisional_rows, status.reorgs], [
      block,
      rows,
      provisional,
      reorgs
    ])
    // The head may be read between two answers.
    const around = (name: string, labels: Readonly<Record<string, string>> = {}) =>
      [before, scrape].map((one) => one.value(name, { table, ...labels }))
    assert.include(around("ampsync_table_source_head_block"), status.source_head)
    assert.include(around("ampsync_table_lag_blocks"), status.lag_blocks)
    assert.include(around("ampsync_table_state", { state: status.state }), 1)
    assert.strictEqual(valueOf("ampsync_table_rows_committed_total"), status.rows_committed)
    assert.strictEqual(valueOf("ampsync_table_bytes_committed_total"), status.bytes_committed)
    assert.strictEqual(valueOf("ampsync_table_chunk_rows_sum"), status.rows_committed)
    assert.strictEqual(valueOf("ampsync_table_retries_total"), status.retries)
  }
  assert.strictEqual(scrape.value("ampsync_ready"), 1)
  return scrape
})

describe("/metrics of a running sync", () => {
  it.live("has every metric of the list, agrees with the database and /status through a reorg and a failure, and forgets a table", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ dialect: "amp", blocks: 30, queries: two })
      const address = yield* addressOf(yield* start(world))
      const first = yield* agree(world, address)
      const listed = Object.values(metricSections).flat()
      assert.sameMembers([...first.types.keys()], listed.map(({ name }) => name))
      for (const { name, type } of listed) assert.strictEqual(first.types.get(name), type, name)
      for (const { name, value } of first.samples) assert.isTrue(Number.isFinite(value), name)
      assert.isAbove(first.value("process_resident_memory_bytes")!, 10e6)
      assert.isAbove(first.value("ampsync_table_bytes_committed_total", { table: "logs" })!, 1_000)
      assert.closeTo(first.value("ampsync_heartbeat_timestamp_seconds")!, Date.now() / 1_000, 10)

      world.simulator.reorg(3, 5)
      yield* eventually(
        "both tables applied the reorg",
        Effect.map(checkpointsOf(world), (tables) => tables.every(({ reorgs }) => reorgs > 0))
      )
      const reorged = yield* agree(world, address)
      for (const table of ["blocks", "logs"]) {
        assert.strictEqual(reorged.value("ampsync_table_reorg_depth_blocks_sum", { table }), 3)
        assert.strictEqual(reorged.value("ampsync_table_reorg_depth_blocks_bucket", { table, le: "2" }), 0)
        assert.strictEqual(reorged.value("ampsync_table_reorg_depth_blocks_bucket", { table, le: "3" }), 1)
      }
      assert.deepStrictEqual(fallen(first, reorged), [])

      yield* world.database.query(
        `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no' USING ERRCODE = 'disk_full'; END $$;
         CREATE TRIGGER refuse BEFORE INSERT ON logs FOR EACH ROW EXECUTE FUNCTION refuse()`
      )
      world.simulator.mine(2)
      yield* eventually(
        "the failure is counted",
        Effect.map(
          scrapeOf(address),
          (scrape) => (scrape.value("ampsync_table_retries_total", { table: "logs" }) ?? 0) > 0
        )
      )
      const { body: failing, text } = yield* ask(address, "/status")
      const logs = failing.tables.find((one: { table: string }) => one.table === "logs")
      // Everything after the first error of a transaction fails with 25P02, which explains nothing.
      for (const { message } of [logs.first_error, logs.last_error]) assert.include(message, "SQLSTATE 53100")
      assert.notInclude(text, "25P02")
      yield* world.database.query("DROP TRIGGER refuse ON logs")
      const healed = yield* agree(world, address)
      assert.deepStrictEqual(fallen(reorged, healed), [])
      assert.strictEqual(healed.value("ampsync_table_failed_attempts", { table: "logs" }), 0)

      yield* replaceConfig(world, { blocks: two.blocks })
      yield* eventually(
        "table logs has no series any more",
        Effect.map(ask(address, "/metrics"), (answer) => !answer.text.includes(`"logs"`))
      )
      const removed = yield* scrapeOf(address)
      assert.strictEqual(removed.value("ampsync_reloads_total", { outcome: "applied" }), 1)
      assert.deepStrictEqual(fallen(healed, removed), [])
    }))

  it.live("is answered while the database is down, and shows no table and no heartbeat", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ dialect: "amp", blocks: 5 })
      const address = yield* addressOf(
        yield* start(world, { DATABASE_URL: "postgresql://nobody@127.0.0.1:1/none" })
      )
      const scrape = yield* scrapeOf(address)
      assert.strictEqual(scrape.value("ampsync_ready"), 0)
      assert.deepStrictEqual([...scrape.types.keys()].filter((name) => name.startsWith("ampsync_table_")), [])
      assert.isUndefined(scrape.value("ampsync_heartbeat_timestamp_seconds"))
    }))

  it.live.skipIf(promtoolUnavailable !== undefined)(
    `is accepted by promtool, which also checks names and units (skipped where ${
      promtoolUnavailable ?? "it is not installed"
    })`,
    () =>
      Effect.gen(function*() {
        const world = yield* makeWorld({ dialect: "amp", blocks: 5, queries: two })
        const address = yield* addressOf(yield* start(world))
        yield* becomes(address, [], "?max_lag_blocks=0")
        const { text } = yield* ask(address, "/metrics")
        assert.deepStrictEqual(promtool(["check", "metrics"], text), { status: 0, output: "" })
      })
  )
})
