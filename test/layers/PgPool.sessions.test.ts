import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { runOn } from "../../src/services/PgPool.ts"
import { prepareTable } from "../support/chunks.ts"
import { holdLock } from "../support/holdLock.ts"
import { testDatabase } from "../support/postgres.ts"
import { BLOCK, processOn, requestOf } from "../support/sinkBench.ts"
import { startTransactionPooler } from "../support/transactionPooler.ts"

describe("limits of the role", () => {
  it.live("for transactions and statements end none of ours, in the pool or outside of it", () =>
    Effect.gen(function*() {
      const database = yield* testDatabase
      const [server] = yield* database.query<{ hasLimit: boolean }>(
        `SELECT current_setting('transaction_timeout', true) IS NOT NULL AS "hasLimit"`
      )
      const url = new URL(database.url)
      const limits = ["statement_timeout", ...(server!.hasLimit ? ["transaction_timeout"] : [])]
      url.search = `?options=${encodeURIComponent(limits.map((limit) => `-c ${limit}=600`).join(" "))}`
      const { pool } = yield* processOn(database, { DATABASE_URL: url.href })
      const run = runOn(pool.sql)
      assert.match((yield* Effect.flip(run("SELECT pg_sleep(2)"))).message, /timeout/)
      const long = "SELECT pg_sleep(0.9)"
      yield* Effect.all([
        pool.transaction("test", run(long)),
        pool.withDedicatedConnection("test", (run) => run(long)),
        pool.dedicatedTransaction("test", [long])
      ], { concurrency: "unbounded" })
    }))
})

describe("behind a pooler that lends sessions by transaction", () => {
  it.live("work outside of the pool leaves none of its settings on a session", () =>
    Effect.gen(function*() {
      const database = yield* testDatabase
      const url = new URL(database.url)
      url.port = String((yield* startTransactionPooler(Number(url.port))).port)
      url.searchParams.set("sslmode", "disable")
      const { bookkeeping, indexes, pool, sink } = yield* processOn(database, {
        DATABASE_URL: url.href,
        MAX_DB_CONNECTIONS: "2"
      })
      yield* bookkeeping.ensure
      yield* prepareTable(sink, { ...requestOf("t", [BLOCK]), defersIndexes: true })
      const settings = pool.sql.unsafe(
        "SELECT name, setting FROM pg_settings WHERE name ~ '^(application_name|.*_timeout|synchronous_commit)$' ORDER BY 1"
      )
      const before = yield* settings
      const leavesNone = (what: string) => Effect.map(settings, (after) => assert.deepStrictEqual(after, before, what))
      yield* indexes.summarize("t")
      yield* leavesNone("a summary")
      yield* indexes.dropFull("t", undefined, () => Effect.void)
      yield* leavesNone("a concurrent statement")
      yield* Effect.exit(pool.withDedicatedConnection("test", (run) => run("SELECT 1 / 0")))
      yield* leavesNone("a statement that fails")
      const vacuum = yield* holdLock(database, "LOCK TABLE t IN SHARE UPDATE EXCLUSIVE MODE")
      assert.include((yield* Effect.flip(indexes.summarize("t"))).message, "55P03")
      yield* leavesNone("a summary that gives up")
      yield* vacuum.release
      yield* sink.awaitUnlocked("t")
      yield* leavesNone("a wait for a lock")
    }))
})
