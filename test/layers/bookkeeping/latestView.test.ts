import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { TableIdentity } from "../../../src/domain/bookkeeping/TableIdentity.ts"
import { append, type History } from "../../../src/domain/chain/watermarks.ts"
import { RANGE_END } from "../../../src/domain/postgres/table/tableDdl.ts"
import { advanced, at, change, leased, preparedWriter, tableState, type Writer } from "../../support/bookkeeping.ts"
import { hashOf } from "../../support/chunks.ts"
import { type TestDatabase, testDatabase } from "../../support/postgres.ts"

interface Stored extends Partial<TableIdentity> {
  readonly history?: History
  readonly unverifiedFrom?: bigint
  readonly network?: string
  readonly origin?: bigint
}

/** What a table has in the bookkeeping after a transaction that reached these watermarks. */
const store = (writer: Writer, table: string, { history, network, origin, unverifiedFrom, ...identity }: Stored = {}) =>
  Effect.flatMap(leased(writer, table, identity), (lease) =>
    history === undefined ? Effect.succeed(lease) : advanced(
      writer,
      lease,
      change(history, { checkpoint: { network: network ?? "anvil", origin: origin ?? 0n, history, unverifiedFrom } })
    ))

const blocks = (...numbers: ReadonlyArray<number>): History => numbers.map((number) => at(BigInt(number)))

/** Each row as `block hash tables`, ordered by dataset and network. */
const latest = ({ query }: TestDatabase) =>
  query<{ dataset: string; network: string; block_num: string; hash: string; tables: ReadonlyArray<string> }>(
    "SELECT dataset, network, block_num, hash, tables FROM _ampsync_latest ORDER BY dataset, network"
  )

const isLatest = Effect.fnUntraced(function*(database: TestDatabase, block: bigint, tables: string, fork = 0) {
  assert.deepStrictEqual(yield* latest(database), [
    {
      dataset: "_/example",
      network: "anvil",
      block_num: `${block}`,
      hash: hashOf(block, fork),
      tables: tables.split(" ")
    }
  ])
})

const isAbsent = Effect.fnUntraced(function*(database: TestDatabase) {
  assert.deepStrictEqual(yield* latest(database), [])
})

interface PlanNode {
  readonly "Actual Rows": number
  readonly "Actual Loops": number
  readonly Plans?: ReadonlyArray<PlanNode>
}

const nodesOf = (node: PlanNode): ReadonlyArray<PlanNode> => [node, ...(node.Plans ?? []).flatMap(nodesOf)]

const prepared = Effect.gen(function*() {
  const database = yield* testDatabase
  return { database, writer: yield* preparedWriter(database) }
})

describe("_ampsync_latest", () => {
  it.live("is the watermark of an only table, and no row where nothing was synced yet", () =>
    Effect.gen(function*() {
      const { database, writer } = yield* prepared
      yield* isAbsent(database)
      const lease = yield* store(writer, "logs")
      yield* isAbsent(database)
      yield* advanced(writer, lease, change(blocks(4, 9)))
      yield* isLatest(database, 9n, "logs")
    }))

  it.live("is the newest block that the tables recorded with the same hash, be it a watermark or in the history", () =>
    Effect.gen(function*() {
      const { database, writer } = yield* prepared
      yield* store(writer, "blocks", { history: blocks(90, 96, 98, 100) })
      const lease = yield* store(writer, "logs", { history: blocks(90, 96, 98) })
      yield* isLatest(database, 98n, "blocks logs")
      // That block 99 of one and block 100 of the other are of the same chain is not known.
      const after = yield* advanced(writer, lease, change(blocks(90, 96, 98, 99)))
      yield* isLatest(database, 98n, "blocks logs")
      yield* advanced(writer, after, change(blocks(90, 96, 98, 99, 100)))
      yield* isLatest(database, 100n, "blocks logs")
    }))

  it.live("is between the entries of a history that was thinned, as far as another table proves it", () =>
    Effect.gen(function*() {
      const { database, writer } = yield* prepared
      yield* store(writer, "blocks", { history: blocks(10, 40, 80, 100) })
      yield* store(writer, "logs", { history: blocks(10, 60, 80) })
      yield* store(writer, "transactions", { history: blocks(60) })
      // Nothing is common to all three, but a table that has block 80 has block 60 below it.
      yield* isLatest(database, 60n, "blocks logs transactions")
    }))

  it.live("is below a reorg that one table has seen, and above it when all have", () =>
    Effect.gen(function*() {
      const { database, writer } = yield* prepared
      const first = yield* store(writer, "blocks", { history: blocks(7, 8, 9, 10) })
      const second = yield* store(writer, "logs", { history: blocks(7, 8, 9, 10) })
      const reorged = [...blocks(7, 8), at(9n, 1), at(10n, 1), at(11n, 1)]
      yield* advanced(writer, first, change(reorged))
      yield* isLatest(database, 8n, "blocks logs")
      yield* advanced(writer, second, change(reorged.slice(0, -1)))
      yield* isLatest(database, 10n, "blocks logs", 1)
    }))

  it.live("is no row where two tables have nothing in common, whatever they have in common with others", () =>
    Effect.gen(function*() {
      const { database, writer } = yield* prepared
      yield* store(writer, "blocks", { history: blocks(5, 10) })
      yield* store(writer, "logs", { history: blocks(10) })
      yield* store(writer, "transactions", { history: [at(5n, 1), at(10n, 1)] })
      yield* isAbsent(database)
    }))

  it.live("waits for a table without a watermark, one that starts again included", () =>
    Effect.gen(function*() {
      const { database, writer } = yield* prepared
      yield* store(writer, "blocks", { history: blocks(5, 10) })
      const lease = yield* store(writer, "logs")
      yield* isAbsent(database)
      // Rows that are all provisional.
      const provisional = yield* advanced(writer, lease, change([], { provisionalRows: 10n }))
      yield* isAbsent(database)
      const synced = yield* advanced(writer, provisional, change(blocks(5)))
      yield* isLatest(database, 5n, "blocks logs")
      yield* writer.checkpoints.forget(synced, 10n)
      yield* isAbsent(database)
    }))

  it.live("trusts no watermark from an unverified one on", () =>
    Effect.gen(function*() {
      const { database, writer } = yield* prepared
      yield* store(writer, "blocks", { history: blocks(5, 8, 10) })
      const lease = yield* store(writer, "logs", { history: blocks(5, 8, 10), unverifiedFrom: 8n })
      yield* isLatest(database, 5n, "blocks logs")
      const doubtful = change(blocks(5, 8, 10))
      yield* advanced(writer, lease, { ...doubtful, checkpoint: { ...doubtful.checkpoint, unverifiedFrom: 5n } })
      yield* isAbsent(database)
    }))

  it.live("is at the end of a range of every table whose rows have only that", () =>
    Effect.gen(function*() {
      const { database, writer } = yield* prepared
      yield* store(writer, "blocks", { history: blocks(80, 85, 90, 95, 100) })
      yield* store(writer, "daily", { history: blocks(80, 90, 100), positionColumn: RANGE_END })
      yield* isLatest(database, 100n, "blocks daily")
      yield* store(writer, "logs", { history: blocks(80, 85, 90, 95) })
      yield* isLatest(database, 90n, "blocks daily logs")
      yield* store(writer, "hourly", { history: blocks(80, 85, 95), positionColumn: RANGE_END })
      yield* isLatest(database, 80n, "blocks daily hourly logs")
    }))

  it.live("is no row below the first block of a table that begins later than others", () =>
    Effect.gen(function*() {
      const { database, writer } = yield* prepared
      const lease = yield* store(writer, "blocks", { history: blocks(10, 40) })
      yield* store(writer, "late", { history: blocks(60, 70), origin: 50n })
      yield* isAbsent(database)
      yield* advanced(writer, lease, change(blocks(10, 40, 60, 65)))
      yield* isLatest(database, 60n, "blocks late")
    }))

  it.live("has a row for each dataset and network, and none holds another back", () =>
    Effect.gen(function*() {
      const { database, writer } = yield* prepared
      yield* store(writer, "blocks", { history: blocks(10) })
      yield* store(writer, "other", { history: blocks(4), dataset: "_/other" })
      yield* store(writer, "base", { history: blocks(7), dataset: "_/other", network: "base" })
      yield* store(writer, "waits", { dataset: "_/third" })
      const rows = (yield* latest(database)).map(({ block_num, dataset, network, tables }) =>
        [dataset, network, block_num, ...tables].join(" ")
      )
      assert.deepStrictEqual(rows, ["_/example anvil 10 blocks", "_/other anvil 4 other", "_/other base 7 base"])
    }))

  it.live("is not held back by a table that left the config, unless another process still syncs it", () =>
    Effect.gen(function*() {
      const { database, writer } = yield* prepared
      const second = yield* preparedWriter(database)
      yield* store(writer, "blocks", { history: blocks(5, 10) })
      yield* store(writer, "old", { history: blocks(5) })
      const { bookkeeping } = writer
      for (const state of ["caught up", "parked", "stopped"] as const) {
        yield* bookkeeping.report([tableState("old", state)])
        yield* isLatest(database, 5n, "blocks old")
      }
      yield* bookkeeping.report([tableState("old", "removed")])
      yield* isLatest(database, 10n, "blocks")
      yield* second.bookkeeping.report([tableState("old", "standby")])
      yield* isLatest(database, 5n, "blocks old")
    }))

  it.live("reads each entry a few times at most, with forty tables of full histories", () =>
    Effect.gen(function*() {
      const { database, writer } = yield* prepared
      let history: History = []
      for (let block = 0n; block < 1_000n; block++) history = append(history, at(block), 128)
      yield* store(writer, "t0", { history })
      yield* database.query(
        `INSERT INTO _ampsync_checkpoints (table_name, dataset, network, max_block_num, position_column)
         SELECT 't' || n, dataset, network, max_block_num - n, position_column FROM _ampsync_checkpoints, generate_series(1, 39) n`
      )
      yield* database.query(
        `INSERT INTO _ampsync_watermarks (table_name, block_num, hash)
         SELECT 't' || n, block_num, hash FROM _ampsync_watermarks, generate_series(1, 39) n WHERE block_num <= 999 - n`
      )
      yield* database.query("ANALYZE _ampsync_checkpoints, _ampsync_watermarks")
      const [row] = yield* latest(database)
      assert.deepInclude(row, { block_num: "960", hash: hashOf(960n, 0) })
      const [explained] = yield* database.query<{ "QUERY PLAN": readonly [{ readonly Plan: PlanNode }] }>(
        "EXPLAIN (ANALYZE, FORMAT JSON) SELECT * FROM _ampsync_latest"
      )
      const nodes = nodesOf(explained!["QUERY PLAN"][0].Plan)
      // Some 110 entries of each table: no step compares each with each.
      assert.isBelow(Math.max(...nodes.map((node) => node["Actual Rows"] * node["Actual Loops"])), 20_000)
    }))
})
