/** A schema of its own for every test, on the one server of the run. */
import { Effect, type Scope } from "effect"
import { randomBytes } from "node:crypto"
import { Pool, type QueryResultRow } from "pg"
import { afterAll, inject } from "vitest"

export interface TestDatabase {
  /** Connects to the whole database: the schema is not part of it. */
  readonly url: string
  /** Fresh and empty, dropped with all it holds when the scope closes. Needs no quotes in SQL. */
  readonly schema: string
  /** Rows of one statement, unqualified names resolved in `schema`. Any error is a defect. */
  readonly query: <Row extends QueryResultRow = QueryResultRow>(
    sql: string,
    params?: ReadonlyArray<unknown>
  ) => Effect.Effect<ReadonlyArray<Row>>
}

// Vitest loads this module once per test file, so this is one pool per file.
let pool: Pool | undefined

const filePool = (): Pool => {
  if (pool === undefined) {
    pool = new Pool({ connectionString: inject("postgresUrl"), max: 3 })
    // A test may kill every connection of the server on purpose; the pool replaces an idle one by itself.
    pool.on("error", () => undefined)
  }
  return pool
}

afterAll(() => pool?.end())

const run = async <Row extends QueryResultRow>(sql: string, params: ReadonlyArray<unknown>, searchPath: string) => {
  const client = await filePool().connect()
  try {
    await client.query(`SET search_path TO ${searchPath}`)
    const result = await client.query<Row>(sql, [...params])
    client.release()
    return result.rows
  } catch (error) {
    // The statement may have left a transaction open, or the connection may be gone.
    client.release(true)
    throw error
  }
}

/** A schema named `test_<random>`, made now and dropped, cascading, when the scope closes. */
export const testDatabase: Effect.Effect<TestDatabase, never, Scope.Scope> = Effect.acquireRelease(
  Effect.promise(async () => {
    const schema = `test_${randomBytes(6).toString("hex")}`
    await run(`CREATE SCHEMA ${schema}`, [], "public")
    const database: TestDatabase = {
      url: inject("postgresUrl"),
      schema,
      query: <Row extends QueryResultRow>(sql: string, params: ReadonlyArray<unknown> = []) =>
        Effect.promise(() => run<Row>(sql, params, schema))
    }
    return database
  }),
  ({ schema }) => Effect.promise(() => run(`DROP SCHEMA ${schema} CASCADE`, [], "public"))
)
