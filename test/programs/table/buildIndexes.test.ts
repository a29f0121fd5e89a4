import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Option, Ref, Result } from "effect"
import { SqlError } from "effect/sql"
import { TestClock } from "effect/testing"
import { noSettings } from "../../../src/domain/manifest/TableSettings.ts"
import { makeTableSpec } from "../../../src/domain/manifest/TableSpec.ts"
import { indexName, type IndexPlan } from "../../../src/domain/postgres/table/tableIndexes.ts"
import { buildIndexes } from "../../../src/programs/table/buildIndexes.ts"
import { TableIndexes } from "../../../src/services/TableIndexes.ts"
import { recordedLog } from "../../doubles/Log.ts"

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

/** Runs `buildIndexes` on builds with the given `outcomes`, and returns what it logged. */
const bench = (outcomes: ReadonlyArray<boolean | SqlError.SqlError | "left out and lost">, plan = missing) =>
  Effect.gen(function*() {
    const { layer: logging, lines } = recordedLog()
    const builds: Array<typeof outcomes[number]> = []
    const indexes = TableIndexes.of({
      plan: (_, wanted) => Effect.succeed(wanted.length === 0 ? { ...plan, missing: [] } : plan),
      build: (_, wanted, onEvent) =>
        Effect.gen(function*() {
          assert.deepStrictEqual(wanted, [["a"]])
          const outcome = outcomes[builds.length] ?? true
          builds.push(outcome)
          if (outcome === "left out and lost") {
            yield* onEvent({ kind: "left out", name: A, columns: ["a"] })
            return yield* lost
          }
          if (typeof outcome !== "boolean") return yield* outcome
          if (!outcome) return Option.some({ name: "ampsync indexes [\"s\",\"t\"]", processId: 4711 })
          yield* onEvent({ kind: "built", name: "t_a", columns: ["a"] })
          return Option.none()
        }),
      buildDeferred: () => Effect.die("it has its keys"),
      lacksKeys: () => Effect.die("it has its keys"),
      summarize: () => Effect.die("it has its keys"),
      dropFull: () => Effect.succeedNone
    })
    const layer = Layer.mergeAll(Layer.succeed(TableIndexes, indexes), logging)
    return { builds, lines, layer, leftOut: yield* Ref.make<ReadonlySet<string>>(new Set()) }
  })

describe("the indexes of a table", () => {
  it.effect("wait until it has caught up", () =>
    Effect.gen(function*() {
      const { builds, layer, leftOut, lines } = yield* bench([])
      yield* Effect.gen(function*() {
        const caughtUp = yield* Deferred.make<void>()
        const fiber = yield* Effect.forkChild(buildIndexes(table, Deferred.await(caughtUp), leftOut))
        yield* TestClock.adjust("1 hour")
        assert.lengthOf(builds, 0)
        yield* Deferred.succeed(caughtUp, undefined)
        yield* Fiber.join(fiber)
        assert.deepStrictEqual(builds, [true])
        assert.include(lines.join("\n"), "Table 't' has index t_a")
      }).pipe(Effect.provide(layer))
    }))

  it.effect("are tried again where that may help, and one that is wanted no longer is mentioned once", () =>
    Effect.gen(function*() {
      const { builds, layer, leftOut, lines } = yield* bench([lost, lost, true])
      yield* Effect.gen(function*() {
        const fiber = yield* Effect.forkChild(buildIndexes(table, Effect.void, leftOut))
        yield* TestClock.adjust("10 minutes")
        yield* Fiber.join(fiber)
        assert.lengthOf(builds, 3)
        assert.lengthOf(lines.filter((line) => line.includes("an index could not be built, trying again")), 2)
        assert.lengthOf(lines.filter((line) => line.includes("keeps index t_old")), 1)
      }).pipe(Effect.provide(layer))
    }))

  it.effect("that cannot be built are logged and given up, and the table stays synced", () =>
    Effect.gen(function*() {
      const { builds, layer, leftOut, lines } = yield* bench([wrong])
      yield* Effect.gen(function*() {
        yield* buildIndexes(table, Effect.void, leftOut)
        assert.lengthOf(builds, 1)
        assert.include(lines.join("\n"), "Table 't' is synced, but an index could not be built: it is wrong")
      }).pipe(Effect.provide(layer))
    }))

  it.effect("that another session builds are waited for, and the holder of the lock is reported once with what to do", () =>
    Effect.gen(function*() {
      const { builds, layer, leftOut, lines } = yield* bench([false, false, true])
      yield* Effect.gen(function*() {
        const fiber = yield* Effect.forkChild(buildIndexes(table, Effect.void, leftOut))
        yield* TestClock.adjust("5 seconds")
        assert.lengthOf(builds, 1)
        yield* TestClock.adjust("20 seconds")
        yield* Fiber.join(fiber)
        assert.deepStrictEqual(builds, [false, false, true])
        const waits = lines.filter((line) => line.includes("cannot build"))
        assert.lengthOf(waits, 1)
        assert.include(
          waits[0],
          "Table 't': cannot build t_a yet: the session of server process 4711 holds the advisory lock"
        )
        assert.include(waits[0], "pg_terminate_backend(4711)")
        assert.include(waits[0], "hashtextextended('ampsync indexes [\"s\",\"t\"]', 0)")
      }).pipe(Effect.provide(layer))
    }))

  it.effect("need no connection where all are there", () =>
    Effect.gen(function*() {
      const { builds, layer, leftOut } = yield* bench([], { ...missing, missing: [], superfluous: [] })
      yield* buildIndexes(table, Effect.void, leftOut).pipe(Effect.provide(layer))
      assert.lengthOf(builds, 0)
    }))

  it.effect("that rows have no room in are reported with their columns, and not tried again in this run", () =>
    Effect.gen(function*() {
      const { builds, layer, leftOut, lines } = yield* bench(["left out and lost"])
      yield* Effect.gen(function*() {
        const fiber = yield* Effect.forkChild(buildIndexes(table, Effect.void, leftOut))
        yield* TestClock.adjust("10 minutes")
        yield* Fiber.join(fiber)
        assert.lengthOf(builds, 1)
        const logged = lines.filter((line) => line.includes(`index ${A} is left out`))
        assert.lengthOf(logged, 1)
        assert.include(logged[0], "(\"a\")")
        yield* buildIndexes(table, Effect.void, leftOut)
        assert.lengthOf(builds, 1)
      }).pipe(Effect.provide(layer))
    }))
})
