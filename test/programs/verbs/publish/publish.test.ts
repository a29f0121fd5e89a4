import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Console, Duration, Effect, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import type { SyncRecord, TableRecord } from "../../../../src/domain/health/SyncRecord.ts"
import type { ViewPlan } from "../../../../src/domain/publish/planViews.ts"
import { databaseLayer } from "../../../../src/layers/Config.ts"
import { publish } from "../../../../src/programs/verbs/publish/publish.ts"
import { RecordedStatus } from "../../../../src/services/RecordedStatus.ts"
import { SchemaViews, ViewsRejected } from "../../../../src/services/SchemaViews.ts"
import { syncRecord, tableRecord } from "../status/records.ts"

const DATABASE_URL = "postgresql://me@h/db"

const unchanged: ViewPlan = {
  created: [],
  replaced: [],
  recreated: [],
  dropped: [],
  unchanged: [],
  missing: [],
  shown: [],
  statements: []
}
const toDo: ViewPlan = { ...unchanged, replaced: ["logs"], statements: ["CREATE OR REPLACE VIEW logs AS SELECT 1"] }

/** A publication of two tables, of which `logs` is as it is set to be. */
const publication = (wait: Duration.Input, first: Partial<TableRecord>, plan = Effect.succeed<ViewPlan>(toDo)) => {
  const printed: Array<string> = []
  const printing = (...parts: ReadonlyArray<unknown>) => void printed.push(parts.join(" "))
  let record: SyncRecord
  const set = (fields: Partial<TableRecord>) => {
    record = syncRecord({ tables: [tableRecord("blocks"), tableRecord("logs", fields)] })
  }
  set(first)
  let published = 0
  const services = Layer.mergeAll(
    Layer.succeed(RecordedStatus, RecordedStatus.of({ read: Effect.sync(() => record) })),
    Layer.succeed(
      SchemaViews,
      SchemaViews.of({
        plan: () => plan,
        requireAhead: () => Effect.void,
        publish: () => Effect.sync(() => ++published).pipe(Effect.as(toDo)),
        holders: () => Effect.succeed([])
      })
    ),
    Layer.provide(databaseLayer, ConfigProvider.layer(ConfigProvider.fromEnv({ env: { DATABASE_URL } })))
  )
  const run = Effect.result(publish({
    from: "v2",
    as: "live",
    drop: false,
    json: false,
    timeout: Duration.seconds(45),
    wait: Duration.fromInputUnsafe(wait)
  })).pipe(
    Effect.provide(services),
    Effect.provideService(Console.Console, { ...globalThis.console, log: printing, error: printing })
  )
  return { printed, published: () => published, run, set }
}

/** How a publication ends that does not wait, or of which the time of `--wait` passes. */
const failureOf = Effect.fnUntraced(function*(...given: Parameters<typeof publication>) {
  const { published, run } = publication(...given)
  const fiber = yield* Effect.forkChild(run)
  yield* TestClock.adjust(given[0])
  const result = yield* Fiber.join(fiber)
  assert.strictEqual(published(), 0)
  if (result._tag === "Success") return assert.fail("it was published")
  assert.strictEqual(result.failure._tag, "NotPublished")
  return { exitCode: (result.failure as { exitCode?: number }).exitCode, message: result.failure.message }
})

describe("a publication within --wait", () => {
  for (const state of ["stalled", "diverged", "offline", "stopped"]) {
    it.effect(`waits for a table that is ${state}, reports once why, and publishes once it has caught up`, () =>
      Effect.gen(function*() {
        const { printed, published, run, set } = publication("600 minutes", { state, reason: "the reason" })
        const fiber = yield* Effect.forkChild(run)
        yield* TestClock.adjust("2 minutes")
        const waiting = `Waiting: in schema "v2" table 'logs' is ${state}: the reason`
        assert.deepStrictEqual(printed, [waiting])
        set({ state: "retrying", reason: "no answer", lagBlocks: 5n })
        yield* TestClock.adjust("5 seconds")
        assert.deepStrictEqual(printed, [
          waiting,
          "Waiting: logs is retrying, 5 blocks behind: no answer (then: replace logs)"
        ])
        set({})
        yield* TestClock.adjust("2 seconds")
        assert.strictEqual((yield* Fiber.join(fiber))._tag, "Success")
        assert.strictEqual(published(), 1)
      }))
  }

  it.effect("ends with exit code 3 and the reason where the table does not heal until its end", () =>
    Effect.gen(function*() {
      const { exitCode, message } = yield* failureOf("90 seconds", { state: "stopped", reason: "the reason" })
      assert.strictEqual(exitCode, 3)
      assert.match(
        message,
        /^nothing was changed: in schema "v2" table 'logs' is stopped: the reason\. Waited .+; raise --wait/
      )
    }))

  it.effect("ends at once where waiting does not help, and with --wait 0s at any problem", () =>
    Effect.gen(function*() {
      for (const [wait, state] of [["0 seconds", "stalled"], ["0 seconds", "parked"]] as const) {
        const ended = yield* failureOf(wait, { state, reason: "the reason" })
        assert.deepStrictEqual(ended, {
          exitCode: 3,
          message: `nothing was changed: in schema "v2" table 'logs' is ${state}: the reason`
        })
      }
      const { run } = publication("600 minutes", { state: "parked" })
      assert.strictEqual((yield* run)._tag, "Failure")
      const rejected = Effect.fail(new ViewsRejected({ reasons: ["a column is gone"] }))
      const early = yield* publication("600 minutes", { state: "stalled" }, rejected as never).run
      assert.strictEqual(early._tag === "Failure" && early.failure.message, "a column is gone")
    }))
})
