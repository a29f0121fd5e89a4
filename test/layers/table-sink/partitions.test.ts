import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { TableWriter } from "../../../src/services/TableSink.ts"
import { neverFilled, prepareTable, rangeOf } from "../../support/chunks.ts"
import { holdLock } from "../../support/holdLock.ts"
import type { TestDatabase } from "../../support/postgres.ts"
import { BINARY, BLOCK, commitRows, field, processOn, readyBench, requestOf, UINT64 } from "../../support/sinkBench.ts"

const columns = [BLOCK, field("note")]
const partitionBy = { blocks: 10 }
const request = requestOf("t", columns, { partitionBy })
const rows = (...blocks: ReadonlyArray<number>) => blocks.map((block) => [BigInt(block), `row of ${block}`])

/** Partitions of a table, oldest first: `name from-to`. */
const partitionsOf = ({ query }: TestDatabase, table = "t") =>
  Effect.map(
    query<{ name: string; bound: string }>(
      `SELECT c.relname AS name, pg_get_expr(c.relpartbound, c.oid) AS bound FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
       WHERE i.inhparent = $1::regclass ORDER BY substring(pg_get_expr(c.relpartbound, c.oid) FROM '\\d+')::bigint`,
      [table]
    ),
    (found) =>
      found.map(({ bound, name }) => `${name} ${bound.replaceAll(/FOR VALUES FROM |[()']/g, "").replace(" TO ", "-")}`)
  )

const blocksOf = ({ query }: TestDatabase, table = "t") =>
  Effect.map(
    query<{ n: string }>(`SELECT _block_num AS n FROM ${table} ORDER BY 1`),
    (found) => found.map(({ n }) => Number(n))
  )

const rejectionOf = <A, E extends { readonly _tag: string; readonly message: string }, R>(
  effect: Effect.Effect<A, E, R>
) =>
  Effect.map(Effect.flip(effect), (error) => error._tag === "TableRejected" ? error.message : assert.fail(error._tag))

const make = ({ partitions }: TableWriter, start: bigint, end: bigint) => partitions!.make(rangeOf(start, end))

describe("a table with partitionBy", () => {
  it.live("gets the partitions that rows need before they are written, and the next one", () =>
    Effect.gen(function*() {
      const { database, sink } = yield* readyBench()
      const planned = yield* sink.plan(request)
      assert.include(
        planned.statements[0],
        "PRIMARY KEY (\"_block_num\", \"_row_index\")) PARTITION BY RANGE (\"_block_num\")"
      )
      const writer = yield* prepareTable(sink, request)
      assert.deepStrictEqual(yield* partitionsOf(database), [], "none before it is known which blocks come")
      const made = yield* make(writer, 7n, 21n)
      assert.deepInclude(made, { total: 4, lastBlock: 39n, aheadFailure: undefined })
      yield* commitRows(writer, columns, rows(7, 8, 9, 10, 21))
      assert.deepStrictEqual(yield* partitionsOf(database), [
        "t_0_10 0-10",
        "t_10_20 10-20",
        "t_20_30 20-30",
        "t_30_40 30-40"
      ])
      assert.deepStrictEqual(yield* blocksOf(database, "t_0_10"), [7, 8, 9])
      assert.isTrue(writer.partitions!.isReady(rangeOf(7n, 29n)))
      assert.isFalse(writer.partitions!.isReady(rangeOf(7n, 30n)), "the next one is missing")
      assert.isTrue(writer.partitions!.covers(rangeOf(7n, 39n)))
      assert.isFalse(writer.partitions!.covers(rangeOf(30n, 40n)))
      assert.deepInclude(yield* make(writer, 7n, 29n), { made: [], total: 4 })
      const again = yield* prepareTable(sink, request)
      assert.deepStrictEqual(again.notes, [])
      assert.strictEqual((yield* sink.plan(request)).kind, "none")
    }))

  it.live("has its keys, indexes, defaults, comments and storage in every partition, none of them built twice", () =>
    Effect.gen(function*() {
      const { database, sink } = yield* readyBench()
      const fields = [BLOCK, field("block_num", UINT64, false), field("data", BINARY), field("note")]
      const own = requestOf("t", fields, { partitionBy, primaryKey: ["_block_num", "block_num"], comment: "of t" })
      const writer = yield* prepareTable(sink, own)
      yield* database.query(
        "ALTER TABLE t ADD COLUMN extra integer DEFAULT 7, ADD COLUMN id bigint GENERATED ALWAYS AS IDENTITY"
      )
      yield* database.query("CREATE INDEX by_hand ON t (note)")
      yield* database.query("COMMENT ON COLUMN t.note IS 'a note'; ALTER TABLE t ALTER data SET STORAGE EXTERNAL")
      yield* make(writer, 0n, 3n)
      const [facts] = yield* database.query(
        `SELECT (SELECT count(*)::int FROM pg_index WHERE indrelid = 't'::regclass) AS own,
           (SELECT count(*)::int FROM pg_index WHERE indrelid = 't_0_10'::regclass) AS indexes,
           (SELECT count(*)::int FROM pg_index i JOIN pg_inherits h ON h.inhrelid = i.indexrelid
            WHERE i.indrelid = 't_0_10'::regclass) AS attached,
           (SELECT attstorage::text FROM pg_attribute WHERE attrelid = 't_0_10'::regclass AND attname = 'data') AS storage,
           col_description('t_0_10'::regclass, (SELECT attnum FROM pg_attribute WHERE attrelid = 't_0_10'::regclass AND attname = 'note')) AS note`
      )
      assert.deepStrictEqual(facts, { own: 4, indexes: 4, attached: 4, storage: "e", note: "a note" })
      yield* commitRows(writer, fields, [[1n, 1n, new Uint8Array(3), "a"], [2n, 2n, null, "b"]])
      assert.deepStrictEqual(yield* database.query("SELECT extra, id FROM t ORDER BY _block_num"), [
        { extra: 7, id: "1" },
        { extra: 7, id: "2" }
      ])
      assert.deepStrictEqual((yield* prepareTable(sink, own)).notes, [])
    }))

  it.live("takes rows of a query without block numbers by the ends of their ranges", () =>
    Effect.gen(function*() {
      const { database, sink } = yield* readyBench()
      const writer = yield* prepareTable(sink, requestOf("t", [field("note")], { partitionBy }))
      yield* make(writer, 0n, 1_234n)
      assert.deepStrictEqual(yield* partitionsOf(database), ["t_1230_1240 1230-1240", "t_1240_1250 1240-1250"])
    }))

  it.live("is made larger by new columns, in the partitions that are there and in later ones", () =>
    Effect.gen(function*() {
      const { database, sink } = yield* readyBench()
      yield* commitRows(yield* prepareTable(sink, request), columns, rows(1, 2))
      const wider = [...columns, field("more")]
      const writer = yield* prepareTable(sink, requestOf("t", wider, { partitionBy }, "f2"))
      yield* commitRows(writer, wider, [[3n, "c", "d"], [23n, "e", "f"]])
      assert.deepStrictEqual(yield* database.query("SELECT _block_num, more FROM t ORDER BY 1"), [
        { _block_num: "1", more: null },
        { _block_num: "2", more: null },
        { _block_num: "3", more: "d" },
        { _block_num: "23", more: "f" }
      ])
    }))

  it.live("keeps its partitions when the width changes, and new ones follow them without a gap", () =>
    Effect.gen(function*() {
      const { database, sink } = yield* readyBench()
      yield* commitRows(yield* prepareTable(sink, request), columns, rows(1, 12))
      const wide = requestOf("t", columns, { partitionBy: { blocks: 25 } })
      assert.strictEqual((yield* sink.plan(wide)).kind, "none")
      yield* commitRows(yield* prepareTable(sink, wide), columns, rows(29, 31, 76))
      assert.deepStrictEqual(
        (yield* partitionsOf(database)).map((text) => text.split(" ")[1]),
        ["0-10", "10-20", "20-30", "30-50", "50-75", "75-100", "100-125"]
      )
      assert.deepStrictEqual(yield* blocksOf(database), [1, 12, 29, 31, 76])
    }))

  it.live("is rewound, trimmed and emptied across its partitions, which stay", () =>
    Effect.gen(function*() {
      const { database, sink } = yield* readyBench()
      const writer = yield* prepareTable(sink, request)
      yield* commitRows(writer, columns, rows(1, 9, 11))
      yield* commitRows(yield* prepareTable(sink, request), columns, rows(12, 19, 25))
      yield* database.query("INSERT INTO t SELECT 26, 'x', n FROM generate_series(1, 3) n")
      assert.strictEqual(yield* sink.trim("t"), 3)
      assert.strictEqual((yield* sink.rewind("t", 11n)).rowsRemoved, 3)
      assert.deepStrictEqual(yield* blocksOf(database), [1, 9, 11])
      const { deleteSome } = yield* sink.empty("t")
      assert.deepStrictEqual([yield* deleteSome, yield* deleteSome], [3, 0])
      assert.lengthOf(yield* partitionsOf(database), 4)
    }))
})

describe("a partition", () => {
  it.live("is made while others read and write the table, and waits for none of them", () =>
    Effect.gen(function*() {
      const { database, sink } = yield* readyBench()
      const writer = yield* prepareTable(sink, request)
      yield* commitRows(writer, columns, rows(1))
      const reader = yield* holdLock(database, "SELECT count(*) FROM t")
      yield* holdLock(database, "INSERT INTO t VALUES (2, 'by hand', 0)")
      assert.lengthOf((yield* make(writer, 3n, 33n)).made, 3)
      assert.deepStrictEqual(yield* reader.query("SELECT count(*)::int AS rows FROM t"), [{ rows: 1 }])
    }))

  it.live("that no row needs yet is left for later where a lock is in the way; one that rows need fails", () =>
    Effect.gen(function*() {
      const { database, sink } = yield* readyBench()
      const writer = yield* prepareTable(sink, request)
      yield* make(writer, 0n, 0n)
      const lock = yield* holdLock(database, "LOCK TABLE t IN SHARE UPDATE EXCLUSIVE MODE")
      const { aheadFailure, lastBlock, made } = yield* make(writer, 9n, 19n)
      assert.deepStrictEqual([made, lastBlock], [[], 19n])
      assert.include(aheadFailure, "lock timeout")
      assert.isTrue(writer.partitions!.covers(rangeOf(9n, 19n)))
      assert.isFalse(writer.partitions!.isReady(rangeOf(9n, 19n)))
      const error = yield* Effect.flip(make(writer, 20n, 20n))
      assert.strictEqual(error._tag, "SqlError")
      yield* lock.release
      assert.lengthOf((yield* make(writer, 9n, 19n)).made, 1)
      assert.isTrue(writer.partitions!.isReady(rangeOf(9n, 19n)))
    }))

  it.live("I3 is not made by a process that lost the lease", () =>
    Effect.gen(function*() {
      const { database, sink } = yield* readyBench()
      const writer = yield* prepareTable(sink, request)
      yield* database.query("UPDATE _ampsync_writers SET heartbeat_at = heartbeat_at - interval '10 seconds'")
      const other = yield* processOn(database)
      yield* prepareTable(other.sink, request)
      assert.strictEqual((yield* Effect.flip(make(writer, 0n, 5n)))._tag, "Fenced")
      assert.deepStrictEqual(yield* partitionsOf(database), [])
    }))

  it.live("that was dropped is missed by nobody until its rows come again, and is made again then", () =>
    Effect.gen(function*() {
      const { database, sink } = yield* readyBench()
      const writer = yield* prepareTable(sink, request)
      yield* commitRows(writer, columns, rows(1, 15, 25))
      yield* database.query("DROP TABLE t_0_10")
      const next = yield* prepareTable(sink, request)
      yield* commitRows(next, columns, rows(26, 41))
      assert.notInclude((yield* partitionsOf(database)).join(), "t_0_10")
      assert.strictEqual((yield* sink.plan(request)).kind, "none")
      // The one of the newest rows, while a writer knows that it made it.
      const late = yield* prepareTable(sink, request)
      yield* make(late, 42n, 42n)
      yield* database.query("DROP TABLE t_40_50")
      const partitions = { ...late.partitions!, make: () => Effect.succeed({} as never) }
      const error = yield* Effect.flip(commitRows({ ...late, partitions }, columns, rows(42)))
      assert.strictEqual(error._tag, "TableChanged")
      assert.include(error.message, "a partition that rows need is gone; it is made again")
      yield* commitRows(yield* prepareTable(sink, request), columns, rows(3, 42))
      assert.deepStrictEqual(yield* blocksOf(database), [3, 15, 25, 26, 42])
    }))

  it.live("is not made where another relation has its name, such as one that was detached", () =>
    Effect.gen(function*() {
      const { database, sink } = yield* readyBench()
      const writer = yield* prepareTable(sink, request)
      yield* commitRows(writer, columns, rows(1, 15))
      yield* database.query("ALTER TABLE t DETACH PARTITION t_0_10")
      assert.strictEqual((yield* sink.plan(request)).kind, "none")
      const message = yield* rejectionOf(make(writer, 5n, 15n))
      assert.include(message, "rows need a partition with the name \"t_0_10\", and another relation in schema")
      assert.include(message, "rename it, move it to another schema, or drop it")
      assert.lengthOf((yield* make(writer, 15n, 25n)).made, 1, "only rows of that one are kept out")
    }))

  it.live("is one of at most ten thousand, and a hundred are made in a transaction", () =>
    Effect.gen(function*() {
      const { database, sink } = yield* readyBench()
      const writer = yield* prepareTable(sink, requestOf("t", columns, { partitionBy: { blocks: 1 } }))
      const message = yield* rejectionOf(make(writer, 0n, 25_000_000n))
      assert.include(
        message,
        "with partitionBy of 1 blocks it would have more than 10000 partitions for blocks 0 to 25000000"
      )
      assert.include(message, "blocks without rows count; raise \"blocks\" of partitionBy in the config")
      assert.include(message, "with 25001 or more, all blocks up to 25000000 need at most 1000")
      assert.deepStrictEqual(yield* partitionsOf(database), [])
      assert.lengthOf((yield* make(writer, 0n, 109n)).made, 111)
      const transactions = yield* database.query(
        "SELECT DISTINCT xmin::text FROM pg_class WHERE relname LIKE 't\\_%' AND relispartition AND relnamespace = $1::regnamespace",
        [database.schema]
      )
      assert.lengthOf(transactions, 3)
    }))
})

describe("a table that exists", () => {
  it.live("is rejected with the remedy where it is partitioned otherwise than the config asks, and stays as it is", () =>
    Effect.gen(function*() {
      const { sink } = yield* readyBench()
      const plain = requestOf("plain", columns)
      yield* prepareTable(sink, plain)
      yield* prepareTable(sink, request)
      const one = yield* rejectionOf(prepareTable(sink, requestOf("plain", columns, { partitionBy })))
      assert.match(
        one,
        /it is in one piece; ampsync does not change that\. Remove partitionBy from the config; or run DROP TABLE/
      )
      assert.strictEqual((yield* sink.plan(plain)).kind, "none")
      assert.strictEqual((yield* sink.plan(request)).kind, "none")
    }))

  it.live("goes on where others make its partitions, and is rejected with the remedy once one is missing", () =>
    Effect.gen(function*() {
      const { database, sink } = yield* readyBench()
      yield* prepareTable(sink, request)
      yield* database.query("CREATE TABLE by_hand PARTITION OF t FOR VALUES FROM (0) TO (10)")
      const writer = yield* prepareTable(sink, requestOf("t", columns))
      assert.lengthOf(writer.notes, 1)
      assert.include(writer.notes[0], "the config has no partitionBy, so ampsync makes none of its partitions")
      yield* commitRows(writer, columns, rows(1, 9))
      assert.deepStrictEqual(yield* blocksOf(database), [1, 9])
      const message = yield* rejectionOf(commitRows(writer, columns, rows(9, 10)))
      assert.match(message, /no partition takes rows of blocks 9 to 10, and the config has no partitionBy.*make it/)
      assert.deepStrictEqual(yield* blocksOf(database), [1, 9])
    }))

  it.live("is not made where the primary key of the config lacks the position", () =>
    Effect.gen(function*() {
      const { database, sink } = yield* readyBench()
      const key = [BLOCK, field("hash", BINARY, false)]
      const message = yield* rejectionOf(
        prepareTable(sink, requestOf("t", key, { partitionBy, primaryKey: ["hash"] }))
      )
      assert.include(message, "primaryKey (\"hash\") lacks column \"_block_num\"")
      assert.deepStrictEqual(yield* neverFilled(database), ["t"])
    }))
})

describe("with CDC_READY", () => {
  it.live("a partition is published from its birth on, with all columns of deleted rows", () =>
    Effect.gen(function*() {
      const start = yield* readyBench()
      const publication = `parts_${start.database.schema}`
      yield* Effect.addFinalizer(() => start.database.query(`DROP PUBLICATION IF EXISTS "${publication}"`))
      const { bookkeeping, database, sink } = yield* processOn(start.database, {
        CDC_READY: "logical",
        CDC_PUBLICATION: publication
      })
      yield* bookkeeping.ensure
      const writer = yield* prepareTable(sink, request)
      yield* make(writer, 0n, 0n)
      const identities = yield* database.query(
        "SELECT relname, relreplident::text AS identity FROM pg_class WHERE relname IN ('t', 't_0_10', 't_10_20') AND relnamespace = $1::regnamespace ORDER BY 1",
        [database.schema]
      )
      assert.deepStrictEqual(identities.map(({ identity }) => identity), ["f", "f", "f"])
      const published = yield* database.query<{ tablename: string }>(
        "SELECT tablename FROM pg_publication_tables WHERE pubname = $1 AND tablename ~ '^t' ORDER BY 1",
        [publication]
      )
      assert.deepStrictEqual(published.map(({ tablename }) => tablename), ["t"], "as one table")
      yield* commitRows(writer, columns, rows(1, 12))
      assert.deepStrictEqual((yield* prepareTable(sink, request)).notes, [])
      yield* database.query("DELETE FROM t")
    }))
})
