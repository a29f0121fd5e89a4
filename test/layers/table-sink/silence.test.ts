import { assert, describe, it } from "@effect/vitest"
import { Effect, Logger, Option, Schedule } from "effect"
import {
  checkpointOf,
  contents,
  type FilledChunk,
  firstOf,
  hashOf,
  noRows,
  prepareTable,
  rangeOf,
  withoutRows,
  withRange,
  withReorg,
  writeChunk
} from "../../support/chunks.ts"
import { testDatabase } from "../../support/postgres.ts"
import { startProxy, throughProxy } from "../../support/proxy.ts"
import { BLOCK, field, processOn, requestOf } from "../../support/sinkBench.ts"

/** `npm run test:silence` runs the long form, which loses the requests as well. */
const LOST = process.env["SILENCE"] === "all" ? ["answer", "request"] as const : ["answer"] as const

const request = requestOf("t", [BLOCK, field("note")], { indexes: [["note"]] })
const [first, grown] = [checkpointOf([4n, 0]), checkpointOf([4n, 0], [6n, 0])]
const reorged = checkpointOf([4n, 0], [7n, 1])
const OLD = ["0", "1", "2", "3", "4"].map((block) => `${block}:old0,old1`)
const GROWN = [...OLD, "5:new0,new1", "6:new0,new1"]
const REORGED = [...OLD, "5:fork0,fork1", "6:fork0,fork1", "7:fork0,fork1"]

/** Blocks 5 and 6 are replaced by 5 to 7. */
const reorg = (): FilledChunk => {
  const range = rangeOf(5n, 7n, 1)
  const replaced = { block: 6n, hash: hashOf(6n) }
  return withRange(
    withReorg(noRows(grown), { deleteFrom: 5n, replaced, range, checkpoint: first }),
    range,
    "fork",
    reorged
  )
}

/** The time limit of one run, which takes a second when nothing is lost. */
const BOUND = "20 seconds"

const again = { schedule: Schedule.spaced("20 millis"), times: 12 }

/** The messages of a lost connection, with the unanswered statement. */
const NAMED = /PostgreSQL: (?:(?:[A-Z]+|a deletion) was not answered for [\d.]+ seconds|no connection within [\d.]+ s)/

/**
 * In statements of which nothing depends: those that watch a session, or a build, that lasts long enough to be watched; and the
 * release of a lock that ends with its session.
 */
const OPTIONAL = ["pg_stat_activity", "pg_stat_progress_create_index", "pg_advisory_unlock"]

/** Everything that a process does to a table, on connections of which one stops responding at request `n`. */
const walk = Effect.fnUntraced(function*(n: number, lost: "request" | "answer") {
  const failures: Array<string> = []
  const database = yield* testDatabase
  const port = Number(new URL(database.url).port)
  const proxy = yield* startProxy(port)
  proxy.goSilentAt(n, lost)
  let isHanging = false
  // A statement that hangs may be uninterruptible: closing its connection ends it.
  yield* Effect.forkScoped(Effect.andThen(
    Effect.sleep(BOUND),
    Effect.sync(() => {
      isHanging = true
      proxy.redirect(port)
    })
  ))
  const logger = Logger.make<unknown, void>(({ message }) => void failures.push(String(message)))
  const url = `${throughProxy(database.url, proxy)}?connect_timeout=1`
  const { bookkeeping, indexes, leases, sink } = yield* processOn(database, { DATABASE_URL: url }, { stallMillis: 250 })
    .pipe(
      Effect.provide(Logger.layer([logger]))
    )
  const insist = <A, E extends { readonly message: string }, R>(effect: Effect.Effect<A, E, R>) =>
    effect.pipe(
      Effect.tapError(({ message }) => Effect.sync(() => failures.push(message))),
      Effect.retry(again)
    )
  /** One attempt: it resumes from the checkpoint, which may include the chunk whose outcome was unknown. */
  const attempt = (blocks: bigint, chunk: (writer: Parameters<typeof firstOf>[0]) => FilledChunk) =>
    insist(
      Effect.flatMap(prepareTable(sink, request), (writer) =>
        (writer.checkpoint.history.at(-1)?.block ?? -1n) >= blocks
          ? Effect.void
          : writeChunk(writer, chunk(writer)))
    )
  yield* insist(bookkeeping.ensure)
  yield* attempt(4n, (writer) => withRange(firstOf(writer), rangeOf(0n, 4n), "old", first))
  assert.deepStrictEqual(yield* contents(database), OLD)
  yield* attempt(6n, () => withRange(noRows(first, 5n), rangeOf(5n, 6n), "new", grown))
  assert.deepStrictEqual(yield* contents(database), GROWN)
  yield* attempt(7n, reorg)
  assert.deepStrictEqual(yield* contents(database), REORGED)
  yield* attempt(8n, () => withoutRows(noRows(reorged), rangeOf(8n, 8n), checkpointOf([4n, 0], [7n, 1], [8n, 0])))
  yield* insist(Effect.flatMap(
    indexes.build("t", request.settings!.indexes, () => Effect.void),
    (lock) => Option.isNone(lock) ? Effect.void : Effect.fail({ message: "another session builds it" })
  ))
  const [index] = yield* database.query<{ n: string }>(
    "SELECT count(*) AS n FROM pg_index i WHERE i.indrelid = 't'::regclass AND i.indisvalid AND i.indnatts = 1"
  )
  assert.isAbove(Number(index!.n), 0)
  assert.deepStrictEqual(yield* contents(database), REORGED)
  yield* insist(
    Effect.flatMap(sink.empty("t"), ({ deleteSome }) => Effect.repeat(deleteSome, { while: (removed) => removed > 0 }))
  )
  yield* insist(leases.release("t"))
  assert.deepStrictEqual(yield* contents(database), [])
  assert.deepStrictEqual(yield* database.query("SELECT writer FROM _ampsync_checkpoints"), [{ writer: null }])
  assert.isFalse(isHanging, `it hung for ${BOUND} at ${proxy.silencedStatements().at(-1)}`)
  const lastStatement = proxy.silencedStatements().at(-1)
  // A session that was lost before its first statement may be one for a watch.
  const isOptional = lastStatement === undefined || OPTIONAL.some((text) => lastStatement.includes(text))
  if (n <= proxy.requests() && !(isOptional && failures.length === 0)) {
    assert.isTrue(
      failures.some((failure) => NAMED.test(failure)),
      `nothing names ${lastStatement}, but ${failures.join("; ")}`
    )
  }
  return proxy.requests()
}, Effect.scoped)

describe("a session that stops responding", () => {
  it.live.each(LOST)(
    "at any message of a start, a lease, rows, a reorg, an index, a resync or a release costs no row, hangs nothing and is named (the %s is lost)",
    (lost) =>
      Effect.gen(function*() {
        const all = yield* walk(Number.POSITIVE_INFINITY, lost)
        assert.isAbove(all, 40)
        const failed: Array<string> = []
        yield* Effect.forEach(
          Array.from({ length: all }, (_, index) => index + 1),
          (n) =>
            walk(n, lost).pipe(
              Effect.catchCause((cause) => Effect.sync(() => failed.push(`message ${n} of ${all}: ${String(cause)}`)))
            ),
          { concurrency: 10, discard: true }
        )
        assert.deepStrictEqual(failed, [])
      }),
    180_000
  )
})
