import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber } from "effect"
import type { SqlError } from "effect/sql"
import type { PgPipeline } from "../../../src/services/PgPool.ts"
import { endSessions } from "../../support/endSessions.ts"
import { eventually } from "../../support/eventually.ts"
import { holdLock } from "../../support/holdLock.ts"
import {
  activityOf,
  assertRecovered,
  type Bench,
  bench,
  benchBehindProxy,
  copyInto,
  failureOf,
  finish,
  insert,
  inTransaction,
  isSqlError,
  numbers,
  opening,
  sendAll,
  sendEnd,
  tuple
} from "../../support/poolBench.ts"

/** Pieces of 200 kB each, from number `from` on. */
const filler = (pieces: number, from = 1_000_000): ReadonlyArray<Buffer> =>
  Array.from({ length: pieces }, (_, piece) =>
    Buffer.concat(
      Array.from({ length: 1000 }, (__, row) => tuple(BigInt(from + piece * 1000 + row), "x".repeat(182)))
    ))

/** 60 MB: more than the sockets and the limit of a connection can buffer. */
const much = filler(300)

const sqlErrorOf = <A, E>(exit: Exit.Exit<A, E>): SqlError.SqlError => {
  const error = failureOf(exit)
  return isSqlError(error) ? error : assert.fail(String(error))
}

/** Runs `use` on a pipeline that is lent for it. */
const lent = <A, E>({ pool }: Bench, use: (pipeline: PgPipeline) => Effect.Effect<A, E>) =>
  Effect.scoped(Effect.flatMap(pool.pipeline, use))

/** Opens a COPY and waits until the server requests its data. */
const open = (it: Bench, pipeline: PgPipeline, options?: Parameters<typeof opening>[1]) =>
  Effect.suspend(() => pipeline.send(opening(it, options), { endsInCopy: true }).copying)

const terminate = (it: Bench) =>
  Effect.map(
    endSessions(it.database, "application_name = $1", [activityOf(it)]),
    (ended) => assert.strictEqual(ended, 1)
  )

const trigger = (it: Bench, when: string, body: string) =>
  it.database.query(
    `CREATE FUNCTION act() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN ${body}; RETURN NEW; END $$;
     CREATE ${when} EXECUTE FUNCTION act()`
  )

/** Delays every COMMIT from now on. */
const holdUpCommit = (it: Bench, seconds: number) =>
  trigger(
    it,
    "CONSTRAINT TRIGGER held AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.n = 1)",
    `PERFORM pg_sleep(${seconds})`
  )

/** From now on a COPY pauses for so long after row 1. */
const holdUpCopy = (it: Bench, seconds: number) =>
  trigger(it, "TRIGGER held BEFORE INSERT ON t FOR EACH ROW WHEN (NEW.n = 1)", `PERFORM pg_sleep(${seconds})`)

const sleeping = (it: Bench) => Effect.map(inTransaction(it), (rows) => rows.some(({ wait }) => wait === "PgSleep"))

describe("a COPY that is refused", () => {
  const refusals: ReadonlyArray<readonly [title: string, code: string, spoil: string, before: string]> = [
    ["into a table that was dropped", "42P01", "DROP TABLE t", ""],
    ["into a column that is missing", "42703", "ALTER TABLE t DROP COLUMN s", ""],
    ["without the right to insert", "42501", "GRANT USAGE ON SCHEMA SCHEMA TO ROLE", "SET LOCAL ROLE ROLE; "]
  ]
  it.live.each(refusals)(
    "I6 %s reports that, writes nothing, and the pool recovers",
    ([, code, spoil, before]) =>
      Effect.gen(function*() {
        const it = yield* bench()
        const { query, schema } = it.database
        const role = `role_${schema}`
        yield* Effect.acquireRelease(
          query(`CREATE ROLE ${role}`),
          () => Effect.andThen(query(`DROP OWNED BY ${role} CASCADE`), query(`DROP ROLE ${role}`))
        )
        const filled = (text: string) => text.replaceAll("SCHEMA SCHEMA", `SCHEMA ${schema}`).replaceAll(/ROLE$/g, role)
        yield* query(filled(spoil))
        const options = { before: before.replace("ROLE ROLE", `ROLE ${role}`) }
        for (const pieces of [[tuple(1n, "a")], much]) {
          const error = sqlErrorOf(yield* Effect.exit(copyInto(it, pieces, options)))
          assert.include(error.message, code)
          assert.isFalse(error.isRetryable)
        }
        if (code === "42501") assert.deepStrictEqual(yield* numbers(it), [])
        yield* assertRecovered(it)
      })
  )
})

describe("a COPY that fails in the middle", () => {
  const malformed = Buffer.from(tuple(2n, "a"))
  malformed.writeInt16BE(7, 0)
  const failures: ReadonlyArray<readonly [title: string, code: string, bad: Buffer]> = [
    ["a malformed tuple", "22P04", malformed],
    ["a key that is there already", "23505", tuple(1n, "a")],
    ["a trigger that raises", "P0001", tuple(13n, "a")],
    ["a trigger that divides by zero", "22012", tuple(14n, "a")]
  ]
  it.live.each(failures)(
    "I6 %s (%s) takes its transaction with it while megabytes are on their way",
    ([, code, bad]) =>
      Effect.gen(function*() {
        const it = yield* bench()
        yield* insert(it, 1)
        yield* trigger(
          it,
          "TRIGGER raising BEFORE INSERT ON t FOR EACH ROW WHEN (NEW.n IN (13, 14))",
          "IF NEW.n = 14 THEN PERFORM 1 / 0; END IF; RAISE EXCEPTION 'no'"
        )
        const pieces = [...filler(10), bad, ...filler(50, 2_000_000)]
        const exit = yield* Effect.exit(copyInto(it, pieces, { before: `INSERT INTO ${it.table} VALUES (2); ` }))
        assert.include(sqlErrorOf(exit).message, code)
        assert.deepStrictEqual(yield* numbers(it), [1])
        yield* assertRecovered(it)
      })
  )

  it.live("I6 data that ends too early leaves nothing", () =>
    Effect.gen(function*() {
      const it = yield* bench()
      const half = tuple(2n, "abcdef").subarray(0, 15)
      assert.include(sqlErrorOf(yield* Effect.exit(copyInto(it, [tuple(1n, "a"), half]))).message, "22P04")
      assert.deepStrictEqual(yield* numbers(it), [])
      yield* assertRecovered(it)
    }))

  it.live("releases every buffer, also those that were never sent", () =>
    Effect.gen(function*() {
      const it = yield* bench()
      const pieces = [malformed, ...filler(100)]
      let written = 0
      const exit = yield* Effect.exit(lent(it, (pipeline) => {
        pipeline.send(opening(it), { endsInCopy: true })
        for (const piece of pieces) pipeline.copyData(piece, () => void (written += 1))
        return Effect.andThen(sendEnd(pipeline), Effect.sync(() => pipeline.copyData(malformed, () => written += 1)))
      }))
      assert.include(sqlErrorOf(exit).message, "22P04")
      yield* eventually("all are back", Effect.sync(() => written === pieces.length), 5_000)
    }))
})

describe("a connection that ends", () => {
  const assertLost = (it: Bench, exit: Exit.Exit<unknown, unknown>) =>
    Effect.gen(function*() {
      assert.isTrue(sqlErrorOf(exit).isRetryable, String(sqlErrorOf(exit)))
      assert.deepStrictEqual(yield* numbers(it), [])
      yield* assertRecovered(it)
    })

  it.live("I6 after the COPY was opened is a retryable error, and leaves nothing", () =>
    Effect.gen(function*() {
      const it = yield* bench()
      const exit = yield* Effect.exit(lent(it, (pipeline) =>
        Effect.gen(function*() {
          yield* open(it, pipeline)
          yield* terminate(it)
          yield* sendAll(pipeline, [tuple(1n, "a")])
          return yield* sendEnd(pipeline)
        })))
      yield* assertLost(it, exit)
    }))

  it.live("I6 in the middle of data is a retryable error, and leaves nothing", () =>
    Effect.gen(function*() {
      const it = yield* bench()
      yield* holdUpCopy(it, 20)
      const exit = yield* Effect.exit(lent(it, (pipeline) =>
        Effect.gen(function*() {
          yield* open(it, pipeline)
          const sending = yield* Effect.forkChild(sendAll(pipeline, [tuple(1n, "a"), ...much]))
          yield* eventually("the server takes no data", sleeping(it))
          yield* terminate(it)
          return yield* Fiber.join(sending)
        })))
      yield* assertLost(it, exit)
    }))

  it.live("I6 after the COMMIT was sent and before its response is a retryable error, and leaves nothing", () =>
    Effect.gen(function*() {
      const it = yield* bench()
      yield* holdUpCommit(it, 20)
      const copying = yield* Effect.forkScoped(Effect.exit(copyInto(it, [tuple(1n, "a")])))
      yield* eventually("the COMMIT hangs", sleeping(it))
      yield* terminate(it)
      yield* assertLost(it, yield* Fiber.join(copying))
    }))

  it.live("I6 between two transactions fails the next one, and the first one stays", () =>
    Effect.gen(function*() {
      const it = yield* bench()
      const exit = yield* Effect.exit(
        lent(it, (pipeline) =>
          Effect.gen(function*() {
            yield* open(it, pipeline)
            yield* sendAll(pipeline, [tuple(1n, "a")])
            const [[pid]] = (yield* sendEnd(pipeline, "SELECT pg_backend_pid(); ")) as [[string]]
            yield* endSessions(it.database, "pid = $1", [pid])
            yield* open(it, pipeline)
            yield* sendAll(pipeline, [tuple(2n, "a")])
            return yield* sendEnd(pipeline)
          })).pipe(Effect.timeout("10 seconds"))
      )
      assert.isTrue(sqlErrorOf(exit).isRetryable)
      assert.deepStrictEqual(yield* numbers(it), [1])
      yield* assertRecovered(it)
    }))

  it.live("I1 when the COMMIT was executed and its response is lost leaves the rows there once, and resends nothing", () =>
    Effect.gen(function*() {
      const { it, proxy } = yield* benchBehindProxy()
      proxy.cutOnReply("COMMIT")
      const error = sqlErrorOf(yield* Effect.exit(copyInto(it, [tuple(1n, "a"), tuple(2n, "b")])))
      assert.isTrue(error.isRetryable)
      assert.strictEqual(proxy.cuts(), 1)
      const sent = proxy.passed()
      yield* eventually("the rows are committed", Effect.map(numbers(it), ({ length }) => length === 2))
      assert.strictEqual(proxy.passed(), sent)
      yield* assertRecovered(it)
    }))

  const silences: ReadonlyArray<readonly [title: string, text: string]> = [
    ["the opening", "FROM STDIN"],
    ["the data", "swallow me"],
    ["the end", "COMMIT"]
  ]
  it.live.each(silences)(
    "that does not answer %s is closed after its time limit",
    ([, text]) =>
      Effect.gen(function*() {
        const { it, proxy } = yield* benchBehindProxy({ stallMillis: 700 })
        yield* insert(it, 1)
        proxy.blackholeOnRequest(text)
        const exit = yield* Effect.exit(Effect.timeout(copyInto(it, [tuple(2n, "swallow me")]), "45 seconds"))
        assert.isTrue(sqlErrorOf(exit).isRetryable, String(exit))
        proxy.restore()
        assert.deepStrictEqual(yield* numbers(it), [1])
        yield* assertRecovered(it)
      })
  )

  it.live("that accepts no more data is closed after its time limit", () =>
    Effect.gen(function*() {
      const { it, proxy } = yield* benchBehindProxy({ stallMillis: 700 })
      yield* holdUpCopy(it, 60)
      const exit = yield* Effect.exit(Effect.timeout(copyInto(it, [tuple(1n, "a"), ...much]), "45 seconds"))
      assert.isTrue(sqlErrorOf(exit).isRetryable)
      assert.isAbove(proxy.passed(), 0)
      yield* it.database.query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1",
        [activityOf(it)]
      )
      yield* assertRecovered(it)
    }))

  it.live("is not closed while it makes progress, nor during a long statement before the COPY", () =>
    Effect.gen(function*() {
      const it = yield* bench({}, { stallMillis: 700 })
      yield* trigger(
        it,
        "TRIGGER slow BEFORE INSERT ON t FOR EACH ROW WHEN (NEW.n % 10000 = 0)",
        "PERFORM pg_sleep(0.1)"
      )
      yield* lent(it, (pipeline) =>
        Effect.gen(function*() {
          yield* open(it, pipeline, { before: "SELECT pg_sleep(1.5); " })
          yield* sendAll(pipeline, much)
          return yield* sendEnd(pipeline)
        }))
      assert.lengthOf(yield* numbers(it), 300_000)
    }))
})

/** A whole transaction of two rows. */
const sendTwoRows = (it: Bench) => (pipeline: PgPipeline) => {
  pipeline.send(opening(it), { endsInCopy: true })
  return Effect.andThen(sendAll(pipeline, [tuple(1n, "a"), tuple(2n, "b")]), sendEnd(pipeline))
}

describe("a pipeline whose fiber is interrupted", () => {
  it.live("I6 before it sent anything returns its connection", () =>
    Effect.gen(function*() {
      const it = yield* bench({ MAX_DB_CONNECTIONS: "2" })
      const pidOf = lent(
        it,
        (pipeline) => Effect.map(pipeline.send("SELECT pg_backend_pid()").done, ({ rows: [row] }) => row?.[0])
      )
      const pid = yield* pidOf
      const held = yield* Effect.forkScoped(lent(it, () => Effect.never))
      yield* Effect.sleep("100 millis")
      const waiting = yield* Effect.forkScoped(lent(it, () => Effect.void))
      yield* Effect.sleep("100 millis")
      assert.isUndefined(waiting.pollUnsafe(), "only one pipeline is lent at a time")
      yield* Effect.forEach([waiting, held], (fiber) => Fiber.interrupt(fiber))
      assert.strictEqual(yield* pidOf, pid)
      yield* assertRecovered(it)
    }))

  /** Milliseconds. What it must not wait for lasts longer, so that any machine is fast enough. */
  const AT_ONCE = 20_000

  /** Interrupts a transaction once `reached` is true; returns how long the interruption took. */
  const interruptedWhen = (
    it: Bench,
    reached: Effect.Effect<boolean>,
    use: (pipeline: PgPipeline) => Effect.Effect<unknown, unknown>
  ) =>
    Effect.gen(function*() {
      const fiber = yield* Effect.forkScoped(lent(it, use))
      yield* eventually("it is there", reached, 10_000)
      const began = Date.now()
      yield* Fiber.interrupt(fiber)
      return Date.now() - began
    })

  const isCopying = (it: Bench) =>
    Effect.map(
      it.database.query("SELECT FROM pg_stat_activity WHERE application_name = $1 AND wait_event = 'ClientRead'", [
        activityOf(it)
      ]),
      (rows) => rows.length === 1
    )

  it.live("I6 after the COPY was opened leaves nothing and ends at once", () =>
    Effect.gen(function*() {
      const it = yield* bench()
      const elapsed = yield* interruptedWhen(it, isCopying(it), (pipeline) =>
        Effect.gen(function*() {
          yield* open(it, pipeline)
          yield* sendAll(pipeline, [tuple(1n, "a")])
          return yield* Effect.never
        }))
      assert.isBelow(elapsed, AT_ONCE)
      assert.deepStrictEqual(yield* numbers(it), [])
      yield* assertRecovered(it)
    }))

  it.live("I6 I8 in the middle of data that the server does not accept leaves nothing, and buffers little", () =>
    Effect.gen(function*() {
      const it = yield* bench()
      yield* holdUpCopy(it, 60)
      let [sent, written] = [0, 0]
      const elapsed = yield* interruptedWhen(
        it,
        Effect.delay(sleeping(it), "500 millis"),
        (pipeline) =>
          Effect.gen(function*() {
            yield* open(it, pipeline)
            yield* sendAll(pipeline, [tuple(1n, "a")])
            for (const piece of much) {
              sent += piece.length
              pipeline.copyData(piece, () => void (written += piece.length))
              yield* pipeline.drained
            }
          })
      )
      assert.isBelow(sent, 30_000_000, "it was held back")
      assert.isBelow(sent - written, 3_000_000)
      assert.isBelow(elapsed, AT_ONCE)
      yield* terminate(it)
      yield* assertRecovered(it)
      assert.deepStrictEqual(yield* numbers(it), [])
      assert.strictEqual(sent, written, "every buffer came back")
    }))

  it.live("I6 while the table is locked leaves nothing and ends at once", () =>
    Effect.gen(function*() {
      const it = yield* bench()
      const lock = yield* holdLock(it.database, "LOCK TABLE t")
      const waits = Effect.map(inTransaction(it), (rows) => rows.some(({ wait }) => wait === "relation"))
      const elapsed = yield* interruptedWhen(it, waits, (pipeline) => open(it, pipeline))
      assert.isBelow(elapsed, AT_ONCE)
      yield* lock.release
      yield* assertRecovered(it)
      assert.deepStrictEqual(yield* numbers(it), [])
    }))

  it.live("I6 after the COMMIT was sent waits two seconds for it", () =>
    Effect.gen(function*() {
      const it = yield* bench()
      yield* holdUpCommit(it, 0.5)
      yield* interruptedWhen(it, sleeping(it), sendTwoRows(it))
      assert.deepStrictEqual(yield* numbers(it), [1, 2])
      yield* assertRecovered(it)
    }))

  it.live("I6 during a longer COMMIT does not wait for it, and all or nothing of it is kept", () =>
    Effect.gen(function*() {
      const it = yield* bench()
      yield* holdUpCommit(it, 60)
      const elapsed = yield* interruptedWhen(it, sleeping(it), sendTwoRows(it))
      assert.isAtLeast(elapsed, 1_900)
      assert.isBelow(elapsed, AT_ONCE)
      yield* terminate(it)
      yield* assertRecovered(it)
      assert.include(["", "1,2"], (yield* numbers(it)).join())
    }))

  it.live("I6 with a COPY open behind an unanswered COMMIT keeps the committed transaction, and no more", () =>
    Effect.gen(function*() {
      const it = yield* bench()
      yield* holdUpCommit(it, 0.5)
      yield* interruptedWhen(it, sleeping(it), (pipeline) =>
        Effect.gen(function*() {
          pipeline.send(opening(it), { endsInCopy: true })
          yield* sendAll(pipeline, [tuple(1n, "a")])
          const first = finish(pipeline)
          pipeline.send(opening(it), { endsInCopy: true })
          yield* sendAll(pipeline, [tuple(2n, "b")])
          return yield* first
        }))
      yield* assertRecovered(it)
      assert.deepStrictEqual(yield* numbers(it), [1])
    }))
})

describe("texts that are sent behind one another", () => {
  it.live("are answered in order, on one connection that can be used again", () =>
    Effect.gen(function*() {
      const it = yield* bench()
      const transaction = (pipeline: PgPipeline, n: bigint) => {
        pipeline.send(opening(it), { endsInCopy: true })
        return Effect.map(sendAll(pipeline, [tuple(n, "a")]), () => finish(pipeline, `SELECT ${n}; `))
      }
      const rows = yield* lent(it, (pipeline) =>
        Effect.gen(function*() {
          const ends = [
            yield* transaction(pipeline, 1n),
            yield* transaction(pipeline, 2n),
            yield* transaction(pipeline, 3n)
          ]
          return yield* Effect.all(ends)
        }))
      assert.deepStrictEqual(rows, [[["1"]], [["2"]], [["3"]]])
      assert.deepStrictEqual(yield* numbers(it), [1, 2, 3])
      yield* assertRecovered(it)
    }))

  it.live("I1 fail with the first cause, and earlier responses are valid", () =>
    Effect.gen(function*() {
      const it = yield* bench()
      const exits = yield* lent(it, (pipeline) =>
        Effect.gen(function*() {
          const first = pipeline.send(`BEGIN; INSERT INTO ${it.table} VALUES (1); COMMIT`)
          const second = pipeline.send(`BEGIN; INSERT INTO ${it.table} VALUES (2); SELECT 1 / 0`, {
            guards: { first: 0, last: 2 }
          })
          const third = pipeline.send(opening(it), { endsInCopy: true })
          yield* Effect.ignore(sendAll(pipeline, [tuple(3n, "a")]))
          const end = finish(pipeline)
          const answers: ReadonlyArray<Effect.Effect<unknown, SqlError.SqlError>> = [
            first.done,
            second.done,
            third.copying,
            third.done,
            end
          ]
          const exits = yield* Effect.forEach(answers, Effect.exit)
          assert.strictEqual(pipeline.failedGuard(sqlErrorOf(exits[1]!)), "last")
          return exits
        }))
      assert.isTrue(Exit.isSuccess(exits[0]!))
      for (const exit of exits.slice(1)) assert.include(sqlErrorOf(exit).message, "22012")
      assert.deepStrictEqual(yield* numbers(it), [1])
      yield* assertRecovered(it)
    }))
})
