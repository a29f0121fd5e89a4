import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { ArrowType } from "../../src/domain/arrow/ArrowSchema.ts"
import type { Value } from "../domain/arrow/columns.ts"
import { checkpointOf, noRows, prepareTable, rangeOf, withRange, writeChunk } from "../support/chunks.ts"
import { BLOCK, commitRows, field, readyBench, requestOf, UINT64 } from "../support/sinkBench.ts"

const SECRET = "s3cret-v4lue"
const fields = [BLOCK, field("note")]

/** A table `t` to which a user did `change`. */
const changed = Effect.fnUntraced(function*(change: string) {
  const all = yield* readyBench()
  const writer = yield* prepareTable(all.sink, requestOf("t", fields))
  yield* all.database.query(change)
  return { ...all, writer }
})

const refusals: ReadonlyArray<readonly [what: string, change: string, value: Value, parts: ReadonlyArray<string>]> = [
  [
    "a foreign key",
    "CREATE TABLE parent (id text PRIMARY KEY); ALTER TABLE t ADD CONSTRAINT known FOREIGN KEY (note) REFERENCES parent",
    SECRET,
    ["a foreign key finds no row to refer to", "23503", "constraint known"]
  ],
  [
    "a check",
    "ALTER TABLE t ADD CONSTRAINT short CHECK (length(note) < 3)",
    SECRET,
    ["a check constraint rejects a row", "23514", "constraint short"]
  ],
  [
    "NOT NULL",
    "ALTER TABLE t ALTER note SET NOT NULL",
    null,
    ["null in a column that allows none", "23502", "column note"]
  ],
  [
    "an exclusion constraint",
    "ALTER TABLE t ADD CONSTRAINT alone EXCLUDE USING btree (note WITH =)",
    SECRET,
    ["an exclusion constraint rejects a row", "23P01", "constraint alone"]
  ],
  [
    "a conversion to another encoding",
    "ALTER TABLE t ADD CONSTRAINT latin CHECK (length(convert_to(note, 'LATIN1')) > 0)",
    `${SECRET}€`,
    ["a character that the encoding of the database lacks", "22P05"]
  ]
]

describe("block numbers in an encoding without a value per row", () => {
  const index = { kind: "int", bits: 32, signed: true } as const
  const types: ReadonlyArray<readonly [title: string, type: ArrowType]> = [
    ["as a dictionary", { kind: "dictionary", id: 0n, index, value: UINT64 }],
    [
      "run-end encoded",
      { kind: "runEndEncoded", runEnds: field("run_ends", index, false), values: field("values", UINT64) }
    ]
  ]
  it.live.each(types)(
    "%s are rejected by plan and before any row comes, with the CAST that helps",
    ([, type]) =>
      Effect.gen(function*() {
        const { database, sink } = yield* readyBench()
        const request = requestOf("t", [field("_block_num", type, false), field("note")])
        for (const rejects of [sink.plan(request), Effect.asVoid(prepareTable(sink, request))]) {
          const error = yield* Effect.flip(rejects)
          assert.strictEqual(error._tag, "TableRejected")
          assert.include(error.message, `use CAST("_block_num" AS BIGINT) AS "_block_num" in the query`)
        }
        assert.deepStrictEqual(yield* database.query("SELECT 1 WHERE to_regclass('t') IS NOT NULL"), [])
      })
  )
})

describe("I7 a row that PostgreSQL refuses", () => {
  it.live.each(refusals)("because of %s is reported with its blocks and the cause, and without values", ([
    ,
    change,
    value,
    parts
  ]) =>
    Effect.gen(function*() {
      const { database, writer } = yield* changed(change)
      const error = yield* Effect.flip(commitRows(writer, fields, [[2n, value], [3n, value]]))
      for (const part of ["blocks 2 to 3", ...parts]) assert.include(error.message, part)
      assert.notInclude(error.message + JSON.stringify(error), SECRET)
      assert.deepStrictEqual(yield* database.query("SELECT 1 FROM t"), [])
    }))

  it.live("because another one refers to a row to be deleted is reported with the blocks and the constraint", () =>
    Effect.gen(function*() {
      const { database, writer } = yield* changed(
        `CREATE TABLE child (b bigint, i integer, CONSTRAINT referring FOREIGN KEY (b, i) REFERENCES t)`
      )
      yield* commitRows(writer, fields, [[2n, "a"], [3n, "b"]])
      yield* database.query("INSERT INTO child VALUES (3, 0)")
      const after = checkpointOf([3n, 0], [4n, 0])
      const error = yield* Effect.flip(
        writeChunk(writer, withRange(noRows(checkpointOf([3n, 0]), 3n), rangeOf(3n, 4n, 1), "new", after))
      )
      for (const part of ["blocks 3 to 4", "23503", "constraint referring"]) assert.include(error.message, part)
    }))
})
