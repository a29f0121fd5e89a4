import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { neverFilled, prepareTable } from "../support/chunks.ts"
import type { TestDatabase } from "../support/postgres.ts"
import {
  BINARY,
  BLOCK,
  commitRows,
  field,
  override,
  readyBench,
  requestOf,
  UINT32,
  UINT64,
  UTF8
} from "../support/sinkBench.ts"

const transactions = [
  BLOCK,
  field("block_num", UINT64, false),
  field("tx_index", UINT32, false),
  field("tx_hash", BINARY, false),
  field("value", UTF8, false),
  field("to", BINARY)
]
const row = (block: bigint, index: bigint, hash: string, value = "1") => [block, block, index, hash, value, null]

const keysOf = ({ query }: TestDatabase, table = "t") =>
  Effect.map(
    query<{ definition: string }>(
      `SELECT pg_get_constraintdef(oid) AS definition FROM pg_constraint
       WHERE conrelid = $1::text::regclass AND contype IN ('p', 'u') ORDER BY 1`,
      [`"${table}"`]
    ),
    (rows) => rows.map(({ definition }) => definition)
  )

const rejectionOf = <A, E extends { readonly _tag: string; readonly message: string }, R>(
  effect: Effect.Effect<A, E, R>
) =>
  Effect.map(Effect.flip(effect), (error) => error._tag === "TableRejected" ? error.message : assert.fail(error._tag))

describe("a table with types from the config", () => {
  it.live("is created and filled with them", () =>
    Effect.gen(function*() {
      const { database, sink } = yield* readyBench()
      const columns = [override("value", "numeric(78,0)"), override("tx_hash", "text")]
      const writer = yield* prepareTable(sink, requestOf("t", transactions, { columns }))
      yield* commitRows(writer, transactions, [
        row(1n, 0n, "\u0001\u007f", "115792089237316195423570985008687907853269984665640564039457584007913129639935")
      ])
      assert.deepStrictEqual(
        yield* database.query("SELECT value, tx_hash, pg_typeof(value)::text AS type FROM t"),
        [{
          value: "115792089237316195423570985008687907853269984665640564039457584007913129639935",
          tx_hash: "0x017f",
          type: "numeric"
        }]
      )
    }))

  it.live("is rejected when they are changed afterwards, in either direction", () =>
    Effect.gen(function*() {
      const { sink } = yield* readyBench()
      yield* prepareTable(sink, requestOf("a", transactions, { columns: [override("value", "numeric(78,0)")] }))
      yield* prepareTable(sink, requestOf("b", transactions))
      assert.include(
        yield* rejectionOf(prepareTable(sink, requestOf("a", transactions))),
        "column \"value\" is numeric(78,0), the query yields text"
      )
      assert.include(
        yield* rejectionOf(
          prepareTable(sink, requestOf("b", transactions, { columns: [override("value", "numeric")] }))
        ),
        "column \"value\" is text, the query yields numeric"
      )
    }))

  it.live("is rejected before anything is created when they are not possible", () =>
    Effect.gen(function*() {
      const { database, sink } = yield* readyBench()
      const columns = [override("tx_hash", "bigint"), override("gas", "bigint")]
      const request = requestOf("t", transactions, { columns, primaryKey: ["tx_hash"] })
      for (const attempt of [prepareTable(sink, request), sink.plan(request)]) {
        const message = yield* rejectionOf(
          attempt as typeof attempt & Effect.Effect<unknown, { _tag: string; message: string }>
        )
        assert.include(message, "column \"tx_hash\" (Binary) as bigint: allowed for it: text")
        assert.include(message, "column \"gas\" as bigint: the query does not yield this column")
      }
      assert.deepStrictEqual(yield* database.query("SELECT to_regclass('t') AS t"), [{ t: null }])
      assert.deepStrictEqual(yield* neverFilled(database), ["t"])
    }))
})

describe("a table with a primary key of its own", () => {
  const key = { primaryKey: ["block_num", "tx_index"] }

  it.live("is created with it, and the position stays indexed with the row index", () =>
    Effect.gen(function*() {
      const { database, sink } = yield* readyBench()
      const writer = yield* prepareTable(sink, requestOf("t", transactions, key))
      assert.deepStrictEqual(yield* keysOf(database), [
        "PRIMARY KEY (block_num, tx_index)",
        "UNIQUE (_block_num, _row_index)"
      ])
      yield* commitRows(writer, transactions, [row(1n, 0n, "a"), row(1n, 1n, "b"), row(2n, 0n, "c")])
      // Preparing it again changes nothing.
      const again = yield* prepareTable(sink, requestOf("t", transactions, key))
      assert.deepStrictEqual(again.notes, [])
      assert.strictEqual((yield* sink.plan(requestOf("t", transactions, key))).kind, "none")
    }))

  it.live("can be published, and its rewinds reach subscribers by that key", () =>
    Effect.gen(function*() {
      const { database, sink } = yield* readyBench()
      const writer = yield* prepareTable(sink, requestOf("t", transactions, key))
      const publication = `p_${database.schema}`
      yield* database.query(`CREATE PUBLICATION ${publication} FOR TABLE t`)
      yield* commitRows(writer, transactions, [row(1n, 0n, "a")])
      yield* database.query("DELETE FROM t WHERE _block_num >= 1")
      yield* database.query(`DROP PUBLICATION ${publication}`)
      assert.deepStrictEqual(
        yield* database.query(
          `SELECT a.attname::text AS name FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey)
           WHERE i.indrelid = 't'::regclass AND i.indisprimary ORDER BY 1`
        ),
        [{ name: "block_num" }, { name: "tx_index" }]
      )
    }))

  it.live("I7 is parked by a duplicate, with the key and the blocks and without values, and nothing is written", () =>
    Effect.gen(function*() {
      const { database, sink } = yield* readyBench()
      const writer = yield* prepareTable(sink, requestOf("t", transactions, key))
      yield* commitRows(writer, transactions, [row(1n, 7_654_321n, "a")])
      const next = yield* prepareTable(sink, requestOf("t", transactions, key))
      const message = yield* rejectionOf(
        commitRows(next, transactions, [row(2n, 7_654_321n, "b"), row(3n, 7_654_321n, "c"), row(3n, 7_654_321n, "d")])
      )
      assert.match(message, /in blocks 2 to 3 a row has the key of another row \(.*constraint t_pkey.*\)/)
      assert.include(message, "(\"block_num\", \"tx_index\")")
      assert.notInclude(message, "7654321")
      assert.deepStrictEqual(yield* database.query("SELECT count(*)::int AS rows FROM t"), [{ rows: 1 }])
      assert.deepStrictEqual(
        yield* database.query("SELECT max_block_num, rows FROM _ampsync_checkpoints"),
        [{ max_block_num: "1", rows: "1" }]
      )
    }))

  it.live("accepts the same key again after a rewind has removed its row", () =>
    Effect.gen(function*() {
      const { database, sink } = yield* readyBench()
      const byHash = { primaryKey: ["tx_hash"] }
      const writer = yield* prepareTable(sink, requestOf("t", transactions, byHash))
      yield* commitRows(writer, transactions, [row(1n, 0n, "a")])
      yield* database.query("UPDATE _ampsync_checkpoints SET max_block_num = NULL, watermark_hash = NULL")
      yield* database.query("DELETE FROM _ampsync_watermarks")
      const again = yield* prepareTable(sink, requestOf("t", transactions, byHash))
      yield* commitRows(again, transactions, [row(1n, 5n, "a")])
      assert.deepStrictEqual(yield* database.query("SELECT tx_index FROM t"), [{ tx_index: "5" }])
    }))

  it.live("that names a missing or nullable column is rejected, together with its indexes", () =>
    Effect.gen(function*() {
      const { database, sink } = yield* readyBench()
      const settings = { primaryKey: ["tx_hash", "to", "nowhere"], indexes: [["value"], ["missing", "_row_index"]] }
      const message = yield* rejectionOf(prepareTable(sink, requestOf("t", transactions, settings)))
      assert.strictEqual(
        message,
        "table \"t\" is rejected: primaryKey names column \"nowhere\", which the query does not yield; " +
          "primaryKey names column \"to\", which may be null by the query's schema; " +
          "indexes names column \"missing\", which the query does not yield"
      )
      assert.deepStrictEqual(yield* database.query("SELECT to_regclass('t') AS t"), [{ t: null }])
    }))

  it.live("keeps it: another one, none, or the first one on a table without is rejected", () =>
    Effect.gen(function*() {
      const { database, sink } = yield* readyBench()
      yield* prepareTable(sink, requestOf("own", transactions, key))
      yield* prepareTable(sink, requestOf("plain", transactions))
      const cases = [
        [
          "own",
          { primaryKey: ["tx_hash"] },
          "its primary key is (\"block_num\", \"tx_index\"), the config names (\"tx_hash\")"
        ],
        ["own", { primaryKey: ["tx_index", "block_num"] }, "the config names (\"tx_index\", \"block_num\")"],
        ["own", {}, "without one in the config it must be (\"_block_num\", \"_row_index\")"],
        [
          "plain",
          key,
          "its primary key is (\"_block_num\", \"_row_index\"), the config names (\"block_num\", \"tx_index\")"
        ]
      ] as const
      for (const [table, settings, words] of cases) {
        assert.include(yield* rejectionOf(prepareTable(sink, requestOf(table, transactions, settings))), words)
      }
      assert.deepStrictEqual(yield* keysOf(database, "own"), [
        "PRIMARY KEY (block_num, tx_index)",
        "UNIQUE (_block_num, _row_index)"
      ])
      // The default key is no change.
      yield* prepareTable(sink, requestOf("plain", transactions, { primaryKey: ["_block_num", "_row_index"] }))
    }))

  it.live("is rejected when somebody dropped the index that rewinds need", () =>
    Effect.gen(function*() {
      const { database, sink } = yield* readyBench()
      yield* prepareTable(sink, requestOf("t", transactions, key))
      yield* database.query("ALTER TABLE t DROP CONSTRAINT t__block_num__row_index_key")
      assert.include(
        yield* rejectionOf(prepareTable(sink, requestOf("t", transactions, key))),
        "its unique index on (\"_block_num\", \"_row_index\"), which rewinds need, is missing"
      )
      // An index on a part of the rows, or not in that order, is not that index.
      yield* database.query("CREATE UNIQUE INDEX ON t (_block_num, _row_index) WHERE _block_num > 5")
      yield* database.query("CREATE UNIQUE INDEX ON t (_row_index, _block_num)")
      yield* rejectionOf(prepareTable(sink, requestOf("t", transactions, key)))
      yield* database.query("CREATE UNIQUE INDEX ON t (_block_num, _row_index) INCLUDE (value)")
      yield* prepareTable(sink, requestOf("t", transactions, key))
    }))

  it.live("can be one in range mode", () =>
    Effect.gen(function*() {
      const { database, sink } = yield* readyBench()
      const fields = [field("id", UINT32, false)]
      yield* prepareTable(sink, requestOf("t", fields, { primaryKey: ["id"] }))
      assert.deepStrictEqual(yield* keysOf(database), ["PRIMARY KEY (id)", "UNIQUE (_range_end, _row_index)"])
    }))
})

describe("the comment of a table", () => {
  const commentOf = ({ query }: TestDatabase) =>
    Effect.map(
      query<{ comment: string | null }>("SELECT obj_description('t'::regclass, 'pg_class') AS comment"),
      ([row]) => row?.comment
    )

  it.live("is that of the config, with any characters, and is written only when it differs", () =>
    Effect.gen(function*() {
      const { database, sink } = yield* readyBench()
      const comment = "it's \\ a \"table\"\n@name logs '' \\' é"
      yield* prepareTable(sink, requestOf("t", transactions, { comment }))
      assert.strictEqual(yield* commentOf(database), comment)
      assert.strictEqual((yield* sink.plan(requestOf("t", transactions, { comment }))).kind, "none")
      const changed = yield* sink.plan(requestOf("t", transactions, { comment: "new" }))
      assert.deepStrictEqual(changed.statements, [`COMMENT ON TABLE "${database.schema}"."t" IS E'new'`])
      yield* prepareTable(sink, requestOf("t", transactions, { comment: "new" }))
      assert.strictEqual(yield* commentOf(database), "new")
    }))

  it.live("stays where the config has none, and is removed where it is empty", () =>
    Effect.gen(function*() {
      const { database, sink } = yield* readyBench()
      yield* prepareTable(sink, requestOf("t", transactions))
      yield* database.query("COMMENT ON TABLE t IS 'by hand'")
      yield* prepareTable(sink, requestOf("t", transactions))
      assert.strictEqual(yield* commentOf(database), "by hand")
      yield* prepareTable(sink, requestOf("t", transactions, { comment: "" }))
      assert.isNull(yield* commentOf(database))
      assert.strictEqual((yield* sink.plan(requestOf("t", transactions, { comment: "" }))).kind, "none")
    }))
})
