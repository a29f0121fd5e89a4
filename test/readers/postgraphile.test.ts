import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { createRequire } from "node:module"
import { Pool } from "pg"
import type { TestDatabase } from "../support/postgres.ts"
import { everyField, everyTable, ROWS } from "./everyType.ts"

interface GraphQlType {
  readonly name?: string
  readonly description?: string
  readonly ofType?: GraphQlType
  readonly getFields?: () => Readonly<Record<string, { readonly type: GraphQlType }>>
}

interface GraphQlSchema {
  readonly getType: (name: string) => GraphQlType & Required<Pick<GraphQlType, "getFields">>
}

interface GraphQlResult {
  readonly errors?: ReadonlyArray<{ readonly message: string }>
  readonly data?: Record<string, unknown>
}

const require = createRequire(import.meta.url)
const postgraphile: {
  readonly createPostGraphileSchema: (pool: Pool, schemas: ReadonlyArray<string>) => Promise<GraphQlSchema>
  readonly withPostGraphileContext: <A>(options: { pgPool: Pool }, use: (context: unknown) => A) => A
} = require("postgraphile")
// Of the version that PostGraphile uses: two of them in one process refuse to work together.
const { graphql }: {
  readonly graphql: (schema: GraphQlSchema, query: string, root: null, context: unknown) => Promise<GraphQlResult>
} = createRequire(require.resolve("postgraphile"))("graphql")

/** PostGraphile over the schema of a test, as a user starts it: no options. */
const served = ({ schema, url }: TestDatabase) =>
  Effect.gen(function*() {
    const pool = yield* Effect.acquireRelease(
      Effect.sync(() => new Pool({ connectionString: url })),
      (pool) => Effect.promise(() => pool.end())
    )
    const graph = yield* Effect.promise(() => postgraphile.createPostGraphileSchema(pool, [schema]))
    const ask = (query: string) =>
      Effect.promise(async () => {
        const { data, errors = [] } = await postgraphile.withPostGraphileContext(
          { pgPool: pool },
          (context) => graphql(graph, query, null, context)
        )
        assert.deepStrictEqual(errors.map(({ message }) => message), [])
        return data!
      })
    return { ask, graph }
  })

const innermost = (type: GraphQlType): GraphQlType => type.ofType === undefined ? type : innermost(type.ofType)

/** Every field of a type, down to what has none. */
const selection = (type: GraphQlType): string =>
  Object.entries(type.getFields?.() ?? {}).map(([name, field]) => {
    const inner = innermost(field.type)
    return inner.getFields === undefined ? name : `${name} { ${selection(inner)} }`
  }).join(" ")

describe("PostGraphile 4 on tables that were synced", () => {
  it.live(
    "shows every column of every type, and reads all rows without an error and every number exactly",
    () =>
      Effect.gen(function*() {
        const { database } = yield* everyTable
        const { ask, graph } = yield* served(database)
        const type = graph.getType("Everything")
        const fields = Object.keys(type.getFields())
        assert.lengthOf(fields, everyField.length + 2, "every column, _row_index and nodeId")
        assert.strictEqual(type.description, "all there is")
        const data = yield* ask(`{ all: allEverythings(orderBy: PRIMARY_KEY_ASC) { nodes { ${selection(type)} } } }`)
        const { nodes } = data["all"] as { nodes: ReadonlyArray<Record<string, unknown>> }
        assert.lengthOf(nodes, ROWS)
        const stored = yield* database.query<Record<string, string | null>>(
          `SELECT ${everyField.map(({ name }) => `e."${name}"::text AS "${name}"`).join(", ")}
           FROM everything e ORDER BY e._block_num, e._row_index`
        )
        let compared = 0
        for (const [column] of everyField.entries()) {
          const name = everyField[column]!.name
          const { type: declared } = type.getFields()[name] ?? {}
          if (
            declared === undefined || !["BigInt", "BigFloat", "Int"].includes(innermost(declared).name ?? "")
          ) continue
          if (innermost(declared) !== declared) continue
          for (const [row, node] of nodes.entries()) {
            const value = node[name]
            assert.strictEqual(value == null ? null : String(value), stored[row]![name]!, name)
            compared += 1
          }
        }
        assert.isAbove(compared, 20 * ROWS)
      }),
    60_000
  )

  it.live(
    "finds a row by the key that every table has, by one of its own, and by the node id made of it",
    () =>
      Effect.gen(function*() {
        const { database } = yield* everyTable
        const { ask } = yield* served(database)
        const found = yield* ask(
          `{ one: everythingByBlockNumAndRowIndex(_blockNum: "2", _rowIndex: 1) { _blockNum _rowIndex }
           owned: ownedByTxHashAndLogIndex(txHash: "0x01", logIndex: "1") { value nodeId }
           same: ownedByBlockNumAndRowIndex(_blockNum: "1", _rowIndex: 0) { value } }`
        )
        assert.deepInclude(found["one"], { _blockNum: "2", _rowIndex: 1 })
        assert.deepInclude(found["owned"], { value: "5" })
        assert.deepStrictEqual({ ...(found["same"] as object) }, { value: (2n ** 256n - 1n).toString() })
        const { nodeId } = found["owned"] as { nodeId: string }
        const again = yield* ask(`{ owned(nodeId: "${nodeId}") { value } }`)
        assert.deepInclude(again["owned"], { value: "5" })
      }),
    60_000
  )

  it.live("reads how far the tables are", () =>
    Effect.gen(function*() {
      const { database } = yield* everyTable
      const { ask } = yield* served(database)
      const { all } = yield* ask(
        "{ all: allAmpsyncProgresses(orderBy: NATURAL) { nodes { tableName watermark rows unverified } } }"
      )
      assert.sameDeepMembers([...(all as { nodes: ReadonlyArray<object> }).nodes].map((node) => ({ ...node })), [
        { tableName: "everything", watermark: String(ROWS / 3 - 1), rows: String(ROWS), unverified: false },
        { tableName: "owned", watermark: "1", rows: "2", unverified: false }
      ])
    }), 60_000)
})
