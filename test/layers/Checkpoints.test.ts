import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import {
  advanced,
  at,
  change,
  expireHeartbeats,
  fenceAndAdvance,
  leased,
  preparedWriter,
  stored
} from "../support/bookkeeping.ts"
import { hashOf } from "../support/chunks.ts"
import { testDatabase } from "../support/postgres.ts"

describe("an advance", () => {
  it.live("I3 of a writer whose epoch has passed is fenced and records nothing", () =>
    Effect.gen(function*() {
      const database = yield* testDatabase
      const [first, second] = [yield* preparedWriter(database), yield* preparedWriter(database)]
      const old = yield* leased(first, "logs")
      yield* expireHeartbeats(database, second)
      const current = yield* leased(second, "logs")
      // Nothing was committed yet: only the epoch differs.
      assert.strictEqual((yield* Effect.flip(advanced(first, old, change([at(4n)]))))._tag, "Fenced")
      yield* advanced(second, current, change([at(5n)]))
      const before = yield* stored(database, "logs")
      assert.strictEqual((yield* Effect.flip(advanced(first, old, change([at(7n)]))))._tag, "Fenced")
      assert.deepStrictEqual(yield* stored(database, "logs"), before)
    }))

  it.live("I3 without the fence in its transaction fails", () =>
    Effect.gen(function*() {
      const database = yield* testDatabase
      const writer = yield* preparedWriter(database)
      const lease = yield* leased(writer, "logs")
      const before = yield* stored(database, "logs")
      const alone = writer.pool.transaction("test", writer.checkpoints.advance(lease, change([at(4n)])))
      assert.strictEqual((yield* Effect.flip(alone))._tag, "Fenced")
      assert.deepStrictEqual(yield* stored(database, "logs"), before)
    }))

  it.live("I1 that was sent before cannot be applied a second time", () =>
    Effect.gen(function*() {
      const database = yield* testDatabase
      const writer = yield* preparedWriter(database)
      const lease = yield* leased(writer, "logs")
      yield* advanced(writer, lease, change([at(5n)]))
      assert.strictEqual((yield* Effect.flip(advanced(writer, lease, change([at(5n)]))))._tag, "Fenced")
      assert.deepInclude(yield* stored(database, "logs"), { rows: "10", commit_seq: "1" })
    }))

  it.live("I1 leaves no trace when its transaction fails", () =>
    Effect.gen(function*() {
      const database = yield* testDatabase
      const writer = yield* preparedWriter(database)
      const lease = yield* leased(writer, "logs")
      const current = yield* advanced(writer, lease, change([at(5n)]))
      const before = yield* stored(database, "logs")
      const reorg = { firstBlock: 4n, replaced: at(5n), newHash: hashOf(6n, 1) }
      yield* Effect.flip(writer.pool.transaction(
        "test",
        Effect.andThen(
          fenceAndAdvance(writer, current, change([at(3n), at(6n, 1)], { reorgs: [reorg] })),
          Effect.fail("afterwards")
        )
      ))
      assert.deepStrictEqual(yield* stored(database, "logs"), before)
      assert.lengthOf(yield* database.query("SELECT 1 FROM _ampsync_reorgs"), 0)
      // The earlier lease still holds: nothing was committed.
      yield* advanced(writer, current, change([at(3n), at(6n, 1)], { reorgs: [reorg] }))
      assert.deepInclude(yield* stored(database, "logs"), { max_block_num: "6", history: "3 6" })
    }))

  it.live("keeps the stored history equal to the given one after additions, replacements and thinning", () =>
    Effect.gen(function*() {
      const database = yield* testDatabase
      const writer = yield* preparedWriter(database)
      let lease = yield* leased(writer, "logs")
      const histories = [[1n, 2n, 3n], [1n, 3n, 4n, 5n], [1n], [], [1n, 9n], [2n]]
      for (const [fork, blocks] of histories.entries()) {
        const history = blocks.map((block) => at(block, fork))
        lease = yield* advanced(writer, lease, change(history))
        assert.deepStrictEqual(lease.checkpoint.history, history)
        const rows = yield* database.query<{ block: string; hash: string }>(
          "SELECT block_num AS block, hash FROM _ampsync_watermarks WHERE table_name = 'logs' ORDER BY block_num"
        )
        assert.deepStrictEqual(rows.map(({ block, hash }) => ({ block: BigInt(block), hash })), history)
        const newest = history.at(-1)
        assert.deepInclude(yield* stored(database, "logs"), {
          max_block_num: newest?.block.toString() ?? null,
          watermark_hash: newest?.hash ?? null
        })
      }
      // Another process reads what this one holds.
      assert.deepStrictEqual((yield* leased(writer, "logs")).checkpoint.history, lease.checkpoint.history)
    }))

  it.live("records each reorg with the rows that its transaction removed", () =>
    Effect.gen(function*() {
      const database = yield* testDatabase
      const writer = yield* preparedWriter(database)
      let lease = yield* leased(writer, "logs")
      lease = yield* advanced(writer, lease, change([at(9n)], { rowsAdded: 100 }))
      for (const rowsRemoved of [7, 4]) {
        const reorg = { firstBlock: 8n, replaced: at(9n), newHash: hashOf(10n, 1) }
        const what = change([at(7n)], { reorgs: [reorg], rowsAdded: 0, rowsRemoved, provisionalRows: 2n })
        lease = yield* advanced(writer, lease, what)
      }
      // The deletion of provisional rows without a reorg belongs to no reorg.
      lease = yield* advanced(writer, lease, change([at(7n)], { rowsAdded: 0, rowsRemoved: 2 }))
      const reorgs = yield* database.query("SELECT first_block, depth, rows_removed FROM _ampsync_reorgs ORDER BY id")
      assert.deepStrictEqual(reorgs, [
        { first_block: "8", depth: "2", rows_removed: "7" },
        { first_block: "8", depth: "2", rows_removed: "4" }
      ])
      assert.deepInclude(yield* stored(database, "logs"), { rows: "87", provisional_rows: "0" })
      assert.strictEqual(lease.rows, 87n)
    }))

  it.live("keeps the newest thousand reorgs of each table, and removes of many older ones a thousand at a time", () =>
    Effect.gen(function*() {
      const database = yield* testDatabase
      const writer = yield* preparedWriter(database)
      yield* database.query(
        `INSERT INTO _ampsync_reorgs (table_name, first_block, depth, new_hash)
         SELECT CASE n % 2 WHEN 0 THEN 'logs' ELSE 'blocks' END, n, 1, '' FROM generate_series(1, 5000) n`
      )
      const left = database.query(
        "SELECT table_name AS name, count(*)::int AS count, min(first_block)::int AS oldest FROM _ampsync_reorgs GROUP BY 1 ORDER BY 1"
      )
      const reorg = (block: bigint) => ({ firstBlock: block, replaced: at(block), newHash: hashOf(block, 1) })
      let lease = yield* leased(writer, "logs")
      const counts: Array<unknown> = []
      for (const blocks of [[6_001n], [6_002n, 6_003n], [6_004n]]) {
        lease = yield* advanced(writer, lease, change([at(7n)], { reorgs: blocks.map(reorg), rowsAdded: 0 }))
        counts.push((yield* left).map(({ count }) => count))
      }
      assert.deepStrictEqual(counts, [[2500, 1501], [2500, 1000], [2500, 1000]])
      const [others, own] = yield* left
      assert.deepStrictEqual([others, own], [
        { name: "blocks", count: 2500, oldest: 1 },
        { name: "logs", count: 1000, oldest: 3010 }
      ])
    }))

  it.live("that is forgotten leaves an entry among the reorgs, for those who follow the table, that no view shows as a reorg", () =>
    Effect.gen(function*() {
      const database = yield* testDatabase
      const writer = yield* preparedWriter(database)
      let lease = yield* leased(writer, "logs")
      const forget = Effect.suspend(() => writer.pool.transaction("test", writer.checkpoints.forget(lease, 100n)))
      // Nothing was complete, so nobody can have derived anything from it.
      yield* forget
      lease = yield* advanced(writer, lease, change([at(9n)], { rowsAdded: 100 }))
      yield* forget
      const resyncs = yield* database.query(
        "SELECT table_name, first_block, depth, old_hash, new_hash, rows_removed FROM _ampsync_reorgs"
      )
      const entry = { table_name: "logs", first_block: "0", depth: "10", new_hash: null, rows_removed: "100" }
      assert.deepStrictEqual(resyncs, [{ ...entry, old_hash: hashOf(9n) }])
      const [row] = yield* database.query("SELECT last_reorg_at FROM _ampsync_progress")
      assert.deepStrictEqual(row, { last_reorg_at: null })
    }))

  it.live("is shown by the view _ampsync_progress", () =>
    Effect.gen(function*() {
      const database = yield* testDatabase
      const writer = yield* preparedWriter(database)
      const lease = yield* leased(writer, "logs")
      yield* advanced(writer, lease, {
        ...change([at(9n)], {
          provisionalRows: 4n,
          reorgs: [{ firstBlock: 8n, replaced: at(9n), newHash: hashOf(10n) }]
        }),
        checkpoint: { network: "anvil", origin: 0n, history: [at(9n)], unverifiedFrom: 3n }
      })
      const [row] = yield* database.query<Record<string, unknown>>("SELECT * FROM _ampsync_progress")
      assert.deepInclude(row, {
        table_name: "logs",
        dataset: "_/example",
        dataset_version: "0.1.0",
        network: "anvil",
        watermark: "9",
        watermark_hash: hashOf(9n),
        block_at: new Date(1_700_000_000_000),
        rows: "10",
        provisional_rows: "4",
        unverified: true,
        last_reorg_block: "8",
        last_reorg_depth: "2"
      })
      assert.isNotNull(row?.["writer_seen_at"])
    }))
})
