import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import pg from "pg"
import type { ArrowField } from "../../src/domain/arrow/ArrowSchema.ts"
import { layer as poolLayer } from "../../src/layers/PgPool.ts"
import { layer as exchangeLayer } from "../../src/layers/TableExchange.ts"
import { layer as sinkLayer } from "../../src/layers/TableSink.ts"
import { TableExchange } from "../../src/services/TableExchange.ts"
import { TableLeases } from "../../src/services/TableLeases.ts"
import { bookkeepingLayers } from "../support/bookkeeping.ts"
import { hashOf, prepareTable } from "../support/chunks.ts"
import { startLogicalCluster } from "../support/cluster.ts"
import { eventually } from "../support/eventually.ts"
import type { TestDatabase } from "../support/postgres.ts"
import { BLOCK, commitRows, field, processOn, readyBench, requestOf } from "../support/sinkBench.ts"
import { testSettings } from "../support/testSettings.ts"

const columns: ReadonlyArray<ArrowField> = [BLOCK, field("note")]
const request = requestOf("t", columns)

/** A process that resyncs tables. */
const exchanging = Effect.fnUntraced(function*(database: TestDatabase) {
  const services = yield* Layer.build(
    exchangeLayer.pipe(
      Layer.provideMerge(sinkLayer),
      Layer.provideMerge(bookkeepingLayers),
      Layer.provideMerge(poolLayer),
      Layer.provide(Layer.fresh(testSettings(database)))
    )
  )
  return { exchange: Context.get(services, TableExchange), leases: Context.get(services, TableLeases) }
})

const rowsUpTo = (last: bigint, note: string) =>
  Array.from({ length: Number(last) + 1 }, (_, n) => [BigInt(n), note + n])

/** A table up to block 9 whose rows differ from those of its second table, which is up to block 12, at block 4. */
const pair = Effect.fnUntraced(function*() {
  const first = yield* readyBench()
  const { database } = first
  const { exchange, leases } = yield* exchanging(database)
  const writer = yield* prepareTable(first.sink, request)
  yield* commitRows(writer, columns, rowsUpTo(9n, "a"))
  yield* database.query("UPDATE t SET note = 'wrong' WHERE _block_num = 4")
  const second = yield* processOn({ ...database, schema: exchange.schemaOf("t") })
  yield* second.bookkeeping.ensure
  yield* Effect.addFinalizer(() => Effect.orDie(exchange.dropSecond("t")))
  yield* commitRows(yield* prepareTable(second.sink, request), columns, rowsUpTo(12n, "a"))
  yield* second.leases.release("t")
  return { database, exchange, takeOver: leases.transaction("t", leases.takeOver(request)) }
})

/** Notifications about a schema, as they come. */
const listening = Effect.fnUntraced(function*({ schema, url }: TestDatabase) {
  const found: Array<unknown> = []
  const client = yield* Effect.acquireRelease(
    Effect.promise(async () => {
      const client = new pg.Client({ connectionString: url })
      await client.connect()
      client.on("notification", ({ payload = "" }) => {
        if (payload.includes(schema)) found.push(JSON.parse(payload))
      })
      return client
    }),
    (client) => Effect.promise(() => client.end())
  )
  yield* Effect.promise(() => client.query("LISTEN ampsync"))
  return found
})

const notes = ({ query }: TestDatabase) =>
  Effect.map(
    query<{ note: string }>("SELECT note FROM t ORDER BY _block_num, _row_index"),
    (rows) => rows.map(({ note }) => note)
  )

const expected = rowsUpTo(12n, "a").map(([, note]) => note)

describe("a table exchange", () => {
  it.live("I1 replaces the rows that differ and takes the checkpoint of the second table, which is gone afterwards", () =>
    Effect.gen(function*() {
      const { database, exchange, takeOver } = yield* pair()
      const compared = yield* exchange.compare("t")
      assert.deepInclude(compared, { upTo: 9n, differing: 1 })
      const listener = yield* listening(database)
      const replaced = yield* exchange.replace(yield* takeOver, request, compared)
      assert.deepInclude(replaced, { rowsRemoved: 1, rowsAdded: 4, firstBlock: 4n })
      assert.deepStrictEqual(yield* notes(database), expected)
      const [row] = yield* database.query(
        "SELECT max_block_num, rows, provisional_rows, writer FROM _ampsync_checkpoints"
      )
      assert.deepStrictEqual(row, { max_block_num: "12", rows: "13", provisional_rows: "0", writer: null })
      assert.deepStrictEqual(
        yield* database.query("SELECT first_block, depth, old_hash, new_hash, rows_removed FROM _ampsync_reorgs"),
        [{ first_block: "4", depth: "6", old_hash: hashOf(9n), new_hash: null, rows_removed: "1" }]
      )
      assert.isFalse(yield* exchange.hasSecond("t"))
      const reported = { schema: database.schema, table: "t", kind: "reorg", from: 4, to: 12, rows: 4, removed: 1 }
      yield* eventually("listeners have it", Effect.sync(() => listener.length > 0))
      assert.deepStrictEqual(listener, [reported])
    }))

  it.live.each<[string, string]>([
    [
      "a reorg has replaced",
      `UPDATE t SET note = 'late' WHERE _block_num = 7;
       INSERT INTO _ampsync_reorgs (table_name, first_block, depth) VALUES ('t', 7, 3)`
    ],
    ["somebody has deleted", "DELETE FROM t WHERE _block_num = 6"],
    [
      "a server has lost with its last transactions, as the comparison itself,",
      `UPDATE t SET note = 'late' WHERE _block_num = 7; DROP TABLE SECOND._ampsync_differences`
    ]
  ])("compares again what %s since the comparison", ([, change]) =>
    Effect.gen(function*() {
      const { database, exchange, takeOver } = yield* pair()
      const compared = yield* exchange.compare("t")
      yield* database.query(change.replace("SECOND", exchange.schemaOf("t")))
      yield* exchange.replace(yield* takeOver, request, compared)
      assert.deepStrictEqual(yield* notes(database), expected)
    }))

  it.live("I2 changes nothing while the second table is behind, is being written, or shows another chain", () =>
    Effect.gen(function*() {
      const { database, exchange, takeOver } = yield* pair()
      const second = exchange.schemaOf("t")
      const compared = yield* exchange.compare("t")
      const before = yield* notes(database)
      const states = [
        [`UPDATE ${second}._ampsync_checkpoints SET writer = 'somebody'`, "is being written by somebody"],
        [`DELETE FROM ${second}._ampsync_watermarks`, "complete up to no block, and the table up to block 9"],
        [
          `UPDATE ${second}._ampsync_checkpoints SET writer = NULL;
           INSERT INTO ${second}._ampsync_watermarks (table_name, block_num, hash)
           VALUES ('t', 9, '${hashOf(9n, 1)}'), ('t', 12, '${hashOf(12n)}')`,
          "different blocks 9"
        ]
      ] as const
      yield* database.query(`UPDATE ${second}._ampsync_checkpoints SET writer = NULL`)
      for (const [change, reason] of states) {
        yield* database.query(change)
        const error = yield* Effect.flip(exchange.replace(yield* takeOver, request, compared))
        assert.strictEqual(error._tag, "SecondTableBehind")
        if (change.includes("somebody")) {
          yield* database.query(`UPDATE ${second}._ampsync_checkpoints SET writer = NULL`)
        }
        assert.include(error.message, reason)
      }
      assert.deepStrictEqual(yield* notes(database), before)
      assert.isTrue(yield* exchange.hasSecond("t"))
    }))

  it.live("names a publication of all tables, whose subscribers would receive the second table as well", () =>
    Effect.gen(function*() {
      const { database } = yield* startLogicalCluster
      const { exchange } = yield* exchanging(database)
      yield* (yield* processOn(database)).bookkeeping.ensure
      yield* database.query("CREATE PUBLICATION one FOR TABLE _ampsync_checkpoints")
      assert.deepStrictEqual(yield* exchange.obstacles(request), [])
      yield* database.query("CREATE PUBLICATION everything FOR ALL TABLES")
      assert.match((yield* exchange.obstacles(request)).join(), /^publication "everything" is FOR ALL TABLES/)
    }))
})

describe("a table without keys", () => {
  it.live("is not exchanged before they are built: the build would keep its rows out", () =>
    Effect.gen(function*() {
      const { database, indexes, sink } = yield* readyBench()
      const { exchange } = yield* exchanging(database)
      const writer = yield* prepareTable(sink, { ...request, defersIndexes: true })
      assert.match((yield* exchange.obstacles(request)).join(), /^its primary key and its indexes are not built yet/)
      yield* indexes.buildDeferred(writer.deferred!, (build) => build, () => Effect.void)
      assert.deepStrictEqual(yield* exchange.obstacles(request), [])
    }))
})
