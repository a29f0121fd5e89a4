import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import { replaceSchemas, schemaNames } from "../../../src/domain/sql/schemaNames.ts"
import { tokenize } from "../../../src/domain/sql/tokenize.ts"

const namesIn = (sql: string) => schemaNames(Result.getOrThrow(tokenize(sql)))

/** The query with `R` in the place of every schema `rpc` or `Rpc`, and `S` in that of `self`. */
const replaced = (sql: string): string =>
  replaceSchemas(sql, namesIn(sql), ({ name }) => ({ rpc: "R", Rpc: "R", self: "S" })[name])

const cases: ReadonlyArray<readonly [query: string, expected: string]> = [
  ["SELECT * FROM rpc.blocks", "SELECT * FROM R.blocks"],
  ["SELECT * FROM RPC.Blocks", "SELECT * FROM R.Blocks"],
  ["SELECT * FROM \"rpc\".blocks, `rpc` . logs", "SELECT * FROM R.blocks, R . logs"],
  ["SELECT * FROM \"Rpc\".\"Blocks\"", "SELECT * FROM R.\"Blocks\""],
  ["SELECT * FROM rpc /* of */ . -- the\n blocks", "SELECT * FROM R /* of */ . -- the\n blocks"],
  // Columns of a table that has no alias.
  ["SELECT rpc.blocks.hash FROM rpc.blocks", "SELECT R.blocks.hash FROM R.blocks"],
  ["SELECT rpc.blocks.* FROM rpc.blocks", "SELECT R.blocks.* FROM R.blocks"],
  ["SELECT hash FROM rpc.blocks WHERE rpc.blocks.hash > 1", "SELECT hash FROM R.blocks WHERE R.blocks.hash > 1"],
  ["SELECT blocks.hash FROM rpc.blocks", "SELECT blocks.hash FROM R.blocks"],
  // An alias, a CTE or a column of the schema's name is another thing.
  ["SELECT rpc.hash FROM rpc.blocks rpc", "SELECT rpc.hash FROM R.blocks rpc"],
  ["SELECT rpc.hash FROM rpc.blocks AS rpc", "SELECT rpc.hash FROM R.blocks AS rpc"],
  ["SELECT rpc.value.x FROM rpc.logs rpc", "SELECT rpc.value.x FROM R.logs rpc"],
  ["SELECT rpc.blocks.x FROM rpc.blocks AS b, t.rpc", "SELECT rpc.blocks.x FROM R.blocks AS b, t.rpc"],
  ["SELECT rpc FROM rpc.blocks", "SELECT rpc FROM R.blocks"],
  [
    "WITH rpc AS (SELECT * FROM rpc.blocks) SELECT rpc.hash FROM rpc",
    "WITH rpc AS (SELECT * FROM R.blocks) SELECT rpc.hash FROM rpc"
  ],
  [
    "WITH a AS (SELECT * FROM rpc.blocks), b AS (SELECT * FROM self.t) SELECT a.hash FROM a, b",
    "WITH a AS (SELECT * FROM R.blocks), b AS (SELECT * FROM S.t) SELECT a.hash FROM a, b"
  ],
  // Joins, lists and sub-queries.
  [
    "SELECT * FROM rpc.blocks b JOIN self.t ON b.hash = self.t.hash",
    "SELECT * FROM R.blocks b JOIN S.t ON b.hash = S.t.hash"
  ],
  [
    "SELECT l.a FROM rpc.logs l LEFT SEMI JOIN rpc.blocks USING (hash), rpc.x",
    "SELECT l.a FROM R.logs l LEFT SEMI JOIN R.blocks USING (hash), R.x"
  ],
  [
    "SELECT rpc.a.x FROM rpc.a ANTI JOIN rpc.b ON rpc.a.x = rpc.b.x",
    "SELECT R.a.x FROM R.a ANTI JOIN R.b ON R.a.x = R.b.x"
  ],
  ["SELECT * FROM (rpc.a CROSS JOIN rpc.b)", "SELECT * FROM (R.a CROSS JOIN R.b)"],
  ["SELECT * FROM (SELECT * FROM rpc.a) AS x, rpc.b", "SELECT * FROM (SELECT * FROM R.a) AS x, R.b"],
  ["SELECT * FROM a.b WHERE x IN (SELECT y FROM rpc.c)", "SELECT * FROM a.b WHERE x IN (SELECT y FROM R.c)"],
  ["SELECT (SELECT max(n) FROM rpc.a) FROM rpc.b", "SELECT (SELECT max(n) FROM R.a) FROM R.b"],
  ["SELECT * FROM rpc.a UNION ALL SELECT * FROM rpc.b", "SELECT * FROM R.a UNION ALL SELECT * FROM R.b"],
  ["(SELECT a FROM rpc.a) UNION ALL (SELECT a FROM self.b)", "(SELECT a FROM R.a) UNION ALL (SELECT a FROM S.b)"],
  ["SELECT * FROM rpc.a, LATERAL (SELECT * FROM rpc.b) x", "SELECT * FROM R.a, LATERAL (SELECT * FROM R.b) x"],
  ["SELECT * FROM rpc.a, rpc.b WHERE x, rpc.c", "SELECT * FROM R.a, R.b WHERE x, rpc.c"],
  ["SELECT * FROM rpc.a CROSS JOIN UNNEST(a.topics)", "SELECT * FROM R.a CROSS JOIN UNNEST(a.topics)"],
  // Functions.
  ["SELECT self.decode(data), rpc.f (1) FROM rpc.logs", "SELECT S.decode(data), R.f (1) FROM R.logs"],
  ["SELECT f(self.g(rpc.logs.data)) FROM rpc.logs", "SELECT f(S.g(R.logs.data)) FROM R.logs"],
  ["SELECT * FROM self.series(1, 2)", "SELECT * FROM S.series(1, 2)"],
  ["SELECT x.rpc.f(1) FROM rpc.logs", "SELECT x.rpc.f(1) FROM R.logs"],
  // FROM that begins no list of tables.
  ["SELECT extract(year FROM rpc.x) FROM rpc.logs", "SELECT extract(year FROM rpc.x) FROM R.logs"],
  ["SELECT a IS DISTINCT FROM rpc.x FROM rpc.logs", "SELECT a IS DISTINCT FROM rpc.x FROM R.logs"],
  ["SELECT a IS NOT DISTINCT FROM rpc.x FROM rpc.y", "SELECT a IS NOT DISTINCT FROM rpc.x FROM R.y"],
  // Text is no name, and a third part in front makes another name.
  [
    "SELECT 'FROM rpc.a', 'rpc.f(1)' FROM rpc.logs -- FROM rpc.x",
    "SELECT 'FROM rpc.a', 'rpc.f(1)' FROM R.logs -- FROM rpc.x"
  ],
  ["SELECT $$ FROM rpc.a $$ /* FROM rpc.b */ FROM rpc.c", "SELECT $$ FROM rpc.a $$ /* FROM rpc.b */ FROM R.c"],
  ["SELECT * FROM rpc.a.b", "SELECT * FROM rpc.a.b"],
  ["SELECT * FROM rpc", "SELECT * FROM rpc"],
  ["SELECT * FROM \"_/rpc@1.0.0\".blocks", "SELECT * FROM \"_/rpc@1.0.0\".blocks"],
  ["SELECT * FROM rpc.a SETTINGS stream = true", "SELECT * FROM R.a SETTINGS stream = true"]
]

describe("the schemas of a query", () => {
  for (const [query, expected] of cases) {
    it(`are found and nothing else is in ${JSON.stringify(query)}`, () => {
      assert.strictEqual(replaced(query), expected)
    })
  }

  it("are returned as the server reads them: without quotes, in lower case where there are none", () => {
    const [plain, quoted, called] = namesIn("SELECT X.f(1) FROM Rpc.a, \"a\"\"B\".b").toSorted((a, b) =>
      b.start - a.start
    )
      .toReversed().slice(0, 3)
    assert.deepInclude(plain, { name: "x", isQuoted: false, isFunction: true })
    assert.deepInclude(quoted, { name: "rpc", isQuoted: false, isFunction: false })
    assert.deepInclude(called, { name: "a\"B", isQuoted: true, isFunction: false })
  })
})
