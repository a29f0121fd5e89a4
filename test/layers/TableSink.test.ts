import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { Client } from "pg"
import type { ArrowField, ArrowType } from "../../src/domain/arrow/ArrowSchema.ts"
import { addEvent } from "../../src/domain/chain/Chunk.ts"
import type { TableRequest, TableWriter } from "../../src/services/TableSink.ts"
import { sessionOf } from "../support/bookkeeping.ts"
import {
  checkpointOf,
  contents,
  everything,
  type FilledChunk,
  firstOf,
  hashOf,
  neverFilled,
  noRows,
  prepareTable,
  rangeOf,
  withoutRows,
  withRange,
  withReorg,
  writeChunk
} from "../support/chunks.ts"
import { eventually } from "../support/eventually.ts"
import type { TestDatabase } from "../support/postgres.ts"
import { BLOCK, field, readyBench as bench, requestOf, UINT64, UTF8 } from "../support/sinkBench.ts"

/** The columns of most tests: `_block_num` and `note`. */
const plain = [BLOCK, field("note")]

/** A column that is never null. */
const column = (name: string, type: ArrowType = UTF8): ArrowField => field(name, type, false)

const request = (table: string, fields: ReadonlyArray<ArrowField> = plain, fingerprint?: string): TableRequest =>
  requestOf(table, fields, {}, fingerprint)

const checkpoint = ({ query }: TestDatabase, table = "t") =>
  Effect.map(
    query<Record<string, string | null>>(
      "SELECT max_block_num, rows, provisional_rows, position_column FROM _ampsync_checkpoints WHERE table_name = $1",
      [table]
    ),
    ([row]) => row
  )

describe("a commit", () => {
  it.live("I1 writes rows, watermark and counts together, chunk after chunk", () =>
    Effect.gen(function*() {
      const { database, sink } = yield* bench()
      const writer = yield* prepareTable(sink, request("t"))
      yield* writeChunk(writer, withRange(firstOf(writer), rangeOf(0n, 1n), "a", checkpointOf([1n, 0])))
      assert.deepStrictEqual(yield* contents(database), ["0:a0,a1", "1:a0,a1"])
      assert.deepInclude(yield* checkpoint(database), { max_block_num: "1", rows: "4", provisional_rows: "0" })
      // A range in two chunks: provisional until it is complete.
      const open = withRange(noRows(checkpointOf([1n, 0])), rangeOf(2n, 2n), "b")
      assert.deepInclude(yield* writeChunk(writer, open), { provisionalRows: 2n })
      assert.deepInclude(yield* checkpoint(database), { max_block_num: "1", rows: "6", provisional_rows: "2" })
      const completed = yield* writeChunk(
        writer,
        withRange(noRows(open.chunk.checkpoint), rangeOf(3n, 3n), "c", checkpointOf([1n, 0], [3n, 0]))
      )
      assert.deepInclude(completed, { provisionalRows: 0n })
      assert.deepInclude(yield* checkpoint(database), { max_block_num: "3", rows: "8", provisional_rows: "0" })
    }))

  it.live("I1 of a reorg deletes and inserts together, and readers see either all of it or nothing", () =>
    Effect.gen(function*() {
      const { database, sink } = yield* bench()
      const writer = yield* prepareTable(sink, request("t"))
      yield* writeChunk(writer, withRange(firstOf(writer), rangeOf(0n, 4n), "old", checkpointOf([4n, 0])))
      const reorg = reorgChunk()
      const reader = yield* connected(database)
      yield* reader("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1 FROM t LIMIT 1")
      const { rowsRemoved } = yield* writeChunk(writer, reorg)
      assert.strictEqual(rowsRemoved, 4)
      const before = yield* reader("SELECT count(*) FILTER (WHERE note = 'old') AS old, count(*) AS n FROM t")
      assert.deepStrictEqual(before, [{ old: "10", n: "10" }])
      yield* reader("COMMIT")
      assert.deepStrictEqual(yield* contents(database), [
        "0:old0,old1",
        "1:old0,old1",
        "2:old0,old1",
        "3:new0,new1",
        "4:new0,new1",
        "5:new0,new1"
      ])
      assert.deepInclude(yield* checkpoint(database), { max_block_num: "5", rows: "12", provisional_rows: "0" })
      const reorgs = yield* database.query(
        "SELECT table_name, first_block, depth, old_hash, new_hash, rows_removed FROM _ampsync_reorgs"
      )
      assert.deepStrictEqual(reorgs, [{
        table_name: "t",
        first_block: "3",
        depth: "2",
        old_hash: hashOf(4n, 0),
        new_hash: hashOf(5n, 1),
        rows_removed: "4"
      }])
    }))

  /** Blocks 3 and 4 are replaced by 3 to 5. */
  const reorgChunk = (): FilledChunk => {
    const range = rangeOf(3n, 5n, 1)
    const replaced = { block: 4n, hash: hashOf(4n) }
    const reorg = { deleteFrom: 3n, replaced, range, checkpoint: checkpointOf([2n, 0]) }
    return withRange(withReorg(noRows(checkpointOf([4n, 0])), reorg), range, "new", checkpointOf([2n, 0], [5n, 1]))
  }

  const failures: ReadonlyArray<readonly [string, (filled: FilledChunk) => FilledChunk]> = [
    ["rows that cannot be read", ({ chunk, tuples }) => ({ chunk, tuples: [...tuples, Buffer.of(0, 9, 1, 2, 3)] })],
    ["a key that is there twice", ({ chunk, tuples }) => ({ chunk, tuples: [...tuples, ...tuples] })],
    ["rows that end in the middle", ({ chunk, tuples }) => ({ chunk, tuples: [Buffer.concat(tuples).subarray(0, -3)] })]
  ]
  it.live.each(failures)("I1 of a reorg with %s changes nothing at all", ([, spoil]) =>
    Effect.gen(function*() {
      const { database, sink } = yield* bench()
      const writer = yield* prepareTable(sink, request("t"))
      yield* writeChunk(writer, withRange(firstOf(writer), rangeOf(0n, 4n), "old", checkpointOf([4n, 0])))
      const before = yield* everything(database)
      const error = yield* Effect.flip(writeChunk(writer, spoil(reorgChunk())))
      assert.strictEqual(error._tag, "SqlError")
      assert.deepStrictEqual(yield* everything(database), before)
      // The next writer resumes exactly there.
      const again = yield* prepareTable(sink, request("t"))
      assert.deepStrictEqual(again.checkpoint.history, checkpointOf([4n, 0]).history)
      assert.strictEqual(again.rows, 10n)
      yield* writeChunk(again, reorgChunk())
      assert.deepInclude(yield* checkpoint(database), { max_block_num: "5", rows: "12" })
    }))

  it.live("I1 whose session is terminated between the rows and the COMMIT changes nothing at all", () =>
    Effect.gen(function*() {
      const { database, leases, sink } = yield* bench()
      const writer = yield* prepareTable(sink, request("t"))
      yield* writeChunk(writer, withRange(firstOf(writer), rangeOf(0n, 4n), "old", checkpointOf([4n, 0])))
      const before = yield* everything(database)
      // A trigger at the end of the statement holds the transaction after deletion and COPY are done.
      yield* database.query(
        `CREATE FUNCTION linger() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(20); RETURN NULL; END'`
      )
      yield* database.query(`CREATE TRIGGER linger AFTER INSERT ON t EXECUTE FUNCTION ${database.schema}.linger()`)
      const committing = yield* Effect.forkScoped(Effect.exit(writeChunk(writer, reorgChunk())))
      yield* eventually(
        "the session is ended",
        Effect.map(
          database.query(
            `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE application_name = $1 AND wait_event = 'PgSleep'`,
            [sessionOf(leases, "t")]
          ),
          (rows) => rows.length > 0
        )
      )
      assert.strictEqual((yield* Fiber.join(committing))._tag, "Failure")
      yield* database.query("DROP TRIGGER linger ON t")
      assert.deepStrictEqual(yield* everything(database), before)
    }))

  it.live("I3 of a writer that was replaced is fenced and changes nothing", () =>
    Effect.gen(function*() {
      const { database, sink } = yield* bench()
      const old = yield* prepareTable(sink, request("t"))
      const current = yield* prepareTable(sink, request("t"))
      yield* writeChunk(current, withRange(firstOf(current), rangeOf(0n, 1n), "a", checkpointOf([1n, 0])))
      const before = yield* everything(database)
      const error = yield* Effect.flip(
        writeChunk(old, withRange(firstOf(old), rangeOf(0n, 1n), "b", checkpointOf([1n, 0])))
      )
      assert.strictEqual(error._tag, "Fenced")
      assert.deepStrictEqual(yield* everything(database), before)
    }))

  it.live("the first of a connection removes what was provisional, and nothing below the watermark", () =>
    Effect.gen(function*() {
      const { database, sink } = yield* bench()
      const first = yield* prepareTable(sink, request("t"))
      const complete = withRange(firstOf(first), rangeOf(0n, 1n), "a", checkpointOf([1n, 0]))
      yield* writeChunk(first, withRange(complete, rangeOf(2n, 5n), "open"))
      assert.deepInclude(yield* checkpoint(database), { max_block_num: "1", rows: "12", provisional_rows: "8" })
      const second = yield* prepareTable(sink, request("t"))
      assert.strictEqual(second.rows, 12n)
      yield* writeChunk(second, withRange(firstOf(second), rangeOf(2n, 2n), "b"))
      assert.deepStrictEqual(yield* contents(database), ["0:a0,a1", "1:a0,a1", "2:b0,b1"])
      assert.deepInclude(yield* checkpoint(database), { max_block_num: "1", rows: "6", provisional_rows: "2" })
    }))

  it.live("is sent to listeners, and not when that is switched off", () =>
    Effect.gen(function*() {
      const notified = yield* bench()
      const client = yield* Effect.acquireRelease(
        Effect.promise(async () => {
          const client = new Client({ connectionString: notified.database.url })
          await client.connect()
          await client.query("LISTEN ampsync")
          return client
        }),
        (client) => Effect.promise(() => client.end())
      )
      const received: Array<unknown> = []
      // The channel belongs to the whole database: other tests notify on it as well.
      const { schema } = notified.database
      const table = `t_${schema}`
      client.on("notification", ({ payload }) => {
        const message = JSON.parse(payload ?? "null") as { table: string }
        if (message.table === table) received.push(message)
      })
      const commits = (writer: TableWriter) =>
        Effect.gen(function*() {
          yield* writeChunk(writer, withRange(firstOf(writer), rangeOf(0n, 4n), "a", checkpointOf([4n, 0])))
          yield* writeChunk(writer, reorgChunk())
          const before = noRows(checkpointOf([2n, 0], [5n, 1]))
          const after = checkpointOf([2n, 0], [5n, 1], [9n, 1])
          yield* writeChunk(writer, withoutRows(before, rangeOf(6n, 9n, 1), after))
          // What replaces the blocks still waits for confirmations.
          const deletion = withReorg(noRows(after), {
            deleteFrom: 5n,
            replaced: after.history.at(-1),
            range: rangeOf(5n, 10n, 2),
            checkpoint: checkpointOf([2n, 0], [4n, 1])
          })
          const watermark = { range: rangeOf(4n, 4n, 1), checkpoint: checkpointOf([2n, 0], [4n, 1]) }
          yield* writeChunk(writer, {
            ...deletion,
            chunk: addEvent(deletion.chunk, { _tag: "Watermark", ...watermark })
          })
        })
      yield* commits(yield* prepareTable(notified.sink, request(table)))
      yield* eventually("four messages came", Effect.sync(() => received.length === 4))
      assert.deepStrictEqual(received, [
        { schema, table, kind: "rows", from: 0, to: 4, rows: 10, removed: 0 },
        { schema, table, kind: "reorg", from: 3, to: 5, rows: 6, removed: 4 },
        { schema, table, kind: "watermark", from: 6, to: 9, rows: 0, removed: 0 },
        { schema, table, kind: "reorg", from: 5, to: 9, rows: 0, removed: 2 }
      ])
      const silent = yield* bench({ NOTIFY_ON_COMMIT: "false" })
      yield* commits(yield* prepareTable(silent.sink, request(table)))
      yield* Effect.promise(() => client.query("SELECT 1"))
      assert.lengthOf(received, 4)
    }))
})

const connected = ({ schema, url }: TestDatabase) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(async () => {
        const client = new Client({ connectionString: url, options: `-c search_path=${schema}` })
        await client.connect()
        return client
      }),
      (client) => Effect.promise(() => client.end())
    ),
    (client) => (sql: string) => Effect.promise(async () => (await client.query(sql)).rows as unknown)
  )

const columnsOf = ({ query, schema }: TestDatabase, table: string) =>
  Effect.map(
    query<{ name: string; type: string; nullable: boolean }>(
      `SELECT attname AS name, format_type(atttypid, atttypmod) AS type, NOT attnotnull AS nullable FROM pg_attribute
       WHERE attrelid = format('%I.%I', $1::text, $2::text)::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum`,
      [schema, table]
    ),
    (rows) => rows.map(({ name, nullable, type }) => `${name} ${type}${nullable ? "" : " NOT NULL"}`)
  )

const indexesOf = ({ query, schema }: TestDatabase, table: string) =>
  Effect.map(
    query<{ definition: string }>(
      `SELECT pg_get_indexdef(indexrelid) AS definition FROM pg_index
       WHERE indrelid = format('%I.%I', $1::text, $2::text)::regclass ORDER BY indisprimary DESC`,
      [schema, table]
    ),
    (rows) => rows.map(({ definition }) => definition.replace(/^.* USING /, ""))
  )

describe("preparing a table", () => {
  it.live("creates it with a key of block and row index, and an index on block_num where that is another column", () =>
    Effect.gen(function*() {
      const { database, sink } = yield* bench()
      yield* prepareTable(sink, request("t", [BLOCK, column("block_num", UINT64), field("note")]))
      assert.deepStrictEqual(yield* columnsOf(database, "t"), [
        "_block_num bigint NOT NULL",
        "block_num bigint NOT NULL",
        "note text",
        "_row_index integer NOT NULL"
      ])
      assert.deepStrictEqual(yield* indexesOf(database, "t"), ["btree (_block_num, _row_index)", "btree (block_num)"])
      yield* prepareTable(sink, request("u", [column("block_num", UINT64)]))
      assert.deepStrictEqual(yield* indexesOf(database, "u"), ["btree (block_num, _row_index)"])
      const ranged = yield* prepareTable(sink, request("v", [column("note")]))
      assert.isTrue(ranged.rangeMode)
      assert.deepStrictEqual(yield* columnsOf(database, "v"), [
        "note text NOT NULL",
        "_row_index integer NOT NULL",
        "_range_end bigint NOT NULL"
      ])
      assert.deepStrictEqual(yield* indexesOf(database, "v"), ["btree (_range_end, _row_index)"])
    }))

  it.live("keeps every name exactly as it is, and rejects the ones that PostgreSQL would change", () =>
    Effect.gen(function*() {
      const { database, sink } = yield* bench()
      const names = ["to", "from", "select", "UPPER Case", "quo\"te", "semi;colon", "é".repeat(31), "n".repeat(63), " "]
      const table = "Table \"with\"; everything ünd 'more'"
      yield* prepareTable(sink, request(table, [BLOCK, ...names.map((name) => column(name))]))
      assert.deepStrictEqual(
        (yield* columnsOf(database, table)).slice(1, -1),
        names.map((name) => `${name} text NOT NULL`)
      )
      for (const bad of ["n".repeat(64), "é".repeat(32), "", "xmin", "_row_index", "_range_end", "nul\u0000"]) {
        const error = yield* Effect.flip(prepareTable(sink, request("bad", [BLOCK, column(bad)])))
        assert.strictEqual(error._tag, "TableRejected")
      }
      assert.lengthOf(yield* database.query("SELECT 1 FROM pg_class WHERE relname = 'bad'"), 0)
      assert.deepStrictEqual(yield* neverFilled(database), ["bad"])
    }))

  it.live("adds new columns in one statement, makes a column nullable, and keeps all rows", () =>
    Effect.gen(function*() {
      const { database, sink } = yield* bench()
      const first = yield* prepareTable(sink, request("t", [BLOCK, column("note")]))
      yield* writeChunk(first, withRange(firstOf(first), rangeOf(0n, 1n), "a", checkpointOf([1n, 0])))
      const fields = [column("added", UINT64), BLOCK, field("note"), column("more")]
      const second = yield* prepareTable(sink, request("t", fields, "f2"))
      assert.match(second.notes.join("; "), /added columns added, more.*query changed: rows up to block 1/)
      assert.deepStrictEqual(yield* columnsOf(database, "t"), [
        "_block_num bigint NOT NULL",
        "note text",
        "_row_index integer NOT NULL",
        "added numeric(20,0)",
        "more text"
      ])
      assert.deepStrictEqual(yield* contents(database), ["0:a0,a1", "1:a0,a1"])
      assert.deepStrictEqual((yield* prepareTable(sink, request("t", fields, "f2"))).notes, [])
    }))

  it.live("rejects changed and missing columns with the complete list, and changes nothing", () =>
    Effect.gen(function*() {
      const { database, sink } = yield* bench()
      yield* prepareTable(sink, request("t", [BLOCK, column("a"), column("b"), column("c"), column("d")]))
      const before = yield* columnsOf(database, "t")
      const changed = [
        BLOCK,
        column("a", UINT64),
        column("b", { kind: "bool" }),
        column("c"),
        column("e")
      ]
      const error = yield* Effect.flip(prepareTable(sink, request("t", changed)))
      assert.strictEqual(error._tag, "TableRejected")
      assert.include(error.message, `column "a" is text, the query yields numeric(20,0)`)
      assert.include(error.message, `column "b" is text, the query yields boolean`)
      assert.include(error.message, `column "d" is not among those the query yields`)
      const moved = yield* Effect.flip(
        prepareTable(sink, request("t", [column("a"), column("b"), column("c"), column("d")]))
      )
      assert.include(moved.message, `"_block_num", those of the query by "_range_end"; run DROP TABLE`)
      assert.deepStrictEqual(yield* columnsOf(database, "t"), before)
    }))

  it.live("rejects a foreign table, view and index of the same name, and records nothing of them", () =>
    Effect.gen(function*() {
      const { database, sink } = yield* bench()
      yield* database.query("CREATE TABLE t (_block_num bigint, note text, _row_index integer)")
      yield* database.query("CREATE VIEW v AS SELECT 1")
      yield* database.query("CREATE INDEX i ON t (note)")
      yield* database.query("CREATE SEQUENCE s")
      for (const name of ["t", "v", "i", "s"]) {
        const error = yield* Effect.flip(prepareTable(sink, request(name)))
        assert.include(error.message, "did not create")
      }
      assert.deepStrictEqual(yield* neverFilled(database), ["i", "s", "t", "v"])
    }))

  it.live("creates a dropped table again, empty, also for a query with another position, and keeps it afterwards", () =>
    Effect.gen(function*() {
      const { database, sink } = yield* bench()
      const first = yield* prepareTable(sink, request("t"))
      yield* writeChunk(first, withRange(firstOf(first), rangeOf(0n, 4n), "a", checkpointOf([4n, 0])))
      yield* database.query("DROP TABLE t")
      const second = yield* prepareTable(sink, request("t", [column("block_num", UINT64), field("note")]))
      assert.deepStrictEqual(second.checkpoint.history, [])
      assert.strictEqual(second.rows, 0n)
      assert.include(second.notes.join(), "starts from the first block")
      assert.deepStrictEqual(yield* checkpoint(database), {
        max_block_num: null,
        rows: "0",
        provisional_rows: "0",
        position_column: "block_num"
      })
      assert.lengthOf(yield* database.query("SELECT 1 FROM _ampsync_watermarks"), 0)
      yield* prepareTable(sink, request("t", [column("block_num", UINT64), field("note")]))
    }))

  it.live("that was changed or dropped while it is synced is a failure that the next preparation resolves", () =>
    Effect.gen(function*() {
      const { database, sink } = yield* bench()
      const writer = yield* prepareTable(sink, request("t"))
      yield* database.query("DROP TABLE t")
      const chunk = withRange(firstOf(writer), rangeOf(0n, 0n), "a", checkpointOf([0n, 0]))
      const error = yield* Effect.flip(writeChunk(writer, chunk))
      assert.strictEqual(error._tag, "TableChanged")
      assert.include(error.message, "changed or dropped")
      const again = yield* prepareTable(sink, request("t"))
      yield* writeChunk(again, chunk)
      assert.deepStrictEqual(yield* contents(database), ["0:a0,a1"])
    }))

  it.live("creates a table whose rows can be deleted also while it is published", () =>
    Effect.gen(function*() {
      const { database, sink } = yield* bench()
      const writer = yield* prepareTable(sink, request("t"))
      yield* writeChunk(writer, withRange(firstOf(writer), rangeOf(0n, 1n), "a", checkpointOf([1n, 0])))
      yield* Effect.acquireRelease(
        database.query(`CREATE PUBLICATION ${database.schema} FOR TABLE t`),
        () => database.query(`DROP PUBLICATION ${database.schema}`)
      )
      yield* database.query("DELETE FROM t WHERE _block_num = 1")
      assert.deepStrictEqual(yield* contents(database), ["0:a0,a1"])
    }))
})
