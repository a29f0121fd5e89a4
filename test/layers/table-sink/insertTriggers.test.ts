/** Rows that a trigger leaves out without an error, and rows that are not as many as were sent. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { addRows } from "../../../src/domain/chain/Chunk.ts"
import type { TableSettings } from "../../../src/domain/manifest/TableSettings.ts"
import {
  checkpointOf,
  contents,
  everything,
  type FilledChunk,
  firstOf,
  noRows,
  prepareTable,
  rangeOf,
  withRange,
  writeChunk
} from "../../support/chunks.ts"
import { BLOCK, field, readyBench, requestOf } from "../../support/sinkBench.ts"

const fields = [BLOCK, field("note")]
const first = checkpointOf([4n, 0])
const second = checkpointOf([4n, 0], [6n, 0])
const third = checkpointOf([4n, 0], [6n, 0], [7n, 0])
const OLD = ["0:old0,old1", "1:old0,old1", "2:old0,old1", "3:old0,old1", "4:old0,old1"]
const NEW = [...OLD, "5:new0,new1", "6:new0,new1"]

/** Blocks 5 and 6, of two rows each. */
const next = (table = noRows(first)) => withRange(table, rangeOf(5n, 6n), "new", second)
const seventh = withRange(noRows(second), rangeOf(7n, 7n), "third", third)

/** A table that is complete up to block 4, and a trigger function that leaves out the second row of block 5. */
const filled = Effect.fnUntraced(function*(settings: Partial<TableSettings> = {}) {
  const process = yield* readyBench()
  const prepare = prepareTable(process.sink, requestOf("t", fields, settings))
  const writer = yield* prepare
  if (writer.partitions !== undefined) yield* writer.partitions.make(rangeOf(0n, 9n))
  yield* writeChunk(writer, withRange(firstOf(writer), rangeOf(0n, 4n), "old", first))
  yield* process.database.query(
    `CREATE FUNCTION leave_out() RETURNS trigger LANGUAGE plpgsql AS
       $$ BEGIN IF NEW._block_num = 5 AND NEW._row_index = 1 THEN RETURN NULL; END IF; RETURN NEW; END $$;
     CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$`
  )
  return { ...process, prepare }
})

const ROW_TRIGGER = "FOR EACH ROW EXECUTE FUNCTION"

describe("a trigger that leaves out a row", () => {
  const chunks: ReadonlyArray<readonly [title: string, chunk: FilledChunk]> = [
    ["", next()],
    [" and has a deletion", next(noRows(first, 5n))]
  ]
  it.live.each(chunks)(
    "I1 rejects the table and commits nothing of the chunk that has it%s, also at the next start",
    ([, chunk]) =>
      Effect.gen(function*() {
        const { database, prepare } = yield* filled()
        yield* database.query(`CREATE TRIGGER "Some" BEFORE INSERT ON t ${ROW_TRIGGER} leave_out()`)
        for (let start = 0; start < 2; start += 1) {
          const writer = yield* prepare
          const before = yield* everything(database)
          const error = yield* Effect.flip(writeChunk(writer, chunk))
          assert.strictEqual(
            error.message,
            "table \"t\" is rejected: of the 4 rows of blocks 5 to 6 PostgreSQL left out 1 without an error, so none of them is " +
              "committed; trigger \"Some\" may be the cause: remove it, or leave such rows out with WHERE in the query, then " +
              "start ampsync again"
          )
          assert.deepStrictEqual(yield* everything(database), before)
        }
        yield* database.query("DROP TRIGGER \"Some\" ON t")
        yield* writeChunk(yield* prepare, chunk)
        assert.deepStrictEqual(yield* contents(database), NEW)
      })
  )

  it.live("I1 rejects the table where the trigger is on a partition", () =>
    Effect.gen(function*() {
      const { database, prepare } = yield* filled({ partitionBy: { blocks: 5 } })
      yield* database.query(`CREATE TRIGGER sieve BEFORE INSERT ON t_5_10 ${ROW_TRIGGER} leave_out()`)
      const writer = yield* prepare
      assert.lengthOf(writer.notes.filter((note) => note.includes("trigger \"sieve\"")), 1)
      const error = yield* Effect.flip(writeChunk(writer, next()))
      assert.include(error.message, "of the 4 rows of blocks 5 to 6 PostgreSQL left out 1")
      assert.deepStrictEqual(yield* contents(database), OLD)
    }))

  it.live("I1 does not let a chunk commit where it came after the table was prepared: the table is prepared again", () =>
    Effect.gen(function*() {
      const { database, prepare } = yield* filled()
      for (
        const enable of [
          `CREATE TRIGGER sieve BEFORE INSERT ON t ${ROW_TRIGGER} leave_out()`,
          "ALTER TABLE t ENABLE TRIGGER sieve"
        ]
      ) {
        const writer = yield* prepare
        yield* database.query(enable)
        const before = yield* everything(database)
        const error = yield* Effect.flip(writeChunk(writer, next()))
        assert.strictEqual(error._tag, "TableChanged")
        assert.include(error.message, "it got a trigger that may keep rows from being stored")
        assert.deepStrictEqual(yield* everything(database), before)
        assert.include((yield* Effect.flip(writeChunk(yield* prepare, next()))).message, "PostgreSQL left out 1")
        yield* database.query("ALTER TABLE t DISABLE TRIGGER sieve")
      }
    }))
})

describe("a trigger or a rule that leaves out no row", () => {
  it.live("lets chunks commit, one after the other, and is named at the start where it could", () =>
    Effect.gen(function*() {
      const { database, prepare } = yield* filled()
      yield* database.query(`CREATE TRIGGER sieve BEFORE INSERT ON t ${ROW_TRIGGER} keep()`)
      const writer = yield* prepare
      assert.deepStrictEqual(writer.notes, [
        "trigger \"sieve\" may keep rows from being stored: a row that is left out parks the table, and each commit waits " +
        "until its rows are counted"
      ])
      yield* Effect.scoped(Effect.gen(function*() {
        const transactions = yield* writer.transactions
        for (const { chunk, tuples } of [next(), seventh]) {
          yield* transactions.open(chunk.deleteFrom)
          for (const piece of tuples) yield* transactions.copy(piece, () => {})
          yield* yield* transactions.close(chunk)
        }
      }))
      assert.deepStrictEqual(yield* contents(database), [...NEW, "7:third0,third1"])
    }))

  it.live("is not named where it never can: COPY invokes no rule, and only a row trigger before the row may", () =>
    Effect.gen(function*() {
      const { database, prepare } = yield* filled()
      yield* database.query(
        `CREATE RULE none AS ON INSERT TO t DO INSTEAD NOTHING;
         CREATE TRIGGER behind AFTER INSERT ON t ${ROW_TRIGGER} leave_out();
         CREATE TRIGGER all_of_it BEFORE INSERT ON t FOR EACH STATEMENT EXECUTE FUNCTION keep();
         CREATE TRIGGER other BEFORE UPDATE ON t ${ROW_TRIGGER} leave_out();
         CREATE TRIGGER off BEFORE INSERT ON t ${ROW_TRIGGER} leave_out(); ALTER TABLE t DISABLE TRIGGER off`
      )
      const writer = yield* prepare
      assert.deepStrictEqual(writer.notes, [])
      yield* writeChunk(writer, next())
      assert.deepStrictEqual(yield* contents(database), NEW)
    }))
})

describe("a chunk whose rows are fewer than it counts", () => {
  it.live("is reported with the way out where they are committed, also behind another chunk", () =>
    Effect.gen(function*() {
      const { database, prepare } = yield* filled()
      const writer = yield* prepare
      const chunk = addRows(seventh.chunk, 3, 0, 7n)
      const error = yield* Effect.scoped(Effect.gen(function*() {
        const transactions = yield* writer.transactions
        const outcomes: Array<Effect.Effect<unknown, unknown>> = []
        for (const one of [next(), { ...seventh, chunk }]) {
          yield* transactions.open(undefined)
          for (const piece of one.tuples) yield* transactions.copy(piece, () => {})
          outcomes.push(yield* transactions.close(one.chunk))
        }
        yield* outcomes[0]!
        return yield* Effect.flip(outcomes[1]!)
      }))
      assert.strictEqual(
        (error as Error).message,
        "table \"t\" is rejected: of the 5 rows of block 7 PostgreSQL left out 3 without an error, and the others are committed; " +
          "a trigger of a partition of a partition, or an extension that stores the rows of the table, may be the cause: remove " +
          "it; then, to fill the table again, stop this process and run: node dist/main.js resync --table t"
      )
      assert.deepStrictEqual(yield* contents(database), [...NEW, "7:third0,third1"])
    }))

  it.live("is found on a partition of a partition once it is committed, and before that from the next start on", () =>
    Effect.gen(function*() {
      const { database, prepare } = yield* filled({ partitionBy: { blocks: 5 } })
      yield* database.query(
        `DROP TABLE t_5_10; CREATE TABLE t_5_10 PARTITION OF t FOR VALUES FROM (5) TO (10) PARTITION BY RANGE (_block_num);
         CREATE TABLE below PARTITION OF t_5_10 FOR VALUES FROM (5) TO (10)`
      )
      const writer = yield* prepare
      yield* database.query(`CREATE TRIGGER sieve BEFORE INSERT ON below ${ROW_TRIGGER} leave_out()`)
      const committed = yield* Effect.flip(writeChunk(writer, next()))
      assert.include(committed.message, "PostgreSQL left out 1 without an error, and the others are committed")
      const again = yield* prepare
      assert.lengthOf(again.notes.filter((note) => note.includes("trigger \"sieve\"")), 1)
      const before = yield* everything(database)
      const stopped = yield* Effect.flip(
        writeChunk(again, withRange(noRows(second, 5n), rangeOf(5n, 6n), "new", second))
      )
      assert.include(stopped.message, "so none of them is committed; trigger \"sieve\" may be the cause")
      assert.deepStrictEqual(yield* everything(database), before)
    }))
})
