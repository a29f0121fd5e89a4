import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { prepareTable } from "../../support/chunks.ts"
import { holdLock } from "../../support/holdLock.ts"
import type { TestDatabase } from "../../support/postgres.ts"
import { BLOCK, commitRows, field, processOn, readyBench, requestOf } from "../../support/sinkBench.ts"

const columns = [BLOCK, field("note")]
const rows = (...blocks: ReadonlyArray<bigint>) => blocks.map((block) => [block, `row of ${block}`])

/** A process that has filled a table up to block 2, one row per block. */
const filled = Effect.fnUntraced(function*(table = "t") {
  const process = yield* readyBench()
  yield* commitRows(yield* prepareTable(process.sink, requestOf(table, columns)), columns, rows(0n, 1n, 2n))
  return process
})

/** Rows above every watermark, as those of an unfinished range. */
const addRows = ({ query }: TestDatabase, position: string, count: number) =>
  query(`INSERT INTO t (_block_num, note, _row_index) SELECT ${position}, '', n FROM generate_series(1, $1) n`, [count])

const blocksOf = ({ query }: TestDatabase, table = "t") =>
  Effect.map(
    query<{ n: string }>(`SELECT _block_num AS n FROM ${table} ORDER BY 1`),
    (found) => found.map(({ n }) => Number(n))
  )

const checkpoint = ({ query }: TestDatabase, table = "t") =>
  Effect.map(
    query<Record<string, unknown>>("SELECT * FROM _ampsync_checkpoints WHERE table_name = $1", [table]),
    ([row]) => row!
  )

const counts = (database: TestDatabase) =>
  Effect.map(checkpoint(database), ({ provisional_rows: provisional, rows }) => [Number(rows), Number(provisional)])

/** Makes the last heartbeat of every process ten seconds old. */
const silence = ({ query }: TestDatabase) =>
  query("UPDATE _ampsync_writers SET heartbeat_at = heartbeat_at - interval '10 seconds'")

const KEEP = `CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'; CREATE TRIGGER act
  BEFORE DELETE ON t FOR EACH ROW`

/** Triggers and rules that keep rows of block 3, or all, from being deleted. */
const filters: ReadonlyArray<readonly [title: string, statements: string]> = [
  ["a trigger keeps all rows", `${KEEP} EXECUTE FUNCTION keep()`],
  ["a trigger keeps one row", `${KEEP} WHEN (OLD._block_num = 3 AND OLD._row_index = 1) EXECUTE FUNCTION keep()`],
  ["a rule keeps rows", "CREATE RULE act AS ON DELETE TO t WHERE OLD._block_num = 3 DO INSTEAD NOTHING"]
]

describe("emptying a table", () => {
  it.live.each(filters.slice(0, 2))("I1 fails with the cause where %s", ([, statements]) =>
    Effect.gen(function*() {
      const { database, sink } = yield* filled()
      yield* addRows(database, "3", 2)
      yield* database.query(statements)
      const { deleteSome } = yield* sink.empty("t")
      const error = yield* Effect.flip(Effect.repeat(deleteSome, { while: (removed) => removed > 0 }))
      assert.strictEqual(error._tag, "TableRejected")
      assert.include(error.message, "rows could not be deleted although the server reported no error")
      assert.isNotEmpty(yield* blocksOf(database))
    }))

  it.live("forgets the watermark, its history and the chain, of this table only, and no more than that", () =>
    Effect.gen(function*() {
      const { database, sink } = yield* filled()
      yield* commitRows(yield* prepareTable(sink, requestOf("other", columns)), columns, rows(7n))
      const { column_names: made } = yield* checkpoint(database)
      yield* database.query("UPDATE _ampsync_checkpoints SET unverified_from = 1, block_at = now()")
      const emptying = yield* sink.empty("t")
      assert.deepStrictEqual([emptying.watermark, emptying.rows], [2n, 3n])
      const after = yield* checkpoint(database)
      for (
        const column of [
          "max_block_num",
          "watermark_hash",
          "watermark_at",
          "block_at",
          "network",
          "origin_block",
          "unverified_from"
        ]
      ) assert.isNull(after[column], column)
      assert.deepInclude(after, { rows: "3", provisional_rows: "3", column_names: made })
      const history = yield* database.query("SELECT table_name, block_num FROM _ampsync_watermarks")
      assert.deepStrictEqual(history, [{ table_name: "other", block_num: "7" }])
      assert.deepStrictEqual(yield* blocksOf(database), [0, 1, 2], "the rows go afterwards, in steps")
    }))

  it.live("leaves no row behind, with any number of rows per block in any order", () =>
    Effect.gen(function*() {
      const { database, sink } = yield* filled()
      yield* addRows(database, "n % 7", 110_000)
      const { deleteSome } = yield* sink.empty("t")
      const steps: Array<number> = []
      do {
        steps.push(yield* deleteSome)
        const [recorded] = yield* counts(database)
        assert.isAtLeast(recorded!, 0)
      } while (steps.at(-1)! > 0)
      assert.deepStrictEqual(steps, [50_000, 50_000, 10_003, 0])
      assert.deepStrictEqual(yield* blocksOf(database), [])
      assert.deepStrictEqual(yield* counts(database), [0, 0])
    }))

  it.live("leaves no row behind in any partition of a table that was partitioned by hand", () =>
    Effect.gen(function*() {
      const { database, sink } = yield* filled()
      yield* database.query("ALTER TABLE t RENAME TO t_old")
      yield* database.query("CREATE TABLE t (LIKE t_old INCLUDING ALL) PARTITION BY RANGE (_block_num)")
      yield* database.query("CREATE TABLE t_low PARTITION OF t FOR VALUES FROM (0) TO (110000)")
      yield* database.query("CREATE TABLE t_high PARTITION OF t DEFAULT")
      yield* addRows(database, "n", 180_000)
      const { deleteSome } = yield* sink.empty("t")
      const steps: Array<number> = []
      do steps.push(yield* deleteSome)
      while (steps.at(-1)! > 0)
      assert.deepStrictEqual(yield* blocksOf(database), [])
      assert.deepStrictEqual(steps, [50_000, 50_000, 50_000, 30_000, 0])
    }))

  it.live("returns how many rows are left after each step, and none at the end where some were deleted by hand", () =>
    Effect.gen(function*() {
      const { database, sink } = yield* filled()
      yield* database.query("DELETE FROM t WHERE _block_num = 1")
      const { deleteSome } = yield* sink.empty("t")
      assert.strictEqual(yield* deleteSome, 2)
      assert.deepStrictEqual(yield* counts(database), [1, 1])
      assert.strictEqual(yield* deleteSome, 0)
      assert.deepStrictEqual(yield* counts(database), [0, 0])
    }))

  it.live("I3 of a process that lost the lease deletes nothing more, and waits for no lock", () =>
    Effect.gen(function*() {
      const { database, sink } = yield* filled()
      const { deleteSome } = yield* sink.empty("t")
      yield* silence(database)
      const other = yield* processOn(database)
      yield* other.bookkeeping.ensure
      yield* prepareTable(other.sink, requestOf("t", columns))
      // The other process is in the middle of a commit.
      const lock = yield* holdLock(database, "SELECT FROM t FOR UPDATE")
      const error = yield* Effect.flip(Effect.timeout(deleteSome, "5 seconds"))
      assert.strictEqual(error._tag, "Fenced")
      yield* lock.release
      assert.strictEqual((yield* Effect.flip(deleteSome))._tag, "Fenced")
      assert.deepStrictEqual(yield* blocksOf(database), [0, 1, 2])
    }))

  it.live("succeeds for a table that somebody dropped, which the next start creates again", () =>
    Effect.gen(function*() {
      const { database, sink } = yield* filled()
      yield* database.query("DROP TABLE t")
      const { deleteSome } = yield* sink.empty("t")
      assert.strictEqual(yield* deleteSome, 0)
      assert.deepStrictEqual(yield* counts(database), [0, 0])
      yield* commitRows(yield* prepareTable(sink, requestOf("t", columns)), columns, rows(0n, 1n))
      assert.deepStrictEqual(yield* blocksOf(database), [0, 1])
      assert.deepStrictEqual(yield* counts(database), [2, 0])
    }))
})

describe("a trigger, rule or policy that may keep rows from being deleted", () => {
  it.live("is named by plan and at every start, and one that cannot keep any is not", () =>
    Effect.gen(function*() {
      const { database, sink } = yield* filled()
      yield* database.query(
        `${KEEP} EXECUTE FUNCTION keep();
         CREATE TRIGGER after_it AFTER DELETE ON t FOR EACH ROW EXECUTE FUNCTION keep();
         CREATE TRIGGER on_insert BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION keep();
         CREATE TRIGGER disabled BEFORE DELETE ON t FOR EACH ROW EXECUTE FUNCTION keep();
         ALTER TABLE t DISABLE TRIGGER disabled;
         CREATE RULE "Not these" AS ON DELETE TO t WHERE OLD._block_num = 3 DO INSTEAD NOTHING`
      )
      for (
        const { notes } of [
          yield* sink.plan(requestOf("t", columns)),
          yield* prepareTable(sink, requestOf("t", columns))
        ]
      ) {
        assert.deepStrictEqual(notes, [
          "trigger \"act\", rule \"Not these\" may keep rows from being deleted: a reorg whose rows are kept parks the table",
          "trigger \"on_insert\" may keep rows from being stored: a row that is left out parks the table, and each commit " +
          "waits until its rows are counted"
        ])
      }
      yield* database.query("DROP TRIGGER act ON t; DROP TRIGGER on_insert ON t; DROP RULE \"Not these\" ON t")
      assert.deepStrictEqual((yield* sink.plan(requestOf("t", columns))).notes, [])
    }))
})

describe("trimming a table", () => {
  it.live.each(filters)(
    "I1 fails with the cause where %s, and changes nothing",
    ([, statements]) =>
      Effect.gen(function*() {
        const { database, sink } = yield* filled()
        yield* addRows(database, "3", 2)
        yield* database.query("UPDATE _ampsync_checkpoints SET rows = 5, provisional_rows = 2")
        yield* database.query(statements)
        const error = yield* Effect.flip(sink.trim("t"))
        assert.strictEqual(error._tag, "TableRejected")
        assert.include(error.message, "rows of blocks from 3 on could not be deleted")
        assert.deepStrictEqual(yield* blocksOf(database), [0, 1, 2, 3, 3])
        assert.deepStrictEqual(yield* counts(database), [5, 2])
        assert.isNull((yield* checkpoint(database))["writer"])
      })
  )

  it.live("deletes the rows above the watermark and nothing else, and releases the lease", () =>
    Effect.gen(function*() {
      const { database, sink } = yield* filled()
      const { column_names: made } = yield* checkpoint(database)
      yield* addRows(database, "3", 4)
      assert.strictEqual(yield* sink.trim("t"), 4)
      assert.deepStrictEqual(yield* blocksOf(database), [0, 1, 2])
      assert.deepInclude(yield* checkpoint(database), {
        max_block_num: "2",
        provisional_rows: "0",
        writer: null,
        column_names: made
      })
    }))

  it.live("deletes every row of a table that has no watermark yet", () =>
    Effect.gen(function*() {
      const { database, sink } = yield* readyBench()
      yield* prepareTable(sink, requestOf("t", columns))
      yield* addRows(database, "0", 5)
      assert.strictEqual(yield* sink.trim("t"), 5)
      assert.deepStrictEqual(yield* blocksOf(database), [])
    }))

  it.live("has nothing to do where somebody dropped the table", () =>
    Effect.gen(function*() {
      const { database, sink } = yield* filled()
      yield* database.query("DROP TABLE t")
      assert.strictEqual(yield* sink.trim("t"), 0)
      assert.isNull((yield* checkpoint(database))["writer"])
    }))

  it.live("I3 fails, and changes nothing, where another process takes the table over meanwhile", () =>
    Effect.gen(function*() {
      const { database, sink } = yield* filled()
      yield* addRows(database, "3", 4)
      yield* database.query(
        `CREATE FUNCTION steal() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN
           UPDATE ${database.schema}._ampsync_checkpoints SET writer_epoch = writer_epoch + 1; RETURN OLD; END';
         CREATE TRIGGER act BEFORE DELETE ON t FOR EACH ROW EXECUTE FUNCTION steal()`
      )
      assert.strictEqual((yield* Effect.flip(sink.trim("t")))._tag, "Fenced")
      assert.lengthOf(yield* blocksOf(database), 7)
    }))

  it.live("I3 changes no table that another process writes or that was never synced", () =>
    Effect.gen(function*() {
      const { database } = yield* filled()
      yield* addRows(database, "3", 4)
      const other = yield* processOn(database)
      yield* other.bookkeeping.ensure
      const before = yield* checkpoint(database)
      assert.strictEqual((yield* Effect.flip(other.sink.trim("t")))._tag, "TableHeld")
      assert.lengthOf(yield* blocksOf(database), 7)
      assert.deepStrictEqual(yield* checkpoint(database), before)
      yield* database.query("CREATE TABLE mine (_block_num int); INSERT INTO mine VALUES (1)")
      assert.include((yield* Effect.flip(other.sink.trim("mine"))).message, "has no checkpoint of it")
      assert.deepStrictEqual(yield* blocksOf(database, "mine"), [1])
    }))
})

describe("rewinding a table", () => {
  /** Watermarks at blocks 0, 2 and 4, and two provisional rows of block 5. */
  const filledInSteps = Effect.fnUntraced(function*() {
    const process = yield* readyBench()
    for (const blocks of [[0n], [1n, 2n], [3n, 4n]]) {
      const writer = yield* prepareTable(process.sink, requestOf("t", columns))
      yield* commitRows(writer, columns, rows(...blocks))
    }
    yield* addRows(process.database, "5", 2)
    yield* process.database.query("UPDATE _ampsync_checkpoints SET rows = 7, provisional_rows = 2, unverified_from = 4")
    return process
  })

  const state = Effect.fnUntraced(function*(database: TestDatabase) {
    const { max_block_num: watermark, unverified_from: unverified, writer } = yield* checkpoint(database)
    const history = yield* database.query<{ n: string }>("SELECT block_num AS n FROM _ampsync_watermarks ORDER BY 1")
    return { watermark, unverified, writer, history: history.map(({ n }) => Number(n)) }
  })

  it.live("I1 removes the rows and the history above the newest watermark at or below the block, and records it", () =>
    Effect.gen(function*() {
      const { database, sink } = yield* filledInSteps()
      const { before, rowsRemoved, watermark } = yield* sink.rewind("t", 3n)
      assert.deepStrictEqual([before.block, watermark.block, rowsRemoved], [4n, 2n, 4])
      assert.deepStrictEqual(yield* blocksOf(database), [0, 1, 2])
      assert.deepStrictEqual(yield* counts(database), [3, 0])
      assert.deepStrictEqual(yield* state(database), {
        watermark: "2",
        unverified: null,
        writer: null,
        history: [0, 2]
      })
      const entries = yield* database.query("SELECT first_block, depth, new_hash, rows_removed FROM _ampsync_reorgs")
      assert.deepStrictEqual(entries, [{ first_block: "3", depth: "2", new_hash: null, rows_removed: "4" }])
      yield* commitRows(yield* prepareTable(sink, requestOf("t", columns)), columns, rows(3n, 4n))
      assert.deepStrictEqual(yield* blocksOf(database), [0, 1, 2, 3, 4])
    }))

  it.live("to its watermark, or above it, removes the provisional rows only", () =>
    Effect.gen(function*() {
      const { database, sink } = yield* filledInSteps()
      assert.deepInclude(yield* sink.rewind("t", 9n), { rowsRemoved: 2 })
      assert.deepStrictEqual(yield* blocksOf(database), [0, 1, 2, 3, 4])
      assert.deepInclude(yield* state(database), { watermark: "4", unverified: "4", history: [0, 2, 4] })
      assert.lengthOf(yield* database.query("SELECT FROM _ampsync_reorgs"), 0)
    }))

  it.live("I1 changes nothing where a trigger keeps a row, no watermark is low enough, or nothing is complete", () =>
    Effect.gen(function*() {
      const { database, sink } = yield* filledInSteps()
      yield* database.query("UPDATE _ampsync_watermarks SET block_num = 1 WHERE block_num = 0")
      const tooLow = yield* Effect.flip(sink.rewind("t", 0n))
      assert.include(tooLow.message, "no watermark at or below block 0 is recorded; the oldest is that of block 1")
      yield* database.query(`${KEEP} WHEN (OLD._block_num = 4) EXECUTE FUNCTION keep()`)
      assert.include(
        (yield* Effect.flip(sink.rewind("t", 2n))).message,
        "rows of blocks from 3 on could not be deleted"
      )
      assert.deepStrictEqual(yield* blocksOf(database), [0, 1, 2, 3, 4, 5, 5].toSorted())
      assert.deepInclude(yield* state(database), { watermark: "4", writer: null })
      yield* database.query("DELETE FROM _ampsync_watermarks; UPDATE _ampsync_checkpoints SET max_block_num = NULL")
      assert.include((yield* Effect.flip(sink.rewind("t", 2n))).message, "nothing of it is complete")
    }))

  it.live("I3 is rejected while another process writes the table", () =>
    Effect.gen(function*() {
      const { database } = yield* filledInSteps()
      const other = yield* processOn(database)
      yield* other.bookkeeping.ensure
      assert.strictEqual((yield* Effect.flip(other.sink.rewind("t", 2n)))._tag, "TableHeld")
      assert.deepInclude(yield* state(database), { watermark: "4" })
    }))
})
