import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Layer, Result } from "effect"
import type { Scope } from "effect"
import type { SqlError } from "effect/sql"
import { copyHeader, copyTrailer } from "../../src/domain/postgres/encodeCopy.ts"
import { layerWith, type PgPoolOptions } from "../../src/layers/PgPool.ts"
import { PgPool } from "../../src/services/PgPool.ts"
import { eventually } from "../support/eventually.ts"
import { type TestDatabase, testDatabase } from "../support/postgres.ts"
import { startProxy, throughProxy } from "../support/proxy.ts"
import { testSettings } from "../support/testSettings.ts"

type Pool = PgPool["Service"]

interface Bench {
  readonly pool: Pool
  readonly database: TestDatabase
  readonly table: string
}

/** A pool of our own and a table `t (n bigint primary key, s text)` in a schema of its own. */
const bench = (
  values: Parameters<typeof testSettings>[1] = {},
  options: PgPoolOptions = {},
  url: (database: TestDatabase) => Effect.Effect<string, never, Scope.Scope> = ({ url }) => Effect.succeed(url)
) =>
  Effect.gen(function*() {
    const database = yield* testDatabase
    yield* database.query("CREATE TABLE t (n bigint PRIMARY KEY, s text)")
    const settings = testSettings(database, { MAX_DB_CONNECTIONS: "3", DATABASE_URL: yield* url(database), ...values })
    const services = yield* Layer.build(layerWith(options).pipe(Layer.provide(settings)))
    const pool = yield* PgPool.pipe(Effect.provideContext(services))
    return { pool, database, table: `${database.schema}.t` } satisfies Bench
  })

const tuple = (n: bigint, text: string): Buffer => {
  const value = Buffer.from(text)
  const bytes = Buffer.alloc(2 + 4 + 8 + 4)
  bytes.writeInt16BE(2, 0)
  bytes.writeInt32BE(8, 2)
  bytes.writeBigInt64BE(n, 6)
  bytes.writeInt32BE(value.length, 14)
  return Buffer.concat([bytes, value])
}

const copyOf = (...rows: ReadonlyArray<Uint8Array>) => [copyHeader, ...rows, copyTrailer]
const copyInto = ({ pool, table }: Bench, pieces: ReadonlyArray<Uint8Array>) =>
  pool.copyIn(`COPY ${table} (n, s) FROM STDIN (FORMAT BINARY)`, pieces)
const numbers = ({ database }: Bench) =>
  Effect.map(database.query<{ n: string }>("SELECT n FROM t ORDER BY n"), (rows) => rows.map(({ n }) => Number(n)))
const insert = ({ pool, table }: Bench, n: number, s = "x") =>
  pool.sql.unsafe(`INSERT INTO ${table} VALUES ($1, $2)`, [n, s])

/** The pool still gives out working connections, more often than it has any. */
const assertHealthy = ({ pool }: Bench) =>
  Effect.gen(function*() {
    const answers = yield* Effect.forEach(
      Array.from({ length: 12 }, (_, i) => i),
      (i) =>
        pool.transaction("check", Effect.map(pool.sql.unsafe<{ i: number }>(`SELECT ${i} AS i`), ([row]) => row?.i)),
      { concurrency: "unbounded" }
    )
    assert.deepStrictEqual(answers, Array.from({ length: 12 }, (_, i) => i))
  })

const failureOf = <A, E>(exit: Exit.Exit<A, E>): E => {
  if (Exit.isSuccess(exit)) return assert.fail("it succeeded")
  const failure = Cause.findError(exit.cause)
  assert.strictEqual(exit.cause.reasons.length, 1, Cause.pretty(exit.cause))
  return Result.isSuccess(failure) ? failure.success : assert.fail(`a defect: ${Cause.pretty(exit.cause)}`)
}

const isSqlError = (error: unknown): error is SqlError.SqlError =>
  typeof error === "object" && error !== null && "_tag" in error && error._tag === "SqlError"

describe("a transaction of the pool", () => {
  it.live("I1 keeps statements and COPY together: both are there after it, and during it only for itself", () =>
    Effect.gen(function*() {
      const it = yield* bench()
      const inside = yield* it.pool.transaction(
        "test",
        Effect.gen(function*() {
          yield* insert(it, 1)
          yield* copyInto(it, copyOf(tuple(2n, "a"), tuple(3n, "b")))
          assert.deepStrictEqual(yield* numbers(it), [])
          return yield* it.pool.sql.unsafe<{ count: string }>(`SELECT count(*) FROM ${it.table}`)
        })
      )
      assert.deepStrictEqual(inside, [{ count: "3" }])
      assert.deepStrictEqual(yield* numbers(it), [1, 2, 3])
    }))

  it.live("I1 leaves nothing behind when its body fails after a COPY", () =>
    Effect.gen(function*() {
      const it = yield* bench()
      const exit = yield* Effect.exit(it.pool.transaction(
        "test",
        insert(it, 1).pipe(
          Effect.andThen(copyInto(it, copyOf(tuple(2n, "a")))),
          Effect.andThen(Effect.fail("changed my mind"))
        )
      ))
      assert.strictEqual(failureOf(exit), "changed my mind")
      assert.deepStrictEqual(yield* numbers(it), [])
      yield* assertHealthy(it)
    }))

  it.live("I1 leaves nothing behind when its body dies", () =>
    Effect.gen(function*() {
      const it = yield* bench()
      const exit = yield* Effect.exit(it.pool.transaction("test", Effect.andThen(insert(it, 1), Effect.die("a bug"))))
      assert.isTrue(Exit.isFailure(exit))
      assert.deepStrictEqual(yield* numbers(it), [])
      yield* assertHealthy(it)
    }))

  it.live("says what it is in pg_stat_activity for as long as it lasts", () =>
    Effect.gen(function*() {
      const it = yield* bench()
      const seen = it.database.query<{ name: string }>(
        "SELECT application_name AS name FROM pg_stat_activity WHERE application_name = 'ampsync ''quoted'' test'"
      )
      const during = yield* it.pool.transaction(
        "ampsync 'quoted' test",
        Effect.andThen(it.pool.sql.unsafe("SELECT 1"), seen)
      )
      assert.lengthOf(during, 1)
      assert.lengthOf(yield* seen, 0)
    }))

  it.live("leaves one connection free, so that other statements need not wait for long transactions", () =>
    Effect.gen(function*() {
      const it = yield* bench()
      const long = it.pool.transaction("long", Effect.andThen(it.pool.sql.unsafe("SELECT 1"), Effect.never))
      const fibers = yield* Effect.forEach([1, 2, 3, 4], () => Effect.forkScoped(long))
      yield* eventually(
        "two transactions run",
        Effect.map(
          it.database.query("SELECT 1 FROM pg_stat_activity WHERE application_name = 'long'"),
          (rows) => rows.length === 2
        )
      )
      const answer = yield* it.pool.sql.unsafe<{ one: number }>("SELECT 1 AS one").pipe(Effect.timeout("5 seconds"))
      assert.deepStrictEqual(answer, [{ one: 1 }])
      yield* Effect.forEach(fibers, (fiber) => Fiber.interrupt(fiber), { concurrency: "unbounded" })
      yield* assertHealthy(it)
    }))
})

describe("a COPY", () => {
  it.live("I6 that the server rejects in the middle fails, takes its transaction with it and harms no other", () =>
    Effect.gen(function*() {
      const it = yield* bench()
      const bad = Buffer.from(tuple(2n, "a"))
      bad.writeInt16BE(7, 0)
      // Several pieces after the bad one: what is still to be sent must not go into a dead stream.
      const filler = Array.from(
        { length: 40 },
        (_, i) =>
          Buffer.concat(Array.from({ length: 2000 }, (__, k) => tuple(BigInt(1000 + i * 2000 + k), "x".repeat(30))))
      )
      const exit = yield* Effect.exit(
        it.pool.transaction("test", Effect.andThen(insert(it, 1), copyInto(it, copyOf(tuple(5n, "a"), bad, ...filler))))
      )
      const error = failureOf(exit)
      assert.isTrue(isSqlError(error))
      assert.include(error.message, "22P04")
      assert.deepStrictEqual(yield* numbers(it), [])
      yield* assertHealthy(it)
    }))

  it.live("I6 whose data end too early keeps nothing", () =>
    Effect.gen(function*() {
      const it = yield* bench()
      const half = tuple(2n, "abcdef").subarray(0, 15)
      const exit = yield* Effect.exit(it.pool.transaction("test", copyInto(it, [copyHeader, tuple(1n, "a"), half])))
      assert.isTrue(isSqlError(failureOf(exit)))
      assert.deepStrictEqual(yield* numbers(it), [])
      yield* assertHealthy(it)
    }))

  it.live("into a table that does not exist fails at once and leaves the connection usable", () =>
    Effect.gen(function*() {
      const it = yield* bench()
      const exit = yield* Effect.exit(
        it.pool.transaction("test", it.pool.copyIn("COPY nowhere FROM STDIN (FORMAT BINARY)", copyOf(tuple(1n, "a"))))
      )
      assert.include((failureOf(exit) as SqlError.SqlError).message, "42P01")
      yield* assertHealthy(it)
    }))

  it.live("I6 that is interrupted while the server waits ends soon, keeps nothing, and the pool recovers", () =>
    Effect.gen(function*() {
      const it = yield* bench()
      const locked = yield* Effect.forkScoped(
        it.pool.transaction("holder", Effect.andThen(it.pool.sql.unsafe(`LOCK TABLE ${it.table}`), Effect.never))
      )
      const waits = (name: string) =>
        Effect.map(
          it.database.query(
            "SELECT 1 FROM pg_stat_activity WHERE application_name = $1 AND xact_start IS NOT NULL AND query !~ '^BEGIN'",
            [name]
          ),
          (rows) => rows.length === 1
        )
      yield* eventually("the table is locked", waits("holder"))
      const copying = yield* Effect.forkScoped(it.pool.transaction("copier", copyInto(it, copyOf(tuple(1n, "a")))))
      yield* eventually("the COPY waits", waits("copier"))
      const began = Date.now()
      yield* Fiber.interrupt(copying)
      assert.isBelow(Date.now() - began, 3_000)
      yield* Fiber.interrupt(locked)
      yield* eventually(
        "the sessions are gone",
        Effect.map(
          it.database.query("SELECT 1 FROM pg_stat_activity WHERE application_name IN ('copier', 'holder')"),
          (rows) => rows.length === 0
        )
      )
      assert.deepStrictEqual(yield* numbers(it), [])
      yield* assertHealthy(it)
    }))

  it.live("outside a transaction is a bug of ours and is not sent", () =>
    Effect.gen(function*() {
      const it = yield* bench()
      const exit = yield* Effect.exit(copyInto(it, copyOf(tuple(1n, "a"))))
      assert.isTrue(Exit.isFailure(exit) && Cause.hasDies(exit.cause))
      assert.deepStrictEqual(yield* numbers(it), [])
    }))
})

describe("a lost connection", () => {
  const killInside = (it: Bench) =>
    Effect.gen(function*() {
      const [row] = yield* it.pool.sql.unsafe<{ pid: number }>("SELECT pg_backend_pid() AS pid")
      yield* it.database.query("SELECT pg_terminate_backend($1, 5000)", [row?.pid])
    })

  it.live("in the middle of a transaction is an error that a retry may heal, not a defect; the retry works", () =>
    Effect.gen(function*() {
      const it = yield* bench()
      let attempts = 0
      const body = Effect.gen(function*() {
        attempts += 1
        yield* insert(it, 1)
        yield* copyInto(it, copyOf(tuple(2n, "a")))
        if (attempts < 4) yield* killInside(it)
        yield* insert(it, 3)
      })
      const once = yield* Effect.exit(it.pool.transaction("test", body))
      const error = failureOf(once)
      assert.isTrue(isSqlError(error) && error.isRetryable, String(error))
      assert.deepStrictEqual(yield* numbers(it), [])
      yield* it.pool.transaction("test", body).pipe(
        Effect.retry({ times: 5, while: (error) => error.isRetryable })
      )
      assert.strictEqual(attempts, 4)
      assert.deepStrictEqual(yield* numbers(it), [1, 2, 3])
      yield* assertHealthy(it)
    }))

  it.live("in the middle of a COPY is an error that a retry may heal", () =>
    Effect.gen(function*() {
      const it = yield* bench()
      const pieces = Array.from({ length: 400 }, (_, i) =>
        Buffer.concat(Array.from({ length: 400 }, (__, k) => tuple(BigInt(i * 400 + k), "x".repeat(200)))))
      const killer = Effect.gen(function*() {
        yield* eventually(
          "the COPY runs",
          Effect.map(
            it.database.query<{ ended: boolean }>(
              `SELECT pg_terminate_backend(pid) AS ended FROM pg_stat_activity
               WHERE application_name = 'copier' AND query LIKE 'COPY%'`
            ),
            (rows) =>
              rows.length > 0
          )
        )
      })
      const [exit] = yield* Effect.all([
        Effect.exit(it.pool.transaction("copier", copyInto(it, copyOf(...pieces)))),
        killer
      ], { concurrency: "unbounded" })
      const error = failureOf(exit)
      assert.isTrue(isSqlError(error) && error.isRetryable, String(error))
      assert.deepStrictEqual(yield* numbers(it), [])
      yield* assertHealthy(it)
    }))

  it.live("while the pool is idle disturbs nothing", () =>
    Effect.gen(function*() {
      // A name of its own: other tests use the same server at the same time.
      const it = yield* bench({}, {}, ({ schema, url }) => {
        const named = new URL(url)
        named.searchParams.set("application_name", schema)
        return Effect.succeed(named.href)
      })
      yield* assertHealthy(it)
      const ended = yield* it.database.query(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = $1",
        [it.database.schema]
      )
      assert.isAbove(ended.length, 0)
      yield* assertHealthy(it).pipe(Effect.retry({ times: 3 }))
    }))

  it.live("I1 at the very moment of the COMMIT is told as an unknown outcome: the rows are there, and no defect follows", () =>
    Effect.gen(function*() {
      const proxied = yield* viaProxy()
      const { it, proxy } = proxied
      const exit = yield* Effect.exit(it.pool.transaction(
        "test",
        Effect.andThen(insert(it, 1), Effect.sync(() => proxy.cutOnReply("COMMIT")))
      ))
      const error = failureOf(exit)
      assert.isTrue(isSqlError(error) && error.isRetryable, String(error))
      yield* eventually("the row is committed", Effect.map(numbers(it), (found) => found.length === 1))
      yield* assertHealthy(it)
    }))

  const viaProxy = (options: PgPoolOptions = {}) =>
    Effect.gen(function*() {
      const { url } = yield* testDatabase
      const proxy = yield* startProxy(Number(new URL(url).port))
      return { proxy, it: yield* bench({}, options, (database) => Effect.succeed(throughProxy(database.url, proxy))) }
    })

  it.live("that swallows a COPY without a word ends after the time allowed for it", () =>
    Effect.gen(function*() {
      const { it, proxy } = yield* viaProxy({ stallMillis: 700 })
      proxy.blackholeOnRequest("swallow me")
      const began = Date.now()
      const exit = yield* Effect.exit(
        it.pool.transaction("test", Effect.andThen(insert(it, 1), copyInto(it, copyOf(tuple(2n, "swallow me")))))
      ).pipe(Effect.timeout("15 seconds"))
      assert.isBelow(Date.now() - began, 10_000)
      const error = failureOf(exit)
      assert.isTrue(isSqlError(error) && error.isRetryable, String(error))
      proxy.behave()
      assert.deepStrictEqual(yield* numbers(it), [])
      yield* assertHealthy(it)
    }))

  it.live.each(["BEGIN", "COMMIT", "ROLLBACK"])(
    "that swallows a %s without a word ends after the time allowed for it",
    (word) =>
      Effect.gen(function*() {
        const { it, proxy } = yield* viaProxy({ stallMillis: 700 })
        const arm = Effect.sync(() => proxy.blackholeOnRequest(word))
        if (word === "BEGIN") yield* arm
        const body = Effect.gen(function*() {
          yield* insert(it, 1)
          yield* arm
          if (word === "ROLLBACK") yield* Effect.fail("no")
        })
        const exit = yield* Effect.exit(it.pool.transaction("test", body)).pipe(Effect.timeout("15 seconds"))
        const error = failureOf(exit)
        if (word !== "ROLLBACK") assert.isTrue(isSqlError(error) && error.isRetryable, String(error))
        proxy.behave()
        yield* assertHealthy(it)
      })
  )
})

describe("connecting", () => {
  it.live("with sslmode prefer works against a server without TLS, and with require it says that it cannot", () =>
    Effect.gen(function*() {
      const prefer = yield* bench({}, {}, ({ url }) => Effect.succeed(`${url}?sslmode=prefer`))
      yield* assertHealthy(prefer)
      const exit = yield* Effect.exit(bench({}, {}, ({ url }) => Effect.succeed(`${url}?sslmode=require`))).pipe(
        Effect.timeout("10 seconds")
      )
      assert.include(String(failureOf(exit)), "does not support SSL")
    }))

  it.live("with a wrong password fails at once and does not say the password", () =>
    Effect.gen(function*() {
      const exit = yield* Effect.exit(bench({}, {}, ({ url }) => {
        const wrong = new URL(url)
        wrong.password = "s3cret-and-wrong"
        return Effect.succeed(wrong.href)
      })).pipe(Effect.timeout("10 seconds"))
      const error = failureOf(exit) as SqlError.SqlError
      assert.isFalse(error.isRetryable)
      assert.notInclude(JSON.stringify(error) + String(error) + error.message, "s3cret")
    }))

  it.live("without a password that the server asks for fails at once and names DATABASE_PASSWORD", () =>
    Effect.gen(function*() {
      const exit = yield* Effect.exit(bench({}, {}, ({ url }) => {
        const without = new URL(url)
        without.password = ""
        return Effect.succeed(without.href)
      })).pipe(Effect.timeout("10 seconds"))
      const error = failureOf(exit) as SqlError.SqlError
      assert.isFalse(error.isRetryable)
      assert.strictEqual(
        error.message,
        "PostgreSQL: the server asks for a password and none is set; set DATABASE_PASSWORD"
      )
    }))

  it.live("waits for a server that is down and goes on when it comes up", () =>
    Effect.gen(function*() {
      const database = yield* testDatabase
      const target = Number(new URL(database.url).port)
      const reserved = yield* Effect.scoped(startProxy(target))
      const settings = testSettings(database, { DATABASE_URL: throughProxy(database.url, reserved) })
      const building = yield* Effect.forkScoped(Effect.scoped(Layer.build(layerWith({}).pipe(Layer.provide(settings)))))
      yield* Effect.sleep(600)
      assert.isUndefined(building.pollUnsafe(), "it waits")
      yield* startProxy(target, reserved.port)
      yield* Fiber.join(building).pipe(Effect.timeout("20 seconds"))
    }))
})

describe("I7 an error of the database carries no row value", () => {
  const secret = "s3cret-v4lue"
  const cases: ReadonlyArray<readonly [title: string, code: string, sql: string]> = [
    ["that cannot be read", "22P02", `SELECT '${secret}'::bigint`],
    ["out of range", "22003", `SELECT 98765432109876543210::bigint`],
    ["of a duplicate key", "23505", `INSERT INTO t VALUES (1, '${secret}'), (1, '${secret}')`],
    ["that a check rejects", "23514", `INSERT INTO checked VALUES ('${secret}')`],
    ["that a trigger quotes", "P0001", `DO $$ BEGIN RAISE EXCEPTION 'bad ${secret}'; END $$`],
    [
      "that a trigger quotes under a code of its own",
      "ZZ001",
      `DO $$ BEGIN RAISE EXCEPTION 'bad ${secret}' USING ERRCODE = 'ZZ001'; END $$`
    ]
  ]
  it.live.each(cases)("%s (%s)", ([, code, sql]) =>
    Effect.gen(function*() {
      const it = yield* bench()
      yield* it.database.query("CREATE TABLE checked (s text CHECK (s = 'x'))")
      const exit = yield* Effect.exit(it.pool.transaction(
        "test",
        Effect.andThen(it.pool.sql.unsafe(`SET LOCAL search_path TO ${it.database.schema}`), it.pool.sql.unsafe(sql))
      ))
      const error = failureOf(exit) as SqlError.SqlError
      const everything = [error.message, String(error), JSON.stringify(error), Cause.pretty(Cause.fail(error))].join(
        "\n"
      )
      assert.include(everything, code)
      assert.notInclude(everything, secret)
      assert.notInclude(everything, "98765432109876543210")
    }))

  const triggers: ReadonlyArray<readonly [title: string, body: string, told: string]> = [
    [
      "that raises is told with the name of its function",
      `RAISE EXCEPTION 'bad ${secret}'`,
      "SQLSTATE P0001; by function "
    ],
    [
      "whose statement fails is told without it, because a statement may hold values",
      "PERFORM 1 / 0",
      "SQLSTATE 22012)"
    ],
    ["that fails in its own assignment is told with it too", "NEW.n := NEW.s::bigint", "SQLSTATE 22P02; by function "],
    [
      "whose statement holds a value that looks like a frame is told without it",
      "EXECUTE format('SELECT 1/0 AS %I', E'x\\nPL/pgSQL function ' || NEW.s || '() line 1 at RAISE')",
      "SQLSTATE 22012)"
    ]
  ]
  it.live.each(triggers)("a trigger %s", ([, body, told]) =>
    Effect.gen(function*() {
      const it = yield* bench()
      const { query, schema } = it.database
      yield* query(
        `CREATE FUNCTION "Forbid it" () RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN ${body}; RETURN NEW; END $$`
      )
      yield* query(`CREATE TRIGGER forbidding BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION "Forbid it" ()`)
      const exits = [
        yield* Effect.exit(it.pool.transaction("test", Effect.asVoid(insert(it, 1, secret)))),
        yield* Effect.exit(it.pool.transaction("test", copyInto(it, copyOf(tuple(1n, secret)))))
      ]
      for (const exit of exits) {
        const error = failureOf(exit) as SqlError.SqlError
        assert.include(error.message, told)
        if (told.endsWith("function ")) assert.include(error.message, `by function ${schema}."Forbid it"()`)
        assert.notInclude(error.message + JSON.stringify(error) + Cause.pretty(Cause.fail(error)), secret)
      }
    }))
})
