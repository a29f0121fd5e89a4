import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Fiber, Layer, Option, Queue, Ref, Result, Stream } from "effect"
import { SqlError } from "effect/sql"
import { TestClock } from "effect/testing"
import { noSettings } from "../../../src/domain/manifest/TableSettings.ts"
import { makeTableSpec } from "../../../src/domain/manifest/TableSpec.ts"
import { indexName, type IndexPlan } from "../../../src/domain/postgres/table/tableIndexes.ts"
import { layer as statusLayer } from "../../../src/layers/SyncStatus.ts"
import { buildIndexes } from "../../../src/programs/table/buildIndexes.ts"
import { StatusRecorder } from "../../../src/services/SyncStatus.ts"
import { TableIndexes } from "../../../src/services/TableIndexes.ts"
import { recordedLog } from "../../doubles/Log.ts"
import { committed } from "../../doubles/statusEvents.ts"

const table = Result.getOrThrow(makeTableSpec("t", "SELECT a FROM b.c", { ...noSettings, indexes: [["a"]] }))

const A = indexName("t", ["a"])

const fields = { operation: "CREATE", cause: "" }
const lost = new SqlError.SqlError({ reason: new SqlError.ConnectionError({ ...fields, message: "it was lost" }) })
const wrong = new SqlError.SqlError({ reason: new SqlError.SqlSyntaxError({ ...fields, message: "it is wrong" }) })

const missing: IndexPlan = {
  broken: [],
  missing: [{ name: "t_a", columns: ["a"] }],
  superfluous: [{ name: "t_old", columns: ["old"], isValid: true, isPlain: true }]
}

type Outcome = "built" | "locked" | "left out and lost" | SqlError.SqlError

/** Lets everything happen that needs no time. */
const moment = Effect.repeat(TestClock.adjust("1 millis"), { times: 20 })

/** Runs `buildIndexes` on builds with the given `outcomes`, and then on such that succeed, from the first "complete" on. */
const bench = Effect.fnUntraced(function*(outcomes: ReadonlyArray<Outcome>, plan = missing) {
  const { layer: logging, lines } = recordedLog()
  const builds: Array<Outcome> = []
  let [isThere, watermark] = [plan.missing.length === 0, 9n]
  const indexes = TableIndexes.of({
    plan: (_, wanted) => Effect.sync(() => isThere || wanted.length === 0 ? { ...plan, missing: [] } : plan),
    build: (_, wanted, onEvent) =>
      Effect.gen(function*() {
        assert.deepStrictEqual(wanted, [["a"]])
        const outcome = outcomes[builds.length] ?? "built"
        builds.push(outcome)
        if (outcome === "left out and lost") {
          yield* onEvent({ kind: "left out", name: A, columns: ["a"] })
          return yield* lost
        }
        if (outcome === "locked") return Option.some({ name: "ampsync indexes [\"s\",\"t\"]", processId: 4711 })
        if (outcome !== "built") return yield* outcome
        yield* onEvent({ kind: "built", name: "t_a", columns: ["a"] })
        isThere = true
        return Option.none()
      }),
    buildDeferred: () => Effect.die("it has its keys"),
    lacksKeys: () => Effect.die("it has its keys"),
    summarize: () => Effect.die("it has its keys"),
    dropFull: () => Effect.succeedNone
  })
  const services = yield* Layer.build(Layer.mergeAll(Layer.succeed(TableIndexes, indexes), logging, statusLayer))
  const recorder = Context.get(services, StatusRecorder)
  yield* recorder.record("t", { _tag: "Started" })
  const completions = yield* Queue.unbounded<void>()
  const leftOut = yield* Ref.make<ReadonlySet<string>>(new Set())
  const fiber = yield* Effect.forkScoped(
    Effect.provideContext(buildIndexes(table, Stream.fromQueue(completions), leftOut), services)
  )
  return {
    builds,
    lines,
    fiber,
    complete: Effect.andThen(Queue.offer(completions, undefined), moment),
    commit: Effect.suspend(() => recorder.record("t", committed({ watermark: ++watermark }))),
    loseIndex: () => {
      isThere = false
    }
  }
})

describe("the indexes of a table", () => {
  it.effect("wait until it has caught up", () =>
    Effect.gen(function*() {
      const it = yield* bench([])
      yield* TestClock.adjust("1 hour")
      assert.lengthOf(it.builds, 0)
      yield* it.complete
      assert.deepStrictEqual(it.builds, ["built"])
      assert.include(it.lines.join("\n"), "Table 't' has index t_a")
    }))

  it.effect("are tried again where that may help, and one that is wanted no longer is mentioned once", () =>
    Effect.gen(function*() {
      const it = yield* bench([lost, lost])
      yield* it.complete
      yield* TestClock.adjust("10 minutes")
      assert.lengthOf(it.builds, 3)
      assert.lengthOf(it.lines.filter((line) => line.includes("an index could not be built, trying again")), 2)
      yield* it.complete
      yield* TestClock.adjust("10 minutes")
      assert.lengthOf(it.lines.filter((line) => line.includes("keeps index t_old")), 1)
    }))

  it.effect("that cannot be built are logged and given up, and the table stays synced", () =>
    Effect.gen(function*() {
      const it = yield* bench([wrong])
      yield* it.complete
      yield* Fiber.join(it.fiber)
      assert.lengthOf(it.builds, 1)
      assert.include(it.lines.join("\n"), "Table 't' is synced, but an index could not be built: it is wrong")
    }))

  it.effect("that another session builds are waited for, and the holder of the lock is reported once with what to do", () =>
    Effect.gen(function*() {
      const it = yield* bench(["locked", "locked"])
      yield* it.complete
      yield* TestClock.adjust("5 seconds")
      assert.lengthOf(it.builds, 1)
      yield* TestClock.adjust("20 seconds")
      assert.deepStrictEqual(it.builds, ["locked", "locked", "built"])
      const waits = it.lines.filter((line) => line.includes("cannot build"))
      assert.lengthOf(waits, 1)
      assert.include(
        waits[0],
        "Table 't': cannot build t_a yet: the session of server process 4711 holds the advisory lock"
      )
      assert.include(waits[0], "pg_terminate_backend(4711)")
      assert.include(waits[0], "hashtextextended('ampsync indexes [\"s\",\"t\"]', 0)")
    }))

  it.effect("need no connection where all are there", () =>
    Effect.gen(function*() {
      const it = yield* bench([], { ...missing, missing: [], superfluous: [] })
      yield* it.complete
      yield* TestClock.adjust("10 minutes")
      assert.lengthOf(it.builds, 0)
    }))

  it.effect("are built again where the table lost them: with a table that was dropped, or with the last commits of a server", () =>
    Effect.gen(function*() {
      const it = yield* bench([])
      yield* it.complete
      it.loseIndex()
      yield* TestClock.adjust("1 hour")
      assert.lengthOf(it.builds, 1)
      yield* it.commit
      yield* TestClock.adjust("5 seconds")
      assert.lengthOf(it.builds, 2)
      // What a second chunk follows cannot be lost without it.
      yield* it.commit
      yield* TestClock.adjust("5 seconds")
      it.loseIndex()
      yield* it.commit
      yield* TestClock.adjust("1 hour")
      assert.lengthOf(it.builds, 2)
      yield* it.complete
      assert.lengthOf(it.builds, 3)
    }))

  it.effect("that rows have no room in are reported with their columns, and not tried again in this run", () =>
    Effect.gen(function*() {
      const it = yield* bench(["left out and lost"])
      yield* it.complete
      yield* TestClock.adjust("10 minutes")
      assert.lengthOf(it.builds, 1)
      const logged = it.lines.filter((line) => line.includes(`index ${A} is left out`))
      assert.lengthOf(logged, 1)
      assert.include(logged[0], "(\"a\")")
      yield* it.complete
      yield* TestClock.adjust("10 minutes")
      assert.lengthOf(it.builds, 1)
    }))
})
