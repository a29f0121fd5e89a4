import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Layer } from "effect"
import type { SqlError } from "effect/sql"
import { layerWith } from "../../src/layers/PgPool.ts"
import { endSessions } from "../support/endSessions.ts"
import { eventually } from "../support/eventually.ts"
import {
  assertHealthy,
  type Bench,
  bench,
  benchBehindProxy,
  copyInto,
  failureOf,
  insert,
  isSqlError,
  numbers,
  opening,
  sendAll,
  sendEnd,
  tuple
} from "../support/poolBench.ts"
import { testDatabase } from "../support/postgres.ts"
import { startProxy, throughProxy } from "../support/proxy.ts"
import { testSettings } from "../support/testSettings.ts"

describe("a transaction of the pool", () => {
  it.live("I1 keeps statements and COPY together: both are there after it, and during it only for itself", () =>
    Effect.gen(function*() {
      const it = yield* bench()
      const pipeline = yield* it.pool.pipeline
      pipeline.send(opening(it, { before: `INSERT INTO ${it.table} VALUES (1); ` }), { endsInCopy: true })
      yield* sendAll(pipeline, [tuple(2n, "a"), tuple(3n, "b")])
      assert.deepStrictEqual(yield* numbers(it), [])
      assert.deepStrictEqual(yield* sendEnd(pipeline, `SELECT count(*) FROM ${it.table}; `), [["3"]])
      assert.deepStrictEqual(yield* numbers(it), [1, 2, 3])
    }))

  it.live("I1 leaves nothing behind when its body fails", () =>
    Effect.gen(function*() {
      const it = yield* bench()
      const body = Effect.andThen(insert(it, 1), Effect.fail("changed my mind"))
      assert.strictEqual(failureOf(yield* Effect.exit(it.pool.transaction("test", body))), "changed my mind")
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

  it.live("is named in pg_stat_activity while it runs", () =>
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

describe("a lost connection", () => {
  const killInside = (it: Bench) =>
    Effect.gen(function*() {
      const [row] = yield* it.pool.sql.unsafe<{ pid: number }>("SELECT pg_backend_pid() AS pid")
      yield* endSessions(it.database, "pid = $1", [row?.pid])
    })

  it.live("in the middle of a transaction is a retryable error, not a defect; the retry works", () =>
    Effect.gen(function*() {
      const it = yield* bench()
      let attempts = 0
      const body = Effect.gen(function*() {
        attempts += 1
        yield* insert(it, 1)
        yield* insert(it, 2)
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

  it.live("while the pool is idle has no effect", () =>
    Effect.gen(function*() {
      const it = yield* bench()
      yield* assertHealthy(it)
      assert.isAbove(yield* endSessions(it.database, "application_name = $1", [it.database.schema]), 0)
      yield* assertHealthy(it).pipe(Effect.retry({ times: 3 }))
    }))

  it.live("I1 at the moment of the COMMIT is reported as an unknown outcome: the rows are there, and no defect follows", () =>
    Effect.gen(function*() {
      const { it, proxy } = yield* benchBehindProxy()
      const exit = yield* Effect.exit(it.pool.transaction(
        "test",
        Effect.andThen(insert(it, 1), Effect.sync(() => proxy.cutOnReply("COMMIT")))
      ))
      const error = failureOf(exit)
      assert.isTrue(isSqlError(error) && error.isRetryable, String(error))
      yield* eventually("the row is committed", Effect.map(numbers(it), (found) => found.length === 1))
      yield* assertHealthy(it)
    }))

  it.live.each(["BEGIN", "COMMIT", "ROLLBACK"])(
    "that does not answer a %s fails after its time limit",
    (word) =>
      Effect.gen(function*() {
        const { it, proxy } = yield* benchBehindProxy({ stallMillis: 700 })
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
        proxy.restore()
        yield* assertHealthy(it)
      })
  )
})

describe("connecting", () => {
  it.live("with sslmode prefer works against a server without TLS, and with require it fails with the reason", () =>
    Effect.gen(function*() {
      const prefer = yield* bench({}, {}, ({ url }) => Effect.succeed(`${url}?sslmode=prefer`))
      yield* assertHealthy(prefer)
      const exit = yield* Effect.exit(bench({}, {}, ({ url }) => Effect.succeed(`${url}?sslmode=require`))).pipe(
        Effect.timeout("10 seconds")
      )
      assert.include(String(failureOf(exit)), "does not support SSL")
    }))

  it.live("with a wrong password fails at once, and the error does not contain it", () =>
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

  it.live("without a password that the server requires fails at once and names DATABASE_PASSWORD", () =>
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

describe("a pooler in front of PostgreSQL", () => {
  it.live("is detected by its own process ids, so that its transactions are not overlapped", () =>
    Effect.gen(function*() {
      const { url } = yield* testDatabase
      const proxy = yield* startProxy(Number(new URL(url).port))
      const through = () =>
        bench({}, {}, ({ url }) => Effect.succeed(throughProxy(url, proxy))).pipe(
          Effect.flatMap(({ pool }) => Effect.scoped(pool.pipeline)),
          Effect.map(({ isDirect }) => isDirect)
        )
      assert.isTrue(yield* through(), "a proxy that forwards PostgreSQL's messages is none")
      proxy.renumberBackends()
      assert.isFalse(yield* through())
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
      "that a trigger raises under a code of its own",
      "ZZ001",
      `DO $$ BEGIN RAISE EXCEPTION 'bad ${secret}' USING ERRCODE = 'ZZ001'; END $$`
    ],
    [
      "that a trigger raises under a code of the server's",
      "42501",
      `DO $$ BEGIN RAISE EXCEPTION 'bad ${secret}' USING ERRCODE = '42501'; END $$`
    ],
    ["that names a column in a dynamic statement", "42703", `DO $$ BEGIN EXECUTE 'SELECT "${secret}"'; END $$`],
    ["that breaks a dynamic statement", "42601", `DO $$ BEGIN EXECUTE 'SELECT 1 1 "${secret}"'; END $$`]
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

  const codes = (
    "21000 22001 22003 22004 22007 22008 22012 22015 22021 22023 22026 22030 22032 22P02 22P03 22P04 22P05 2201B 2200H " +
    "23001 23502 23503 23505 23514 23P01 44000 P0001"
  ).split(" ")
  it.live("has a text for every code that rows usually cause", () =>
    Effect.gen(function*() {
      const it = yield* bench()
      for (const code of codes) {
        const raise = `DO $$ BEGIN RAISE EXCEPTION '${secret}' USING ERRCODE = '${code}'; END $$`
        const error = failureOf(yield* Effect.exit(it.pool.sql.unsafe(raise))) as SqlError.SqlError
        assert.match(error.message, new RegExp(`^PostgreSQL: .{10,} \\(SQLSTATE ${code}\\)$`))
        assert.notInclude(error.message, "the data was rejected")
      }
    }))

  it.live("names the column of the row that cannot be read", () =>
    Effect.gen(function*() {
      const it = yield* bench()
      const broken = tuple(1n, secret)
      broken[broken.length - 1] = 0xff
      const error = failureOf(yield* Effect.exit(copyInto(it, [broken]))) as SqlError.SqlError
      assert.strictEqual(
        error.message,
        "PostgreSQL: text is not valid in the database's encoding (SQLSTATE 22021; column s)"
      )
    }))

  const triggers: ReadonlyArray<readonly [title: string, body: string, reported: string]> = [
    [
      "that raises is reported with the name of its function",
      `RAISE EXCEPTION 'bad ${secret}'`,
      "SQLSTATE P0001; by function "
    ],
    [
      "whose statement fails is reported without it, because a statement may hold values",
      "PERFORM 1 / 0",
      "SQLSTATE 22012)"
    ],
    [
      "that fails in its own assignment is reported with it too",
      "NEW.n := NEW.s::bigint",
      "SQLSTATE 22P02; by function "
    ],
    [
      "whose statement contains a value that looks like a frame is reported without it",
      "EXECUTE format('SELECT 1/0 AS %I', E'x\\nPL/pgSQL function ' || NEW.s || '() line 1 at RAISE')",
      "SQLSTATE 22012)"
    ]
  ]
  it.live.each(triggers)("a trigger %s", ([, body, reported]) =>
    Effect.gen(function*() {
      const it = yield* bench()
      const { query, schema } = it.database
      yield* query(
        `CREATE FUNCTION "Forbid it" () RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN ${body}; RETURN NEW; END $$`
      )
      yield* query(`CREATE TRIGGER forbidding BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION "Forbid it" ()`)
      const exits = [
        yield* Effect.exit(it.pool.transaction("test", Effect.asVoid(insert(it, 1, secret)))),
        yield* Effect.exit(copyInto(it, [tuple(1n, secret)]))
      ]
      for (const exit of exits) {
        const error = failureOf(exit) as SqlError.SqlError
        assert.include(error.message, reported)
        if (reported.endsWith("function ")) assert.include(error.message, `by function ${schema}."Forbid it"()`)
        assert.notInclude(error.message + JSON.stringify(error) + Cause.pretty(Cause.fail(error)), secret)
      }
    }))
})
