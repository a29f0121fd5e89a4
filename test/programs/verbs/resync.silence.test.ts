import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Console, Duration, Effect, Fiber, Layer, Result } from "effect"
import { layerWith as poolLayerWith } from "../../../src/layers/PgPool.ts"
import { layer as sinkLayer } from "../../../src/layers/TableSink.ts"
import { resync } from "../../../src/programs/verbs/resync.ts"
import { bookkeepingLayers } from "../../support/bookkeeping.ts"
import { prepareTable } from "../../support/chunks.ts"
import { eventually } from "../../support/eventually.ts"
import { holdLock } from "../../support/holdLock.ts"
import { testDatabase } from "../../support/postgres.ts"
import { startProxy, throughProxy } from "../../support/proxy.ts"
import { BLOCK, commitRows, field, processOn, requestOf } from "../../support/sinkBench.ts"
import { testSettings } from "../../support/testSettings.ts"

const columns = [BLOCK, field("note")]

/** Time limit of one resync; without a loss it takes less than a second. */
const BOUND = Duration.seconds(20)

/** Messages that name the statement that was not answered. */
const NAMED = /PostgreSQL: (?:(?:[A-Z]+|a deletion) was not answered for [\d.]+ seconds|no connection within [\d.]+ s)/

/** Messages that report how far it got. */
const STEP =
  /^(?:nothing was changed|it is not known whether the watermark is forgotten|.* not all rows are deleted \([03] of 3 so far\)): /

/** A table of three rows, and its resync through a proxy. */
const resyncBehindProxy = Effect.fnUntraced(function*() {
  const database = yield* testDatabase
  const { bookkeeping, leases, sink } = yield* processOn(database)
  yield* bookkeeping.ensure
  const writer = yield* prepareTable(sink, requestOf("t", columns))
  yield* commitRows(writer, columns, [[0n, "a"], [1n, "b"], [2n, "c"]])
  yield* leases.release("t")
  const proxy = yield* startProxy(Number(new URL(database.url).port))
  const printed: Array<string> = []
  const listening = {
    ...globalThis.console,
    log: (...parts: ReadonlyArray<unknown>) => void printed.push(parts.join(" "))
  }
  const url = `${throughProxy(database.url, proxy)}?connect_timeout=1`
  const services = sinkLayer.pipe(
    Layer.provideMerge(bookkeepingLayers),
    Layer.provideMerge(poolLayerWith({ stallMillis: 250 })),
    Layer.provideMerge(Layer.fresh(testSettings(database, { DATABASE_URL: url })))
  )
  const run = resync({ table: "t", yes: true, timeout: Duration.seconds(8) }).pipe(
    Effect.provide(services),
    Effect.provide(NodeServices.layer),
    Effect.provideService(Console.Console, listening)
  )
  return { database, proxy, run, printed }
})

/** A whole resync, on connections of which one falls silent before the answer to its `n`-th request. */
const walk = Effect.fnUntraced(function*(n: number) {
  const { proxy, run, printed } = yield* resyncBehindProxy()
  proxy.goSilentAt(n, "answer")
  const outcome = yield* Effect.timeoutOption(Effect.result(run), BOUND)
  const silencedStatements = proxy.silencedStatements()
  assert.strictEqual(outcome._tag, "Some", `it hung for ${Duration.format(BOUND)} at ${silencedStatements.at(-1)}`)
  const ended = outcome._tag === "Some" ? outcome.value : undefined
  if (ended !== undefined && Result.isFailure(ended)) {
    const { message } = ended.failure as Error
    assert.match(message, NAMED, `at ${silencedStatements.at(-1)}`)
    assert.match(message, STEP, `at ${silencedStatements.at(-1)}`)
  } else assert.include(printed.at(-1), "3 rows deleted")
  return {
    requests: proxy.requests(),
    failed: ended !== undefined && Result.isFailure(ended),
    at: silencedStatements.at(-1)
  }
}, Effect.scoped)

describe("a resync whose database falls silent", () => {
  it.live(
    "ends at whatever step that is, with an error that names the statement, or continues without its answer",
    () =>
      Effect.gen(function*() {
        const { failed: fails, requests } = yield* walk(Number.POSITIVE_INFINITY)
        assert.isFalse(fails)
        const problems: Array<string> = []
        const failures: Array<string> = []
        yield* Effect.forEach(
          Array.from({ length: requests }, (_, index) => index + 1),
          (n) =>
            walk(n).pipe(
              Effect.tap(({ at, failed }) => Effect.sync(() => failed && failures.push(at ?? ""))),
              Effect.catchCause((cause) =>
                Effect.sync(() => problems.push(`message ${n} of ${requests}: ${String(cause)}`))
              )
            ),
          { concurrency: 8, discard: true }
        )
        assert.deepStrictEqual(problems, [])
        assert.isTrue(failures.some((statement) => statement.includes("DELETE FROM")), "the deletion is one of them")
      }),
    120_000
  )

  it.live("on every connection while it deletes ends, with how many rows are deleted", () =>
    Effect.gen(function*() {
      const { database, proxy, run } = yield* resyncBehindProxy()
      const { release } = yield* holdLock(database, "SELECT FROM t FOR UPDATE")
      const resyncing = yield* Effect.forkScoped(Effect.flip(run))
      yield* eventually(
        "the deletion waits for the lock",
        Effect.map(
          database.query(
            "SELECT FROM pg_stat_activity WHERE query LIKE 'WITH picked%' || $1 || '%' AND wait_event_type = 'Lock'",
            [
              database.schema
            ]
          ),
          (rows) => rows.length > 0
        )
      )
      proxy.freeze()
      const { message } = yield* Effect.orDie(Effect.timeout(Fiber.join(resyncing), BOUND))
      yield* release
      assert.match(message, STEP)
      assert.match(message, /"t" is forgotten.*\(0 of 3 so far\): PostgreSQL: WITH was not answered for/)
    }))
})
