/** What made a transaction fail is what is reported, whatever fails after it: its next statement, its ROLLBACK, its connection. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit } from "effect"
import { portOf } from "../../support/door.ts"
import {
  assertRecovered,
  type Bench,
  bench,
  failureOf,
  finish,
  insert,
  isSqlError,
  named,
  numbers,
  opening,
  sendAll,
  tuple
} from "../../support/poolBench.ts"
import { type Proxy, startProxy, throughProxy } from "../../support/proxy.ts"

const raise = (code: string) => `RAISE 'no' USING ERRCODE = '${code}'`

/** Ways in which a row fails, by the SQLSTATE. */
const causes: ReadonlyArray<readonly [code: string, what: string, body: string]> = [
  ["P0001", "an exception of a trigger", "RAISE 'no'"],
  ["23514", "a check constraint", raise("23514")],
  ["22003", "a value out of range", raise("22003")],
  ["53100", "a full disk", raise("53100")],
  ["53200", "no memory", raise("53200")],
  ["40001", "a serialization failure", raise("40001")],
  ["40P01", "a deadlock", raise("40P01")],
  ["55P03", "a lock timeout", raise("55P03")],
  ["57014", "a statement that is canceled", "PERFORM pg_cancel_backend(pg_backend_pid()); PERFORM pg_sleep(10)"],
  ["57P01", "a session that is terminated", "PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(10)"]
]

const triggers = {
  "in the middle of its rows": "TRIGGER act BEFORE INSERT ON t FOR EACH ROW WHEN (NEW.n = 5)",
  "at its COMMIT":
    "CONSTRAINT TRIGGER act AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.n = 5)"
}

const failing = Effect.fnUntraced(function*(when: string, body: string) {
  let proxy: Proxy | undefined
  const it = yield* bench({}, {}, (database) =>
    Effect.map(startProxy(portOf(database.url)), (started) => {
      proxy = started
      return throughProxy(named(database), started)
    }))
  yield* it.database.query(
    `CREATE FUNCTION act() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN ${body}; RETURN NEW; END $$;
     CREATE ${when} EXECUTE FUNCTION act()`
  )
  return { it, proxy: proxy! }
})

const assertCause = (exit: Exit.Exit<unknown, unknown>, code: string) => {
  const error = failureOf(exit)
  if (!isSqlError(error)) return assert.fail(String(error))
  assert.include(error.message, `SQLSTATE ${code}`)
}

/** Two chunks behind one another: each answer of the first that is missing, and all of the second. */
const sendTwo = ({ it }: { readonly it: Bench }) =>
  Effect.gen(function*() {
    const pipeline = yield* it.pool.pipeline
    pipeline.send(opening(it), { endsInCopy: true })
    yield* Effect.ignore(sendAll(pipeline, [1n, 2n, 3n, 4n, 5n, 6n].map((n) => tuple(n, "a"))))
    const first = finish(pipeline)
    pipeline.send(opening(it), { endsInCopy: true })
    yield* Effect.ignore(sendAll(pipeline, [tuple(7n, "a")]))
    return yield* Effect.forEach([first, finish(pipeline)], Effect.exit)
  }).pipe(Effect.scoped)

describe.concurrent("a COPY that fails", () => {
  for (const [when, trigger] of Object.entries(triggers)) {
    it.live.each(causes)(
      `${when} by %s (%s) is reported so, also where the connection ends behind that`,
      ([code, , body]) =>
        Effect.gen(function*() {
          const bench = yield* failing(trigger, body)
          for (const isCut of [false, true]) {
            // A field of an ErrorResponse.
            if (isCut) bench.proxy.cutAfterReply(`C${code}\0`)
            for (const exit of yield* sendTwo(bench)) assertCause(exit, code)
          }
          bench.proxy.restore()
          // The transaction behind it has no fence here, and is one of its own.
          assert.deepStrictEqual((yield* numbers(bench.it)).filter((n) => n < 7), [])
          yield* assertRecovered(bench.it)
        })
    )
  }
})

describe.concurrent("a transaction that fails", () => {
  it.live.each(causes)(
    "by %s (%s) is reported so, also where its ROLLBACK is not answered",
    ([code, , body]) =>
      Effect.gen(function*() {
        const { it, proxy } = yield* failing(triggers["in the middle of its rows"], body)
        const run = Effect.exit(it.pool.transaction("t", Effect.andThen(insert(it, 4), insert(it, 5))))
        assertCause(yield* run, code)
        // The tag of the answer.
        proxy.cutOnReply("ROLLBACK\0")
        assertCause(yield* run, code)
        proxy.restore()
        proxy.cutAfterReply(`C${code}\0`)
        assertCause(yield* run, code)
        proxy.restore()
        assert.deepStrictEqual(yield* numbers(it), [])
        yield* assertRecovered(it)
      })
  )
})
