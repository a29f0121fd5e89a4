/** A pool on a real server, and a table to copy into. */
import { assert } from "@effect/vitest"
import { Cause, Effect, Exit, Layer, Result } from "effect"
import type { Scope } from "effect"
import type { SqlError } from "effect/sql"
import { copyHeader, copyTrailer } from "../../src/domain/postgres/encode/encodeCopy.ts"
import { beginTransaction } from "../../src/domain/sql/transaction.ts"
import { layerWith, type PgPoolOptions } from "../../src/layers/PgPool.ts"
import { type PgPipeline, PgPool, type PgResult } from "../../src/services/PgPool.ts"
import { eventually } from "./eventually.ts"
import { type TestDatabase, testDatabase } from "./postgres.ts"
import { type Proxy, startProxy, throughProxy } from "./proxy.ts"
import { testSettings } from "./testSettings.ts"

type Pool = PgPool["Service"]

export interface Bench {
  readonly pool: Pool
  readonly database: TestDatabase
  readonly table: string
}

/** The `application_name` of its connections distinguishes them from those of other tests on the same server. */
export const named = ({ schema, url }: TestDatabase): string => {
  const named = new URL(url)
  named.searchParams.set("application_name", schema)
  return named.href
}

/** A pool of our own and a table `t (n bigint primary key, s text)` in a schema of its own. */
export const bench = (
  values: Parameters<typeof testSettings>[1] = {},
  options: PgPoolOptions = {},
  url: (database: TestDatabase) => Effect.Effect<string, never, Scope.Scope> = (database) =>
    Effect.succeed(named(database))
) =>
  Effect.gen(function*() {
    const database = yield* testDatabase
    yield* database.query("CREATE TABLE t (n bigint PRIMARY KEY, s text)")
    const settings = testSettings(database, { MAX_DB_CONNECTIONS: "3", DATABASE_URL: yield* url(database), ...values })
    const services = yield* Layer.build(layerWith(options).pipe(Layer.provide(settings)))
    const pool = yield* PgPool.pipe(Effect.provideContext(services))
    return { pool, database, table: `${database.schema}.t` } satisfies Bench
  })

export const tuple = (n: bigint, text: string): Buffer => {
  const value = Buffer.from(text)
  const bytes = Buffer.alloc(2 + 4 + 8 + 4)
  bytes.writeInt16BE(2, 0)
  bytes.writeInt32BE(8, 2)
  bytes.writeBigInt64BE(n, 6)
  bytes.writeInt32BE(value.length, 14)
  return Buffer.concat([bytes, value])
}

export const activityOf = ({ database }: Bench): string => `${database.schema} copy`

/** The text that begins a transaction and opens its COPY. */
export const opening = (bench: Bench, { before = "", columns = "n, s" } = {}): string =>
  `${beginTransaction(activityOf(bench))}; ${before}COPY ${bench.table} (${columns}) FROM STDIN (FORMAT BINARY)`

/** Sends data as fast as the connection takes it. */
export const sendAll = (pipeline: PgPipeline, pieces: ReadonlyArray<Uint8Array>) =>
  Effect.forEach([copyHeader, ...pieces], (piece) => {
    pipeline.copyData(piece, () => {})
    return pipeline.drained
  }, { discard: true })

/** Sends the end of the COPY and of the transaction at once; the effect waits for the rows of the statements `before` it. */
export const finish = (pipeline: PgPipeline, before = ""): Effect.Effect<PgResult["rows"], SqlError.SqlError> => {
  pipeline.copyData(copyTrailer, () => {})
  pipeline.copyDone()
  return Effect.map(pipeline.send(`${before}COMMIT`).done, ({ rows }) => rows)
}

/** Sends the end of the COPY and of the transaction, and waits for it. */
export const sendEnd = (pipeline: PgPipeline, before?: string) => Effect.suspend(() => finish(pipeline, before))

/** One transaction: the statements `before`, COPY, COMMIT. */
export const copyInto = (
  bench: Bench,
  pieces: ReadonlyArray<Uint8Array>,
  options: Parameters<typeof opening>[1] = {}
) =>
  Effect.gen(function*() {
    const pipeline = yield* bench.pool.pipeline
    pipeline.send(opening(bench, options), { endsInCopy: true })
    yield* sendAll(pipeline, pieces)
    yield* sendEnd(pipeline)
  }).pipe(Effect.scoped)

export const numbers = ({ database }: Bench) =>
  Effect.map(database.query<{ n: string }>("SELECT n FROM t ORDER BY n"), (rows) => rows.map(({ n }) => Number(n)))
export const insert = ({ pool, table }: Bench, n: number, s = "x") =>
  pool.sql.unsafe(`INSERT INTO ${table} VALUES ($1, $2)`, [n, s])

/** Sessions of the pool that are in a transaction. */
export const inTransaction = ({ database }: Bench) =>
  database.query<{ pid: number; state: string; wait: string | null }>(
    `SELECT pid, state, wait_event AS wait FROM pg_stat_activity
     WHERE application_name LIKE $1 || '%' AND xact_start IS NOT NULL`,
    [database.schema]
  )

/** The pool closes a connection that was idle for ten seconds: that must not hide one that was left in a transaction. */
export const BEFORE_IDLE_TIMEOUT = 7_000

/** No session of the pool stays in a transaction, and the pool works. */
export const assertRecovered = (bench: Bench) =>
  Effect.andThen(
    eventually(
      "no session is in a transaction",
      Effect.map(inTransaction(bench), (rows) => rows.length === 0),
      BEFORE_IDLE_TIMEOUT
    ),
    Effect.timeout(assertHealthy(bench), "10 seconds")
  )

/** The pool still gives out working connections, more often than it has any. */
export const assertHealthy = ({ pool }: Bench) =>
  Effect.gen(function*() {
    const answers = yield* Effect.forEach(
      Array.from({ length: 12 }, (_, i) => i),
      (i) =>
        pool.transaction("check", Effect.map(pool.sql.unsafe<{ i: number }>(`SELECT ${i} AS i`), ([row]) => row?.i)),
      { concurrency: "unbounded" }
    )
    assert.deepStrictEqual(answers, Array.from({ length: 12 }, (_, i) => i))
  })

export const failureOf = <A, E>(exit: Exit.Exit<A, E>): E => {
  if (Exit.isSuccess(exit)) return assert.fail("it succeeded")
  const failure = Cause.findError(exit.cause)
  assert.strictEqual(exit.cause.reasons.length, 1, Cause.pretty(exit.cause))
  return Result.isSuccess(failure) ? failure.success : assert.fail(`a defect: ${Cause.pretty(exit.cause)}`)
}

export const isSqlError = (error: unknown): error is SqlError.SqlError =>
  typeof error === "object" && error !== null && "_tag" in error && error._tag === "SqlError"

/** A pool whose connections go through a proxy. */
export const benchBehindProxy = (
  options: PgPoolOptions = {},
  values: Parameters<typeof testSettings>[1] = {},
  before: (proxy: Proxy) => unknown = () => {}
) =>
  Effect.gen(function*() {
    const { url } = yield* testDatabase
    const proxy = yield* startProxy(Number(new URL(url).port))
    before(proxy)
    return {
      proxy,
      it: yield* bench(values, options, (database) => Effect.succeed(throughProxy(named(database), proxy)))
    }
  })
