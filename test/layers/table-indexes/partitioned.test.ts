import { assert, describe, it } from "@effect/vitest"
import { Effect, Option } from "effect"
import { randomBytes } from "node:crypto"
import { indexName } from "../../../src/domain/postgres/table/tableIndexes.ts"
import { isLocked } from "../../../src/services/PgPool.ts"
import { prepareTable, rangeOf } from "../../support/chunks.ts"
import { holdLock } from "../../support/holdLock.ts"
import type { TestDatabase } from "../../support/postgres.ts"
import { BLOCK, commitRows, field, readyBench, recordedEvents, requestOf } from "../../support/sinkBench.ts"

const fields = [BLOCK, field("note")]
const request = requestOf("t", fields, { partitionBy: { blocks: 10 } })
const NAME = indexName("t", ["note"])

/** A table `t` with rows in the first two of its three partitions. */
const withPartitions = Effect.gen(function*() {
  const all = yield* readyBench()
  const writer = yield* prepareTable(all.sink, request)
  yield* commitRows(writer, fields, [[1n, "a"], [11n, "b"]])
  const { events, onEvent, waitsFor } = recordedEvents()
  return {
    ...all,
    events,
    onEvent,
    waitsFor,
    build: Effect.map(all.indexes.build("t", [["note"]], onEvent), Option.isNone),
    isMissing: Effect.map(all.indexes.plan("t", [["note"]]), ({ missing }) => missing.length > 0)
  }
})

/** Indexes on `note`: table, name, whether it is valid, and the index it is attached to. */
const indexesOf = ({ query, schema }: TestDatabase) =>
  Effect.map(
    query<{ table: string; name: string; valid: boolean; parent: string | null }>(
      `SELECT t.relname AS table, x.relname AS name, i.indisvalid AS valid,
         (SELECT p.relname FROM pg_inherits h JOIN pg_class p ON p.oid = h.inhparent WHERE h.inhrelid = x.oid) AS parent
       FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid
       WHERE x.relnamespace = $1::regnamespace AND NOT i.indisprimary AND t.relname ~ '^t' ORDER BY i.indrelid`,
      [schema]
    ),
    (rows) => rows.map(({ name, parent, table, valid }) => [table, name, valid, parent])
  )

const complete = [
  ["t", NAME, true, null],
  ...["t_0_10", "t_10_20", "t_20_30"].map((part) => [part, indexName(part, ["note"]), true, NAME])
]

describe("an index of a partitioned table", () => {
  it.live("is built on every partition and attached, once, and later partitions have it from the start", () =>
    Effect.gen(function*() {
      const { build, database, events, isMissing, sink } = yield* withPartitions
      assert.isTrue(yield* isMissing)
      assert.isTrue(yield* build)
      assert.deepStrictEqual(events, [`building ${NAME}`, `built ${NAME}`])
      assert.deepStrictEqual(yield* indexesOf(database), complete)
      assert.isFalse(yield* isMissing)
      yield* build
      assert.lengthOf(events, 2)
      yield* (yield* prepareTable(sink, request)).partitions!.make(rangeOf(21n, 21n))
      const [, , , , later] = yield* indexesOf(database)
      assert.deepStrictEqual([later![0], later![2], later![3]], ["t_30_40", true, NAME])
      assert.strictEqual((yield* sink.plan(request)).kind, "none")
    }))

  it.live("whose build was interrupted is completed, also where a partition was made in between", () =>
    Effect.gen(function*() {
      const { build, database, events, isMissing, sink } = yield* withPartitions
      const own = (part: string) => indexName(part, ["note"])
      yield* database.query(`CREATE INDEX "${NAME}" ON ONLY t (note)`)
      yield* database.query(`CREATE INDEX ${own("t_0_10")} ON t_0_10 (note)`)
      yield* database.query(`CREATE INDEX ${own("t_10_20")} ON t_10_20 (note)`)
      yield* database.query(`UPDATE pg_index SET indisvalid = false WHERE indexrelid = '${own("t_10_20")}'::regclass`)
      yield* (yield* prepareTable(sink, request)).partitions!.make(rangeOf(21n, 21n))
      assert.isTrue(yield* isMissing)
      assert.isTrue(yield* build)
      assert.deepStrictEqual(events, [`building ${NAME}`, `dropped broken ${own("t_10_20")}`, `built ${NAME}`])
      const found = yield* indexesOf(database)
      assert.deepStrictEqual(found.slice(0, 4), complete)
      assert.deepStrictEqual(found[4]!.slice(2), [true, NAME])
      assert.isFalse(yield* isMissing)
    }))

  it.live("waits for rows of others while it is built, and gives up soon where only the table itself is locked", () =>
    Effect.gen(function*() {
      const { build, database, indexes } = yield* withPartitions
      const lock = yield* holdLock(database, "INSERT INTO t VALUES (2, 'by hand', 0)")
      const error = yield* Effect.flip(indexes.build("t", [["note"]], () => Effect.void))
      assert.isTrue(error.isRetryable, "it is tried again, and holds nobody up meanwhile")
      yield* lock.release
      assert.isTrue(yield* build)
      assert.deepStrictEqual(yield* indexesOf(database), complete)
      assert.deepStrictEqual(
        yield* database.query("SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0)) AS free", [
          `ampsync indexes ["${database.schema}","t"]`
        ]),
        [{ free: true }]
      )
    }))

  it.live("is left out without remains where rows are too large for it", () =>
    Effect.gen(function*() {
      const { build, database, events, sink } = yield* withPartitions
      yield* commitRows(yield* prepareTable(sink, request), fields, [[12n, randomBytes(3_000).toString("hex")]])
      assert.isTrue(yield* build)
      assert.deepStrictEqual(events, [`building ${NAME}`, `left out ${NAME}`])
      assert.deepStrictEqual(yield* indexesOf(database), [])
    }))

  it.live("is dropped from all partitions where a row has no room in one, attached or not, and that row is committed", () =>
    Effect.gen(function*() {
      const { build, database, indexes, sink } = yield* withPartitions
      const commit = Effect.gen(function*() {
        yield* commitRows(yield* prepareTable(sink, request), fields, [[12n, randomBytes(3_000).toString("hex")]])
      })
      yield* build
      const error = yield* Effect.flip(commit)
      if (error._tag !== "RowTooLargeForIndex") return assert.fail(error.message)
      assert.strictEqual(error.index, indexName("t_10_20", ["note"]))
      const dropped = Option.getOrThrow(yield* indexes.dropFull("t", error.index, () => Effect.void))
      assert.deepInclude(dropped, { name: NAME, columns: ["note"], isDropped: true })
      assert.deepStrictEqual(yield* indexesOf(database), [])
      assert.isTrue(Option.isNone(yield* indexes.dropFull("t", error.index, () => Effect.void)))
      yield* database.query(`CREATE INDEX "${NAME}" ON ONLY t (note)`)
      yield* database.query(`CREATE INDEX ${error.index} ON t_10_20 (note)`)
      const again = yield* Effect.flip(commit)
      if (again._tag !== "RowTooLargeForIndex") return assert.fail(again.message)
      assert.deepInclude(Option.getOrThrow(yield* indexes.dropFull("t", again.index, () => Effect.void)), {
        name: NAME,
        isDropped: true
      })
      yield* commit
      assert.lengthOf(yield* database.query("SELECT FROM t WHERE _block_num = 12"), 1)
    }))

  it.live.each([["attached", true], ["not attached yet", false]] as const)(
    "that has no room, %s, is not dropped while somebody reads that partition only, who is named",
    ([, isAttached]) =>
      Effect.gen(function*() {
        const { build, database, indexes, onEvent, waitsFor } = yield* withPartitions
        const own = indexName("t_10_20", ["note"])
        if (isAttached) yield* build
        else yield* database.query(`CREATE INDEX ${own} ON t_10_20 (note)`)
        const drop = indexes.dropFull("t", own, onEvent)
        const before = yield* indexesOf(database)
        // A reader of another partition is in the way of an index of the whole table only.
        const readers = yield* Effect.forEach(
          isAttached ? ["t_0_10", "t_10_20"] : ["t_10_20"],
          (partition) => holdLock(database, `SELECT FROM ${partition}`)
        )
        const error = yield* Effect.flip(Effect.timeout(drop, "10 seconds"))
        assert.isTrue(isLocked(error), error.message)
        const pids = yield* Effect.forEach(readers, ({ processId }) => processId)
        // An autovacuum may be among them.
        assert.includeMembers(waitsFor, pids)
        assert.deepStrictEqual(yield* indexesOf(database), before)
        for (const reader of readers) yield* reader.release
        assert.deepInclude(Option.getOrThrow(yield* drop), { name: NAME, isDropped: true })
        assert.deepStrictEqual(yield* indexesOf(database), [])
      })
  )
})
