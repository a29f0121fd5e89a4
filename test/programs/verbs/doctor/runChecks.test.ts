import { assert, describe, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { type Check, ok, problem } from "../../../../src/domain/health/Finding.ts"
import { type CheckSpec, runChecks } from "../../../../src/programs/verbs/doctor/runChecks.ts"

const check = (id: string, run: CheckSpec["run"], ...needs: ReadonlyArray<string>): CheckSpec => ({
  id,
  title: id.toUpperCase(),
  needs,
  run
})

const fine = Effect.succeed(ok("fine"))

const runAll = (specs: ReadonlyArray<CheckSpec>, earlier: ReadonlyArray<Check> = []) => {
  const seen: Array<string> = []
  const onCheck = ({ id }: Check) => Effect.sync(() => void seen.push(id))
  return Effect.scoped(
    Effect.map(runChecks(specs, { timeout: Duration.seconds(5), earlier, onCheck }), (checks) => ({ checks, seen }))
  )
}

const outcomes = (checks: ReadonlyArray<Check>) =>
  checks.map(({ detail, id, outcome }) => `${id} ${outcome}: ${detail}`)

describe("checks", () => {
  it.effect("are skipped where one that they need found a problem or was skipped, with its name as the reason", () =>
    Effect.gen(function*() {
      const { checks, seen } = yield* runAll([
        check("last", fine, "middle"),
        check("middle", fine, "first", "other"),
        check("first", Effect.succeed(problem("broken", "repair it"))),
        check("other", fine)
      ])
      assert.deepStrictEqual(outcomes(checks), [
        "last skipped: needs \"MIDDLE\"",
        "middle skipped: needs \"FIRST\"",
        "first problem: broken",
        "other ok: fine"
      ])
      assert.deepStrictEqual(seen, ["last", "middle", "first", "other"])
    }))

  it.effect("that were run before count as well, and those that are not run at all keep none from being run", () =>
    Effect.gen(function*() {
      const earlier = [{ id: "a", title: "A", ...problem("broken", "repair it") }]
      const { checks } = yield* runAll([check("b", fine, "a"), check("c", fine, "unknown")], earlier)
      assert.deepStrictEqual(outcomes(checks), ["b skipped: needs \"A\"", "c ok: fine"])
    }))

  it.effect("that fail, that hang and that have a mistake are problems, and stop no other", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.forkChild(runAll([
        check("hangs", Effect.never),
        check("fails", Effect.fail({ message: "no such host" })),
        check("dies", Effect.die(new Error("a mistake"))),
        check("ends", Effect.interrupt),
        check("after", fine, "hangs"),
        check("works", fine)
      ]))
      yield* TestClock.adjust("5 seconds")
      const { checks } = yield* Fiber.join(fiber)
      assert.deepStrictEqual(outcomes(checks).map((line) => line.split("\n")[0]), [
        "hangs problem: no answer within 5s; if it is only slow, raise --timeout",
        "fails problem: no such host",
        "dies problem: internal error: Error: a mistake",
        "ends problem: it was interrupted by another check",
        "after skipped: needs \"HANGS\"",
        "works ok: fine"
      ])
    }))

  it.effect("have their time for themselves: what waits for others does not use it up", () =>
    Effect.gen(function*() {
      const slow = Effect.as(Effect.sleep("4 seconds"), ok("slow"))
      const fiber = yield* Effect.forkChild(runAll(Array.from({ length: 24 }, (_, n) => check(String(n), slow))))
      yield* TestClock.adjust("12 seconds")
      const { checks } = yield* Fiber.join(fiber)
      assert.deepStrictEqual(new Set(checks.map(({ outcome }) => outcome)), new Set(["ok"]))
    }))

  it.effect("run at the same time", () =>
    Effect.gen(function*() {
      const met = yield* Deferred.make<void>()
      const { checks } = yield* runAll([
        check("waits", Effect.as(Deferred.await(met), ok("met"))),
        check("comes", Effect.as(Deferred.succeed(met, undefined), ok("met")))
      ])
      assert.deepStrictEqual(outcomes(checks), ["waits ok: met", "comes ok: met"])
    }))
})
