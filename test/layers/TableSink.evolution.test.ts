import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { neverFilled, prepareTable } from "../support/chunks.ts"
import type { TestDatabase } from "../support/postgres.ts"
import { BLOCK, commitRows, field, override, readyBench, requestOf, UINT32, UINT64 } from "../support/sinkBench.ts"

const base = [BLOCK, field("note")]

const rejectionOf = <A, E extends { readonly _tag: string; readonly message: string }, R>(
  effect: Effect.Effect<A, E, R>
) =>
  Effect.map(Effect.flip(effect), (error) => error._tag === "TableRejected" ? error.message : assert.fail(error._tag))

const columnsOf = ({ query, schema }: TestDatabase, table = "t") =>
  Effect.map(
    query<{ definition: string }>(
      `SELECT attname || ' ' || format_type(atttypid, atttypmod) || CASE WHEN attnotnull THEN ' NOT NULL' ELSE '' END AS definition
       FROM pg_attribute WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum`,
      [`${schema}."${table}"`]
    ),
    (rows) => rows.map(({ definition }) => definition)
  )

const recorded = ({ query }: TestDatabase) =>
  Effect.map(
    query("SELECT query_fingerprint, column_names FROM _ampsync_checkpoints WHERE table_name = 't'"),
    ([row]) => row
  )

/** A table with two rows of a query with the columns `base`. */
const filled = (table = "t") =>
  Effect.tap(readyBench(), ({ sink }) =>
    Effect.gen(function*() {
      const writer = yield* prepareTable(sink, requestOf(table, base))
      yield* commitRows(writer, base, [[1n, "a"], [2n, null]])
    }))

describe("new columns of a query", () => {
  it.live("are added by one ALTER TABLE, nullable, with any names, and reported in a note", () =>
    Effect.gen(function*() {
      const { database, sink } = yield* filled()
      const wider = [BLOCK, field("to", UINT32, false), field("note"), field("Upper \"Case\"", UINT64), field("value")]
      const request = requestOf("t", wider, { columns: [override("value", "numeric(78,0)")] }, "f2")
      const plan = yield* sink.plan(request)
      assert.deepStrictEqual(plan.statements, [
        `ALTER TABLE "${database.schema}"."t" ADD COLUMN "to" bigint, ADD COLUMN "Upper ""Case""" numeric(20,0), ADD COLUMN "value" numeric(78,0)`
      ])
      const writer = yield* prepareTable(sink, request)
      assert.deepStrictEqual(yield* columnsOf(database), [
        "_block_num bigint NOT NULL",
        "note text",
        "_row_index integer NOT NULL",
        "to bigint",
        "Upper \"Case\" numeric(20,0)",
        "value numeric(78,0)"
      ])
      assert.deepInclude(yield* recorded(database), {
        query_fingerprint: "f2",
        column_names: ["_block_num", "to", "note", "Upper \"Case\"", "value", "_row_index"]
      })
      yield* commitRows(writer, wider, [[3n, 9n, "c", 2n ** 64n - 1n, "7"]])
      assert.deepStrictEqual(
        yield* database.query("SELECT \"to\", \"Upper \"\"Case\"\"\" AS big, value FROM t ORDER BY 1"),
        [
          { to: "9", big: "18446744073709551615", value: "7" },
          { to: null, big: null, value: null },
          { to: null, big: null, value: null }
        ]
      )
      assert.strictEqual((yield* sink.plan(request)).kind, "none")
    }))

  it.live("are not added or recorded when the transaction fails after the ALTER", () =>
    Effect.gen(function*() {
      const { database, sink } = yield* filled()
      yield* database.query(
        `CREATE FUNCTION deny() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
           IF EXISTS (SELECT FROM pg_event_trigger_ddl_commands() WHERE object_identity LIKE '${database.schema}.%')
           THEN RAISE EXCEPTION 'no'; END IF; END $$`
      )
      const trigger = `deny_${database.schema}`
      yield* database.query(
        `CREATE EVENT TRIGGER ${trigger} ON ddl_command_end WHEN TAG IN ('ALTER TABLE') EXECUTE FUNCTION ${database.schema}.deny()`
      )
      const [columns, note] = [yield* columnsOf(database), yield* recorded(database)]
      const failed = yield* Effect.flip(prepareTable(sink, requestOf("t", [...base, field("more")], {}, "f2"))).pipe(
        Effect.ensuring(database.query(`DROP EVENT TRIGGER ${trigger}`))
      )
      assert.strictEqual(failed._tag, "SqlError")
      assert.deepStrictEqual(yield* columnsOf(database), columns)
      assert.deepStrictEqual(yield* recorded(database), note)
      yield* prepareTable(sink, requestOf("t", [...base, field("more")], {}, "f2"))
      assert.include(yield* columnsOf(database), "more text")
    }))

  it.live("are added to every partition of a table that was partitioned by hand", () =>
    Effect.gen(function*() {
      const { database, sink } = yield* filled()
      yield* database.query("ALTER TABLE t RENAME TO t_old")
      yield* database.query(
        "CREATE TABLE t (_block_num bigint NOT NULL, note text, _row_index integer NOT NULL, PRIMARY KEY (_block_num, _row_index)) PARTITION BY RANGE (_block_num)"
      )
      yield* database.query("CREATE TABLE t_low PARTITION OF t FOR VALUES FROM (0) TO (3)")
      yield* database.query("CREATE TABLE t_high PARTITION OF t DEFAULT")
      yield* database.query("INSERT INTO t SELECT * FROM t_old")
      const wider = [...base, field("more")]
      const writer = yield* prepareTable(sink, requestOf("t", wider))
      yield* commitRows(writer, wider, [[3n, "c", "d"]])
      assert.deepStrictEqual(yield* database.query("SELECT _block_num, more FROM t_high"), [{
        _block_num: "3",
        more: "d"
      }])
      assert.include(yield* columnsOf(database, "t_low"), "more text")
    }))
})

describe("a table that a query no longer fits", () => {
  it.live("is reported with all conflicts in one message, changes nothing, and does not affect other tables", () =>
    Effect.gen(function*() {
      const { database, sink } = yield* readyBench()
      yield* prepareTable(sink, requestOf("t", [BLOCK, field("a"), field("b"), field("c"), field("Gone", UINT32)]))
      yield* database.query("ALTER TABLE t DROP COLUMN _row_index")
      const [columns, note] = [yield* columnsOf(database), yield* recorded(database)]
      const next = requestOf("t", [BLOCK, field("a", UINT64), field("b", UINT32), field("new")], {}, "f2")
      assert.strictEqual(
        yield* rejectionOf(prepareTable(sink, next)),
        "table \"t\" is rejected: the query no longer fits it: column \"a\" is text, the query yields numeric(20,0); " +
          "column \"b\" is text, the query yields bigint; column \"_row_index\", which ampsync created, is missing; " +
          "rename it back, or add it again if it was dropped; " +
          "column \"c\" is not among those the query yields; column \"Gone\" is not among those the query yields; " +
          "it has no primary key, without one in the config it must be (\"_block_num\", \"_row_index\"); " +
          "ampsync does not change a primary key. Undo what was changed, or run " +
          `DROP TABLE "${database.schema}"."t", and it is created and filled again from the first block`
      )
      assert.deepStrictEqual([yield* columnsOf(database), yield* recorded(database)], [columns, note])
      yield* prepareTable(sink, requestOf("other", base))
    }))

  const changes: ReadonlyArray<readonly [string, string, string]> = [
    [
      "a type changed by hand",
      "ALTER TABLE t ALTER note TYPE varchar(40)",
      "column \"note\" is character varying(40), the query yields text"
    ],
    [
      "a column renamed by hand",
      "ALTER TABLE t RENAME note TO remark",
      "column \"note\", which ampsync created, is missing; rename it back"
    ],
    [
      "a column of the name in another case",
      "ALTER TABLE t RENAME note TO \"Note\"",
      "column \"note\", which ampsync created, is missing; rename it back"
    ],
    [
      "a domain in place of its type",
      "CREATE DOMAIN text_ AS text; ALTER TABLE t ALTER note TYPE text_",
      "text_, the query yields text"
    ],
    [
      "a type of another schema with the same name",
      "CREATE DOMAIN text AS pg_catalog.int4; ALTER TABLE t DROP note; ALTER TABLE t ADD note SCHEMA.text",
      ".text, the query yields text"
    ],
    [
      "a generated column in place of a plain one",
      "ALTER TABLE t DROP note; ALTER TABLE t ADD note text GENERATED ALWAYS AS (_block_num::text) STORED",
      "column \"note\" is computed by PostgreSQL, and the query yields it too"
    ],
    [
      "no primary key any more",
      "ALTER TABLE t DROP CONSTRAINT t_pkey",
      "it has no primary key, without one in the config it must be (\"_block_num\", \"_row_index\")"
    ],
    ["rows that a crash of the server would lose", "ALTER TABLE t SET UNLOGGED", "it is UNLOGGED"],
    [
      "a user's column that requires a value",
      "ALTER TABLE t ADD mine integer; UPDATE t SET mine = 1; ALTER TABLE t ALTER mine SET NOT NULL",
      "column \"mine\", which ampsync did not create, is NOT NULL without a default, so no row can be written"
    ],
    [
      "a user's column of a domain that requires a value",
      "CREATE DOMAIN needed AS integer NOT NULL; ALTER TABLE t ADD mine needed DEFAULT 1; ALTER TABLE t ALTER mine DROP DEFAULT",
      "column \"mine\", which ampsync did not create"
    ]
  ]
  it.live.each(changes)("is rejected: %s", ([, statements, words]) =>
    Effect.gen(function*() {
      const { database, sink } = yield* filled()
      yield* database.query(statements.replaceAll("SCHEMA", database.schema))
      assert.include(yield* rejectionOf(prepareTable(sink, requestOf("t", base))), words)
      assert.include(yield* rejectionOf(sink.plan(requestOf("t", base))), words)
    }))

  const foreignRelations: ReadonlyArray<readonly [string, string]> = [
    ["a view", "CREATE VIEW t AS SELECT 1 AS _block_num"],
    ["a materialized view", "CREATE MATERIALIZED VIEW t AS SELECT 1 AS _block_num"],
    ["a sequence", "CREATE SEQUENCE t"],
    ["a composite type", "CREATE TYPE t AS (_block_num bigint)"],
    [
      "a table",
      "CREATE TABLE t (_block_num bigint, note text, _row_index integer, PRIMARY KEY (_block_num, _row_index))"
    ],
    ["a partitioned table", "CREATE TABLE t (_block_num bigint) PARTITION BY LIST (_block_num)"]
  ]
  it.live.each(foreignRelations)(
    "is rejected: %s of that name that ampsync did not create, before and after it had a table",
    ([, statement]) =>
      Effect.gen(function*() {
        const { database, sink } = yield* readyBench()
        yield* database.query(statement)
        const before = yield* database.query(
          "SELECT oid, relkind, relnatts FROM pg_class WHERE relname = 't' AND relnamespace = $1::text::regnamespace",
          [database.schema]
        )
        assert.include(
          yield* rejectionOf(prepareTable(sink, requestOf("t", base))),
          "that ampsync did not create; use another name"
        )
        assert.deepStrictEqual(
          yield* database.query(
            "SELECT oid, relkind, relnatts FROM pg_class WHERE relname = 't' AND relnamespace = $1::text::regnamespace",
            [database.schema]
          ),
          before
        )
        assert.deepStrictEqual(yield* neverFilled(database), ["t"])
      })
  )

  it.live("a view in place of its table is rejected as well", () =>
    Effect.gen(function*() {
      const { database, sink } = yield* filled()
      yield* database.query("ALTER TABLE t RENAME TO t_old; CREATE VIEW t AS SELECT * FROM t_old")
      assert.include(yield* rejectionOf(prepareTable(sink, requestOf("t", base))), "that ampsync did not create")
      assert.deepStrictEqual(yield* database.query("SELECT count(*)::int AS rows FROM t_old"), [{ rows: 2 }])
    }))
})

describe("what is no difference", () => {
  it.live("a table of the same name in another schema, also where the search path has that one first", () =>
    Effect.gen(function*() {
      const other = yield* readyBench()
      yield* other.database.query("CREATE TABLE t (_block_num text, other integer)")
      const options = encodeURIComponent(`-c search_path=${other.database.schema}`)
      const { database, sink } = yield* readyBench({ DATABASE_URL: `${other.database.url}?options=${options}` })
      const writer = yield* prepareTable(sink, requestOf("t", base))
      yield* commitRows(writer, base, [[1n, "a"]])
      yield* prepareTable(sink, requestOf("t", [...base, field("more")]))
      assert.include(yield* columnsOf(database), "more text")
      assert.deepStrictEqual(yield* columnsOf(other.database), ["_block_num text", "other integer"])
      assert.deepStrictEqual(yield* other.database.query("SELECT * FROM t"), [])
    }))

  it.live("a user's columns that require no value, dropped ones, views, triggers, grants and other indexes", () =>
    Effect.gen(function*() {
      const { database, sink } = yield* filled()
      yield* database.query(
        `ALTER TABLE t ADD plain text, ADD filled integer NOT NULL DEFAULT 7, ADD id bigint GENERATED ALWAYS AS IDENTITY,
           ADD twice bigint GENERATED ALWAYS AS (_block_num * 2) STORED, ADD short_lived integer;
         ALTER TABLE t DROP short_lived;
         CREATE VIEW seen AS SELECT * FROM t;
         CREATE INDEX ON t (lower(note));
         CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.plain = ''touched''; RETURN NEW; END';
         CREATE TRIGGER touch BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION ${database.schema}.touch()`
      )
      assert.strictEqual((yield* sink.plan(requestOf("t", base))).kind, "none")
      const wider = [...base, field("more")]
      const writer = yield* prepareTable(sink, requestOf("t", wider))
      yield* commitRows(writer, wider, [[3n, "c", "d"]])
      assert.deepStrictEqual(
        yield* database.query("SELECT plain, filled, id, twice, more FROM t WHERE _block_num = 3"),
        [
          { plain: "touched", filled: 7, id: "3", twice: "6", more: "d" }
        ]
      )
      yield* prepareTable(sink, requestOf("t", wider))
    }))

  it.live("is a new column like a dropped one where an earlier version recorded none, unless it has a default", () =>
    Effect.gen(function*() {
      const { database, sink } = yield* filled()
      yield* database.query(
        "ALTER TABLE t ADD filled integer DEFAULT 7; UPDATE _ampsync_checkpoints SET column_names = NULL"
      )
      yield* prepareTable(sink, requestOf("t", base))
      yield* database.query("ALTER TABLE t ADD plain integer; UPDATE _ampsync_checkpoints SET column_names = NULL")
      assert.include(
        yield* rejectionOf(prepareTable(sink, requestOf("t", base))),
        "column \"plain\" is not among those the query yields"
      )
    }))

  it.live("a column that is never null in the query, in a table that allows null", () =>
    Effect.gen(function*() {
      const { sink } = yield* filled()
      assert.strictEqual((yield* sink.plan(requestOf("t", [BLOCK, field("note", base[1]!.type, false)]))).kind, "none")
    }))
})
