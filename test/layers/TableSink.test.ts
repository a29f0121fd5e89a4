import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Fiber, Layer } from "effect"
import { Client } from "pg"
import type { ArrowField, ArrowType } from "../../src/domain/arrow/ArrowSchema.ts"
import type { BlockRange } from "../../src/domain/chain/BlockRange.ts"
import { addPart, type Chunk, emptyChunk, firstChunk, type Part } from "../../src/domain/chain/Chunk.ts"
import type { Known } from "../../src/domain/chain/FollowState.ts"
import { layer as checkpointsLayer } from "../../src/layers/Checkpoints.ts"
import { layer as poolLayer } from "../../src/layers/PgPool.ts"
import { layer as sinkLayer } from "../../src/layers/TableSink.ts"
import { Checkpoints } from "../../src/services/Checkpoints.ts"
import { type TableRequest, TableSink, type TableWriter } from "../../src/services/TableSink.ts"
import { eventually } from "../support/eventually.ts"
import { type TestDatabase, testDatabase } from "../support/postgres.ts"
import { testSettings } from "../support/testSettings.ts"

const UINT64: ArrowType = { kind: "int", bits: 64, signed: false }
const UTF8: ArrowType = { kind: "utf8", offsets: 32 }
const field = (name: string, type: ArrowType = UTF8, nullable = false): ArrowField => ({ name, type, nullable })

/** The columns of most tests: `_block_num` and `note`. */
const plain = [field("_block_num", UINT64), field("note", UTF8, true)]

const request = (table: string, fields: ReadonlyArray<ArrowField> = plain, fingerprint = "f1"): TableRequest => ({
  table,
  dataset: "_/example",
  version: "0.1.0",
  fingerprint,
  schema: { fields }
})

const bench = (settings: Parameters<typeof testSettings>[1] = {}) =>
  Effect.gen(function*() {
    const database = yield* testDatabase
    const services = yield* Layer.build(
      sinkLayer.pipe(
        Layer.provideMerge(checkpointsLayer),
        Layer.provideMerge(poolLayer),
        Layer.provide(testSettings(database, settings))
      )
    )
    yield* Context.get(services, Checkpoints).ensure
    return { database, sink: Context.get(services, TableSink), checkpoints: Context.get(services, Checkpoints) }
  })

const int = (bytes: number, value: bigint): Buffer => {
  const buffer = Buffer.alloc(4 + bytes)
  buffer.writeInt32BE(bytes, 0)
  if (bytes === 8) buffer.writeBigInt64BE(value, 4)
  else buffer.writeInt32BE(Number(value), 4)
  return buffer
}

/** One tuple of COPY BINARY: block, note, row index. */
const tuple = (block: bigint, note: string, index: number): Buffer => {
  const text = Buffer.from(note)
  const length = Buffer.alloc(4)
  length.writeInt32BE(text.length, 0)
  return Buffer.concat([Buffer.of(0, 3), int(8, block), length, text, int(4, BigInt(index))])
}

const hashOf = (block: bigint, fork: number): string => `0x${fork}${block.toString(16).padStart(63, "0")}`
const rangeOf = (start: bigint, end: bigint, fork = 0): BlockRange => ({
  network: "anvil",
  start,
  end,
  hash: hashOf(end, fork),
  prevHash: hashOf(start - 1n, 0),
  timestamp: 1_700_000_000
})
const knownOf = (...watermarks: ReadonlyArray<readonly [bigint, number]>): Known => ({
  network: "anvil",
  origin: 0n,
  history: watermarks.map(([block, fork]) => ({ block, hash: hashOf(block, fork) })),
  unverifiedFrom: undefined
})

const rowsOf = (range: BlockRange, note: string): Part => {
  const blocks = Array.from({ length: Number(range.end - range.start) + 1 }, (_, i) => range.start + BigInt(i))
  return {
    _tag: "Rows",
    rows: blocks.length * 2,
    bytes: Buffer.concat(blocks.flatMap((block) => [tuple(block, note, 0), tuple(block, note, 1)]))
  }
}

/** A range with two rows for each of its blocks; complete where `after` is given. */
const withRange = (chunk: Chunk, range: BlockRange, note: string, after?: Known): Chunk => {
  const parts: ReadonlyArray<Part> = [
    { _tag: "Range", range, known: chunk.known, endIsTold: true },
    rowsOf(range, note),
    ...(after === undefined ? [] : [{ _tag: "Watermark", range, known: after } as const])
  ]
  return parts.reduce(addPart, chunk)
}

const contents = ({ query }: TestDatabase, table = "t") =>
  Effect.map(
    query<{ block: string; notes: string }>(
      `SELECT _block_num AS block, string_agg(note || _row_index, ',' ORDER BY _row_index) AS notes FROM ${table} GROUP BY 1 ORDER BY 1`
    ),
    (rows) => rows.map(({ block, notes }) => `${block}:${notes}`)
  )

const everything = (database: TestDatabase) =>
  Effect.all([
    contents(database),
    database.query("SELECT * FROM _ampsync_checkpoints"),
    database.query("SELECT table_name, block_num, hash FROM _ampsync_watermarks ORDER BY 1, 2"),
    database.query("SELECT * FROM _ampsync_reorgs ORDER BY id")
  ])

const checkpoint = ({ query }: TestDatabase, table = "t") =>
  Effect.map(
    query<Record<string, string | null>>(
      "SELECT max_block_num, rows, provisional_rows, position_column FROM _ampsync_checkpoints WHERE table_name = $1",
      [table]
    ),
    ([row]) => row
  )

describe("a commit", () => {
  it.live("I1 puts rows, watermark and counts in place together, chunk after chunk", () =>
    Effect.gen(function*() {
      const { database, sink } = yield* bench()
      const writer = yield* sink.prepare(request("t"))
      yield* writer.commit(withRange(firstChunk(writer.known), rangeOf(0n, 1n), "a", knownOf([1n, 0])))
      assert.deepStrictEqual(yield* contents(database), ["0:a0,a1", "1:a0,a1"])
      assert.deepInclude(yield* checkpoint(database), { max_block_num: "1", rows: "4", provisional_rows: "0" })
      // A range in two chunks: provisional until it is complete.
      const open = withRange(emptyChunk(knownOf([1n, 0])), rangeOf(2n, 2n), "b")
      yield* writer.commit(open)
      assert.deepInclude(yield* checkpoint(database), { max_block_num: "1", rows: "6", provisional_rows: "2" })
      yield* writer.commit(withRange(emptyChunk(open.known), rangeOf(3n, 3n), "c", knownOf([1n, 0], [3n, 0])))
      assert.deepInclude(yield* checkpoint(database), { max_block_num: "3", rows: "8", provisional_rows: "0" })
    }))

  it.live("I1 of a reorg deletes and inserts together, and readers see either all of it or nothing", () =>
    Effect.gen(function*() {
      const { database, sink } = yield* bench()
      const writer = yield* sink.prepare(request("t"))
      yield* writer.commit(withRange(firstChunk(writer.known), rangeOf(0n, 4n), "old", knownOf([4n, 0])))
      const reorg = yield* reorgChunk()
      const reader = yield* connected(database)
      yield* reader("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1 FROM t LIMIT 1")
      const { rowsRemoved } = yield* writer.commit(reorg)
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
  const reorgChunk = () =>
    Effect.sync(() => {
      const range = rangeOf(3n, 5n, 1)
      const known = knownOf([2n, 0])
      const rewind: Part = {
        _tag: "Rewind",
        known,
        rewind: {
          _tag: "Rewind",
          deleteFrom: 3n,
          watermark: known.history.at(-1),
          replaced: { block: 4n, hash: hashOf(4n, 0) },
          range
        }
      }
      return withRange(addPart(emptyChunk(knownOf([4n, 0])), rewind), range, "new", knownOf([2n, 0], [5n, 1]))
    })

  const failures: ReadonlyArray<readonly [string, (chunk: Chunk) => Chunk]> = [
    ["rows that cannot be read", (chunk) => ({ ...chunk, pieces: [...chunk.pieces, Buffer.of(0, 9, 1, 2, 3)] })],
    ["a key that is there twice", (chunk) => ({ ...chunk, pieces: [...chunk.pieces, ...chunk.pieces] })],
    ["rows that end in the middle", (chunk) => ({ ...chunk, pieces: [Buffer.concat(chunk.pieces).subarray(0, -3)] })]
  ]
  it.live.each(failures)("I1 of a reorg with %s changes nothing at all", ([, spoil]) =>
    Effect.gen(function*() {
      const { database, sink } = yield* bench()
      const writer = yield* sink.prepare(request("t"))
      yield* writer.commit(withRange(firstChunk(writer.known), rangeOf(0n, 4n), "old", knownOf([4n, 0])))
      const before = yield* everything(database)
      const error = yield* Effect.flip(writer.commit(spoil(yield* reorgChunk())))
      assert.strictEqual(error._tag, "SqlError")
      assert.deepStrictEqual(yield* everything(database), before)
      // The next writer takes up exactly there.
      const again = yield* sink.prepare(request("t"))
      assert.deepStrictEqual(again.known.history, knownOf([4n, 0]).history)
      assert.strictEqual(again.rows, 10n)
      yield* again.commit(yield* reorgChunk())
      assert.deepInclude(yield* checkpoint(database), { max_block_num: "5", rows: "12" })
    }))

  it.live("I1 whose session is ended between the rows and the end changes nothing at all", () =>
    Effect.gen(function*() {
      const { checkpoints, database, sink } = yield* bench()
      const writer = yield* sink.prepare(request("t"))
      yield* writer.commit(withRange(firstChunk(writer.known), rangeOf(0n, 4n), "old", knownOf([4n, 0])))
      const before = yield* everything(database)
      // A trigger at the end of the statement holds the transaction after deletion and COPY are done.
      yield* database.query(
        `CREATE FUNCTION linger() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(20); RETURN NULL; END'`
      )
      yield* database.query(`CREATE TRIGGER linger AFTER INSERT ON t EXECUTE FUNCTION ${database.schema}.linger()`)
      const committing = yield* Effect.forkScoped(Effect.exit(writer.commit(yield* reorgChunk())))
      yield* eventually(
        "the session is ended",
        Effect.map(
          database.query(
            `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE application_name = $1 AND wait_event = 'PgSleep'`,
            [checkpoints.activity("t")]
          ),
          (rows) => rows.length > 0
        )
      )
      assert.strictEqual((yield* Fiber.join(committing))._tag, "Failure")
      yield* database.query("DROP TRIGGER linger ON t")
      assert.deepStrictEqual(yield* everything(database), before)
    }))

  it.live("I3 of a writer that another one followed is fenced and changes nothing", () =>
    Effect.gen(function*() {
      const { database, sink } = yield* bench()
      const old = yield* sink.prepare(request("t"))
      const current = yield* sink.prepare(request("t"))
      yield* current.commit(withRange(firstChunk(current.known), rangeOf(0n, 1n), "a", knownOf([1n, 0])))
      const before = yield* everything(database)
      const error = yield* Effect.flip(
        old.commit(withRange(firstChunk(old.known), rangeOf(0n, 1n), "b", knownOf([1n, 0])))
      )
      assert.strictEqual(error._tag, "Fenced")
      assert.deepStrictEqual(yield* everything(database), before)
    }))

  it.live("the first of a connection removes what was provisional, and nothing below the watermark", () =>
    Effect.gen(function*() {
      const { database, sink } = yield* bench()
      const first = yield* sink.prepare(request("t"))
      const complete = withRange(firstChunk(first.known), rangeOf(0n, 1n), "a", knownOf([1n, 0]))
      yield* first.commit(withRange(complete, rangeOf(2n, 5n), "open"))
      assert.deepInclude(yield* checkpoint(database), { max_block_num: "1", rows: "12", provisional_rows: "8" })
      const second = yield* sink.prepare(request("t"))
      assert.strictEqual(second.rows, 12n)
      yield* second.commit(withRange(firstChunk(second.known), rangeOf(2n, 2n), "b"))
      assert.deepStrictEqual(yield* contents(database), ["0:a0,a1", "1:a0,a1", "2:b0,b1"])
      assert.deepInclude(yield* checkpoint(database), { max_block_num: "1", rows: "6", provisional_rows: "2" })
    }))

  it.live("is told to whoever listens, and not when that is switched off", () =>
    Effect.gen(function*() {
      const told = yield* bench()
      const client = yield* Effect.acquireRelease(
        Effect.promise(async () => {
          const client = new Client({ connectionString: told.database.url })
          await client.connect()
          await client.query("LISTEN ampsync")
          return client
        }),
        (client) => Effect.promise(() => client.end())
      )
      const heard: Array<unknown> = []
      // The channel belongs to the whole database: other tests speak on it as well.
      const table = `t_${told.database.schema}`
      client.on("notification", ({ payload }) => {
        const message = JSON.parse(payload ?? "null") as { table: string }
        if (message.table === table) heard.push(message)
      })
      const commits = (writer: TableWriter) =>
        Effect.gen(function*() {
          yield* writer.commit(withRange(firstChunk(writer.known), rangeOf(0n, 4n), "a", knownOf([4n, 0])))
          yield* writer.commit(yield* reorgChunk())
          const known = knownOf([2n, 0], [5n, 1], [9n, 1])
          const empty: ReadonlyArray<Part> = [
            { _tag: "Range", range: rangeOf(6n, 9n, 1), known, endIsTold: true },
            { _tag: "Watermark", range: rangeOf(6n, 9n, 1), known }
          ]
          yield* writer.commit(empty.reduce(addPart, emptyChunk(knownOf([2n, 0], [5n, 1]))))
        })
      yield* commits(yield* told.sink.prepare(request(table)))
      yield* eventually("three messages came", Effect.sync(() => heard.length === 3))
      assert.deepStrictEqual(heard, [
        { table, kind: "rows", from: 0, to: 4, rows: 10, removed: 0 },
        { table, kind: "reorg", from: 3, to: 5, rows: 6, removed: 4 },
        { table, kind: "watermark", from: 6, to: 9, rows: 0, removed: 0 }
      ])
      const silent = yield* bench({ NOTIFY_ON_COMMIT: "false" })
      yield* commits(yield* silent.sink.prepare(request(table)))
      yield* Effect.promise(() => client.query("SELECT 1"))
      assert.lengthOf(heard, 3)
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
  it.live("makes it with a key of block and row index, and an index on block_num where that is another column", () =>
    Effect.gen(function*() {
      const { database, sink } = yield* bench()
      yield* sink.prepare(
        request("t", [field("_block_num", UINT64), field("block_num", UINT64), field("note", UTF8, true)])
      )
      assert.deepStrictEqual(yield* columnsOf(database, "t"), [
        "_block_num bigint NOT NULL",
        "block_num bigint NOT NULL",
        "note text",
        "_row_index integer NOT NULL"
      ])
      assert.deepStrictEqual(yield* indexesOf(database, "t"), ["btree (_block_num, _row_index)", "btree (block_num)"])
      yield* sink.prepare(request("u", [field("block_num", UINT64)]))
      assert.deepStrictEqual(yield* indexesOf(database, "u"), ["btree (block_num, _row_index)"])
      const ranged = yield* sink.prepare(request("v", [field("note")]))
      assert.isTrue(ranged.rangeMode)
      assert.deepStrictEqual(yield* columnsOf(database, "v"), [
        "note text NOT NULL",
        "_row_index integer NOT NULL",
        "_range_end bigint NOT NULL"
      ])
      assert.deepStrictEqual(yield* indexesOf(database, "v"), ["btree (_range_end, _row_index)"])
    }))

  it.live("keeps every name exactly as it is, and refuses the ones that PostgreSQL would change", () =>
    Effect.gen(function*() {
      const { database, sink } = yield* bench()
      const names = ["to", "from", "select", "UPPER Case", "quo\"te", "semi;colon", "é".repeat(31), "n".repeat(63), " "]
      const table = "Table \"with\"; everything ünd 'more'"
      yield* sink.prepare(request(table, [field("_block_num", UINT64), ...names.map((name) => field(name))]))
      assert.deepStrictEqual(
        (yield* columnsOf(database, table)).slice(1, -1),
        names.map((name) => `${name} text NOT NULL`)
      )
      for (const bad of ["n".repeat(64), "é".repeat(32), "", "xmin", "_row_index", "_range_end", "nul\u0000"]) {
        const error = yield* Effect.flip(sink.prepare(request("bad", [field("_block_num", UINT64), field(bad)])))
        assert.strictEqual(error._tag, "TableRefused")
      }
      assert.lengthOf(yield* database.query("SELECT 1 FROM pg_class WHERE relname = 'bad'"), 0)
      assert.lengthOf(yield* database.query("SELECT 1 FROM _ampsync_checkpoints WHERE table_name = 'bad'"), 0)
    }))

  it.live("adds new columns in one go, lets a column be null from now on, and keeps all rows", () =>
    Effect.gen(function*() {
      const { database, sink } = yield* bench()
      const first = yield* sink.prepare(request("t", [field("_block_num", UINT64), field("note")]))
      yield* first.commit(withRange(firstChunk(first.known), rangeOf(0n, 1n), "a", knownOf([1n, 0])))
      const fields = [field("added", UINT64), field("_block_num", UINT64), field("note", UTF8, true), field("more")]
      const second = yield* sink.prepare(request("t", fields, "f2"))
      assert.match(second.notes.join("; "), /added columns added, more.*query changed: rows up to block 1/)
      assert.deepStrictEqual(yield* columnsOf(database, "t"), [
        "_block_num bigint NOT NULL",
        "note text",
        "_row_index integer NOT NULL",
        "added numeric(20,0)",
        "more text"
      ])
      assert.deepStrictEqual(yield* contents(database), ["0:a0,a1", "1:a0,a1"])
      assert.deepStrictEqual((yield* sink.prepare(request("t", fields, "f2"))).notes, [])
    }))

  it.live("refuses changed and missing columns with the complete list, and changes nothing", () =>
    Effect.gen(function*() {
      const { database, sink } = yield* bench()
      yield* sink.prepare(request("t", [field("_block_num", UINT64), field("a"), field("b"), field("c"), field("d")]))
      const before = yield* columnsOf(database, "t")
      const changed = [
        field("_block_num", UINT64),
        field("a", UINT64),
        field("b", { kind: "bool" }),
        field("c"),
        field("e")
      ]
      const error = yield* Effect.flip(sink.prepare(request("t", changed)))
      assert.strictEqual(error._tag, "TableRefused")
      assert.include(error.message, `column "a" is text, the query yields numeric(20,0)`)
      assert.include(error.message, `column "b" is text, the query yields boolean`)
      assert.include(error.message, `column "d" is not among those the query yields`)
      const moved = yield* Effect.flip(sink.prepare(request("t", [field("a"), field("b"), field("c"), field("d")])))
      assert.include(moved.message, `"_block_num", those of the query by "_range_end"; drop the table`)
      assert.deepStrictEqual(yield* columnsOf(database, "t"), before)
    }))

  it.live("refuses a table, a view and an index of the same name that are not ours, and leaves no checkpoint behind", () =>
    Effect.gen(function*() {
      const { database, sink } = yield* bench()
      yield* database.query("CREATE TABLE t (_block_num bigint, note text, _row_index integer)")
      yield* database.query("CREATE VIEW v AS SELECT 1")
      yield* database.query("CREATE INDEX i ON t (note)")
      yield* database.query("CREATE SEQUENCE s")
      for (const name of ["t", "v", "i", "s"]) {
        const error = yield* Effect.flip(sink.prepare(request(name)))
        assert.include(error.message, "did not create")
      }
      assert.lengthOf(yield* database.query("SELECT 1 FROM _ampsync_checkpoints"), 0)
    }))

  it.live("makes a dropped table again from nothing, also for a query with another position, and keeps it afterwards", () =>
    Effect.gen(function*() {
      const { database, sink } = yield* bench()
      const first = yield* sink.prepare(request("t"))
      yield* first.commit(withRange(firstChunk(first.known), rangeOf(0n, 4n), "a", knownOf([4n, 0])))
      yield* database.query("DROP TABLE t")
      const second = yield* sink.prepare(request("t", [field("block_num", UINT64), field("note", UTF8, true)]))
      assert.deepStrictEqual(second.known.history, [])
      assert.strictEqual(second.rows, 0n)
      assert.include(second.notes.join(), "starts from the first block")
      assert.deepStrictEqual(yield* checkpoint(database), {
        max_block_num: null,
        rows: "0",
        provisional_rows: "0",
        position_column: "block_num"
      })
      assert.lengthOf(yield* database.query("SELECT 1 FROM _ampsync_watermarks"), 0)
      yield* sink.prepare(request("t", [field("block_num", UINT64), field("note", UTF8, true)]))
    }))

  it.live("that was changed or dropped while it is synced is a failure that the next preparation heals", () =>
    Effect.gen(function*() {
      const { database, sink } = yield* bench()
      const writer = yield* sink.prepare(request("t"))
      yield* database.query("DROP TABLE t")
      const chunk = withRange(firstChunk(writer.known), rangeOf(0n, 0n), "a", knownOf([0n, 0]))
      const error = yield* Effect.flip(writer.commit(chunk))
      assert.isTrue(error._tag === "SqlError" && error.isRetryable, String(error))
      assert.include(error.message, "changed or dropped")
      const again = yield* sink.prepare(request("t"))
      yield* again.commit(chunk)
      assert.deepStrictEqual(yield* contents(database), ["0:a0,a1"])
    }))

  it.live("gives a table whose rows can be deleted even while somebody publishes it", () =>
    Effect.gen(function*() {
      const { database, sink } = yield* bench()
      const writer = yield* sink.prepare(request("t"))
      yield* writer.commit(withRange(firstChunk(writer.known), rangeOf(0n, 1n), "a", knownOf([1n, 0])))
      yield* Effect.acquireRelease(
        database.query(`CREATE PUBLICATION ${database.schema} FOR TABLE t`),
        () => database.query(`DROP PUBLICATION ${database.schema}`)
      )
      yield* database.query("DELETE FROM t WHERE _block_num = 1")
      assert.deepStrictEqual(yield* contents(database), ["0:a0,a1"])
    }))
})
