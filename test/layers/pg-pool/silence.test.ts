import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Result } from "effect"
import { eventually } from "../../support/eventually.ts"
import { holdLock } from "../../support/holdLock.ts"
import { assertHealthy, benchBehindProxy, failureOf, insert, isSqlError, numbers } from "../../support/poolBench.ts"

const STALL = { stallMillis: 400 }

describe("a session that stops responding", () => {
  it.live.each(["SELECT", "WITH", "DELETE", "CREATE", "SET", "LOCK"])(
    "at a %s is a lost connection, reported with the statement and the time, and retryable",
    (word) =>
      Effect.gen(function*() {
        const { it, proxy } = yield* benchBehindProxy(STALL)
        const statement = {
          SELECT: "SELECT 1",
          WITH: "WITH a AS (SELECT 1) SELECT * FROM a",
          DELETE: `DELETE FROM ${it.table}`,
          CREATE: `CREATE INDEX ON ${it.table} (s)`,
          SET: "SET LOCAL search_path TO pg_catalog",
          LOCK: `LOCK TABLE ${it.table}`
        }[word]!
        const body = Effect.andThen(
          insert(it, 1),
          Effect.suspend(() => {
            proxy.blackholeOnRequest(statement)
            return it.pool.sql.unsafe(statement)
          })
        )
        const exit = yield* Effect.exit(it.pool.transaction("test", body)).pipe(Effect.timeout("15 seconds"))
        const error = failureOf(exit)
        assert.isTrue(isSqlError(error) && error.isRetryable, String(error))
        assert.match(
          String((error as Error).message),
          new RegExp(`PostgreSQL: ${word} was not answered for [\\d.]+ seconds; `)
        )
        assert.notInclude(String((error as Error).message), "outcome")
        proxy.restore()
        yield* assertHealthy(it)
      })
  )

  it.live("behind a pooler is not confused with one that runs a statement with the same beginning", () =>
    Effect.gen(function*() {
      const { it, proxy } = yield* benchBehindProxy({ stallMillis: 100 }, {}, (proxy) => proxy.renumberBackends())
      const key = Math.floor(Math.random() * 1e9)
      yield* holdLock(it.database, `SELECT pg_advisory_xact_lock(${key})`)
      const alike = `WITH picked AS MATERIALIZED (SELECT ${"1 AS position, ".repeat(10)}1) SELECT`
      // A long statement runs on the other table.
      yield* Effect.forkScoped(it.pool.sql.unsafe(`${alike} pg_advisory_lock(${key}), 'other'`))
      yield* eventually(
        "the other session waits",
        Effect.map(
          it.database.query("SELECT FROM pg_stat_activity WHERE query LIKE $1", [`%${key}), 'other'`]),
          (rows) => rows.length > 0
        )
      )
      proxy.blackholeOnRequest("'this one'")
      const error = yield* Effect.flip(it.pool.sql.unsafe(`${alike} 'this one'`)).pipe(Effect.timeout("15 seconds"))
      assert.match(String((error as Error).message), /PostgreSQL: WITH was not answered for/)
    }))

  it.live("while it is idle in the pool is a lost connection at its next statement, and the one after uses another", () =>
    Effect.gen(function*() {
      const { it, proxy } = yield* benchBehindProxy(STALL)
      yield* assertHealthy(it)
      const idle = proxy.connections()
      assert.isAbove(idle, 1)
      proxy.freeze("connected")
      const outcomes = yield* Effect.forEach(
        Array.from({ length: idle + 2 }, (_, n) => n),
        (n) => Effect.result(it.pool.transaction("test", insert(it, n))).pipe(Effect.timeout("20 seconds"))
      )
      const failures = outcomes.flatMap((outcome) => Result.isFailure(outcome) ? [outcome.failure] : [])
      assert.isAbove(failures.length, 0)
      assert.isAtMost(failures.length, idle)
      for (const error of failures) {
        assert.isTrue(isSqlError(error) && error.isRetryable, String(error))
        assert.match((error as Error).message, /PostgreSQL: BEGIN was not answered for [\d.]+ seconds/)
      }
      assert.lengthOf(yield* numbers(it), idle + 2 - failures.length)
      yield* assertHealthy(it)
    }))

  it.live("outside of a transaction leaves the outcome of a deletion unknown, and the message has that", () =>
    Effect.gen(function*() {
      const { it, proxy } = yield* benchBehindProxy(STALL)
      proxy.blackholeOnRequest("DELETE")
      const error = yield* Effect.flip(it.pool.sql.unsafe(`DELETE FROM ${it.table}`)).pipe(Effect.timeout("15 seconds"))
      assert.match(String((error as Error).message), /DELETE was not answered .* outcome is unknown/)
    }))

  it.live("may be interrupted at any statement without waiting for its response", () =>
    Effect.gen(function*() {
      const { it, proxy } = yield* benchBehindProxy()
      proxy.blackholeOnRequest("DELETE")
      const running = yield* Effect.forkScoped(
        it.pool.transaction("test", Effect.andThen(insert(it, 1), it.pool.sql.unsafe(`DELETE FROM ${it.table}`)))
      )
      yield* Effect.sleep(300)
      yield* Effect.timeout(Fiber.interrupt(running), "2 seconds")
    }))
})

describe("a long statement", () => {
  it.live.each(["PostgreSQL", "a pooler"])(
    "is awaited while the server works on it or waits for a lock, behind %s",
    (what) =>
      Effect.gen(function*() {
        const made = yield* benchBehindProxy(
          { stallMillis: 200 },
          {},
          (proxy) => what === "a pooler" && proxy.renumberBackends()
        )
        const { it } = made
        const slept = yield* it.pool.transaction(
          "test",
          it.pool.sql.unsafe<{ slept: string }>("SELECT pg_sleep(1.5)::text AS slept")
        )
        assert.deepStrictEqual(slept, [{ slept: "" }])
        const key = `${Math.floor(Math.random() * 1e9)}`
        const holding = yield* Effect.forkScoped(
          it.database.query(`SELECT pg_sleep(1.5) FROM pg_advisory_xact_lock(${key})`)
        )
        yield* eventually(
          "the lock is held",
          Effect.map(
            it.database.query("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objid = $1", [key]),
            (rows) => rows.length > 0
          )
        )
        const waited = yield* Effect.exit(
          it.pool.withDedicatedConnection("test", (run) => run(`SELECT pg_advisory_lock(${key})`))
        )
        assert.isTrue(Exit.isSuccess(waited), String(waited))
        yield* Fiber.join(holding)
      })
  )
})
