import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Result, Schema } from "effect"
import { makeTableSpec } from "../../../src/domain/manifest/TableSpec.ts"
import { streamingQuery } from "../../../src/domain/sql/streamingQuery.ts"

const accepted = (sql: string) =>
  Result.getOrThrowWith(streamingQuery(sql), ({ reason }) => new Error(`${sql}: ${reason}`))

const reasonOf = (sql: string): string => {
  const result = streamingQuery(sql)
  return Result.isFailure(result) ? result.failure.reason : assert.fail(`accepted: ${sql}`)
}

const streams = (sql: string, expected: string) => assert.strictEqual(accepted(sql).streaming, expected)

const fingerprintOf = (sql: string) => Result.getOrThrow(makeTableSpec("t", sql)).fingerprint

describe("streamingQuery", () => {
  it("appends the setting that keeps a query open, and leaves it out of the batch form", () => {
    const query = accepted("  SELECT * FROM anvil.blocks ;\n")
    assert.strictEqual(query.sql, "SELECT * FROM anvil.blocks")
    assert.strictEqual(query.streaming, "SELECT * FROM anvil.blocks SETTINGS stream = true")
    assert.strictEqual(query.batch, "SELECT * FROM anvil.blocks")
    assert.deepStrictEqual(query.notes, [])
  })

  it("does not append the setting twice, however it is written", () => {
    for (const clause of ["SETTINGS stream = true", "settings STREAM=True;", "Settings \"stream\" = TRUE -- done"]) {
      const query = accepted(`SELECT a FROM t ${clause}`)
      assert.strictEqual(query.streaming, "SELECT a FROM t SETTINGS stream = true")
      assert.strictEqual(query.batch, "SELECT a FROM t")
    }
  })

  it("keeps a comment at the end from swallowing what is appended", () => {
    streams("SELECT a FROM t -- newest", "SELECT a FROM t SETTINGS stream = true")
    streams("SELECT a FROM t; -- newest ;", "SELECT a FROM t SETTINGS stream = true")
    streams("SELECT a -- one\nFROM t /* two /* three */ */", "SELECT a -- one\nFROM t SETTINGS stream = true")
  })

  it("leaves out an ORDER BY at the end and reports it", () => {
    const query = accepted("SELECT a FROM t ORDER BY a DESC NULLS LAST, b SETTINGS stream = true")
    assert.strictEqual(query.streaming, "SELECT a FROM t SETTINGS stream = true")
    assert.strictEqual(query.notes.length, 1)
    assert.match(query.notes[0] ?? "", /ORDER BY/)
    streams("(SELECT a FROM t ORDER BY a)", "(SELECT a FROM t) SETTINGS stream = true")
  })

  it("keeps an ORDER BY that belongs to a window, a sub-query or a string", () => {
    for (
      const sql of [
        "SELECT first(a) OVER (ORDER BY b) FROM t",
        "SELECT a FROM (SELECT a FROM u ORDER BY a) AS t",
        "SELECT ' ORDER BY a' FROM t"
      ]
    ) streams(sql, `${sql} SETTINGS stream = true`)
  })

  it("rejects an ORDER BY that chooses rows", () => {
    assert.match(reasonOf("SELECT DISTINCT ON (a) a, b FROM t ORDER BY a, b"), /DISTINCT ON/)
  })

  it("rejects a limit on the number of rows and names the alternative", () => {
    const cases = [
      ["SELECT * FROM t LIMIT 10", "LIMIT"],
      ["SELECT * LIMIT 10", "LIMIT"],
      ["SELECT a FROM t ORDER BY a DESC limit all", "LIMIT"],
      ["(SELECT a FROM t LIMIT 5)", "LIMIT"],
      ["(SELECT a FROM t) LIMIT 5 SETTINGS stream = true", "LIMIT"],
      ["SELECT a FROM t OFFSET 3 ROWS", "OFFSET"],
      ["SELECT a FROM t FETCH FIRST 3 ROWS ONLY", "FETCH"]
    ] as const
    for (const [sql, clause] of cases) assert.match(reasonOf(sql), new RegExp(`^${clause} .*WHERE`))
  })

  it("distinguishes a column from the clause of the same name", () => {
    for (
      const sql of [
        "SELECT limit, offset FROM t",
        "SELECT t.limit FROM t WHERE offset > 5 AND limit = 3",
        "SELECT a offset FROM t",
        "SELECT a AS fetch FROM t",
        "SELECT settings FROM t WHERE settings = 5",
        "SELECT a * limit FROM t",
        "SELECT \"limit 5\" FROM t WHERE a = 'limit 5'"
      ]
    ) streams(sql, `${sql} SETTINGS stream = true`)
  })

  it("rejects settings that end the query, and unknown ones", () => {
    assert.match(reasonOf("SELECT a FROM t SETTINGS stream = false"), /must be true/)
    assert.match(reasonOf("SELECT a FROM t SETTINGS stream = 1"), /must be true/)
    assert.match(reasonOf("SELECT a FROM t SETTINGS stream = 'true'"), /must be true/)
    assert.match(reasonOf("SELECT a FROM t SETTINGS stream = true, max_rows = 5"), /max_rows/)
    assert.match(reasonOf("SELECT a FROM t SETTINGS stream = true,"), /comma/)
    assert.match(reasonOf("(SELECT a FROM t SETTINGS stream = true)"), /parentheses/)
  })

  it("rejects text that is not exactly one query", () => {
    for (const sql of ["", "  ;; ", "-- nothing", "/* nothing */"]) assert.match(reasonOf(sql), /empty/)
    assert.match(reasonOf("SELECT 1; SELECT 2"), /several statements/)
    for (
      const sql of [
        "DELETE FROM t",
        "EXPLAIN SELECT 1",
        "VALUES (1)",
        "WITH x AS (SELECT 1) DELETE FROM x",
        "selection"
      ]
    ) assert.match(reasonOf(sql), /not a SELECT/)
    for (const sql of ["SELECT", "SELECT a FROM", "SELECT a FROM t WHERE b =", "SELECT a,"]) {
      assert.match(reasonOf(sql), /middle of an expression/)
    }
    assert.match(reasonOf("SELECT 'open"), /string that is never closed/)
    assert.match(reasonOf("SELECT \"open"), /quoted name/)
    assert.match(reasonOf("SELECT /* /* */ open"), /comment/)
    assert.match(reasonOf("SELECT (1"), /parenthesis/)
    assert.match(reasonOf("SELECT 1)"), /parenthesis/)
  })

  it("finds nothing in strings, quoted names, comments and dollar quotes", () => {
    for (
      const sql of [
        "SELECT 'a;b -- c' FROM t",
        "SELECT 'it''s; LIMIT 5' FROM t",
        "SELECT E'it\\'s; x' FROM t",
        "SELECT \"a\"\";b\" FROM t",
        "SELECT `a;b` FROM t",
        "SELECT $$a;b$$, $tag$ ; $$ ; $tag$ FROM t",
        "SELECT 1 /* ; LIMIT 5 */ FROM t",
        "WITH x AS (SELECT a FROM t LIMIT 5) SELECT * FROM x"
      ]
    ) streams(sql, `${sql} SETTINGS stream = true`)
  })

  const fragments = [
    "SELECT",
    "a",
    "FROM t",
    "'x;'",
    "\"y--\"",
    "(",
    ")",
    ";",
    "-- c\n",
    "--",
    "/*",
    "*/",
    "ORDER BY",
    "LIMIT",
    "5",
    ",",
    "*",
    "=",
    "true",
    "SETTINGS stream = true",
    "SETTINGS",
    "WITH",
    "UNION",
    "$$",
    "E'\\''"
  ]
  const soup = Arbitrary.map(
    Arbitrary.array(Arbitrary.schema(Schema.Literals(fragments)), { maxLength: 12 }),
    (words) => `SELECT ${words.join(" ")}`
  )

  it.prop("gives a query that it accepts again, and that stays the same", { sql: soup }, ({ sql }) => {
    const first = streamingQuery(sql)
    if (Result.isFailure(first)) return
    const again = accepted(first.success.streaming)
    assert.strictEqual(again.streaming, first.success.streaming)
    assert.strictEqual(again.batch, first.success.batch)
    assert.strictEqual(again.normalized, first.success.normalized)
    assert.deepStrictEqual(again.notes, [])
  }, { arbitrary: { runs: 5000 } })

  it.prop("accepts any text inside of strings and quoted names", { value: Schema.String }, ({ value }) => {
    const sql = `SELECT '${value.replaceAll("'", "''")}' AS "${value.replaceAll("\"", "\"\"")}" FROM t`
    assert.strictEqual(accepted(`${sql} -- LIMIT 5`).streaming, `${sql} SETTINGS stream = true`)
  }, { arbitrary: { runs: 1000 } })
})

describe("the fingerprint of a table", () => {
  it("stays the same for another layout, comments, the case of words, and what is left out", () => {
    const expected = fingerprintOf("SELECT a, 'X' FROM t WHERE b = 1")
    assert.match(expected, /^[0-9a-f]{32}$/)
    assert.strictEqual(
      fingerprintOf("select a,\n  'X' -- note\nfrom T where B=1 ORDER BY a SETTINGS stream = true;"),
      expected
    )
  })

  it("changes with anything that changes rows", () => {
    const variants = [
      "SELECT a FROM t",
      "SELECT b FROM t",
      "SELECT 'a' FROM t",
      "SELECT 'A' FROM t",
      "SELECT \"A\" FROM t"
    ]
    assert.strictEqual(new Set(variants.map(fingerprintOf)).size, variants.length)
  })

  it("is FNV-1a of 128 bits, so that it stays the same in later versions", () => {
    assert.strictEqual(fingerprintOf("SELECT 1"), "e5e787091d659baf6303b8753ab13582")
  })
})
