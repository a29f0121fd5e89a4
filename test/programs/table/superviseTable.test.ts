import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Ref, Stream } from "effect"
import { SqlError } from "effect/sql"
import { TestClock } from "effect/testing"
import type { FlightData } from "../../../src/domain/flight/FlightData.ts"
import type { FlightError } from "../../../src/services/FlightClient.ts"
import { Fenced, TableHeld, TableRejected } from "../../../src/services/TableLeases.ts"
import { RowTooLargeForIndex } from "../../../src/services/TableSink.ts"
import { flightError, type Messages } from "../../doubles/FlightClient.ts"
import { headAt } from "../../doubles/SourceHead.ts"
import { frames, malformedFrame } from "../../support/frames.ts"
import { data, watermark } from "../../support/scenario.ts"
import { supervised } from "../../support/supervised.ts"

const sqlError = (reason: typeof SqlError.SqlError.prototype.reason) => new SqlError.SqlError({ reason })
const fields = { message: "injected", operation: "COPY", cause: "injected" }
const unreachable = sqlError(new SqlError.ConnectionError(fields))
const constraint = sqlError(new SqlError.ConstraintError(fields))
const locked = sqlError(new SqlError.LockTimeoutError(fields))

const failing = (): Effect.Effect<Messages, FlightError> => Effect.fail(flightError())
const never = Effect.succeed(Stream.never)

/** A stream that brings these messages and then breaks after a time. */
const breaking = (afterSeconds: number, messages: ReadonlyArray<FlightData>): Effect.Effect<Messages> =>
  Effect.succeed(
    Stream.concat(
      Stream.fromIterable(messages),
      Stream.fromEffect(Effect.andThen(Effect.sleep(`${afterSeconds} seconds`), Effect.fail(flightError())))
    )
  )

/** A stream that brings these messages and then is silent. */
const silent = (messages: ReadonlyArray<FlightData> = []): Effect.Effect<Messages> =>
  Effect.succeed(Stream.concat(Stream.fromIterable(messages), Stream.never))

const elapse = (seconds: number) => Effect.repeat(TestClock.adjust("1 second"), { times: seconds - 1 })

describe("a table under supervision", () => {
  it.effect("is tried again after growing pauses that never exceed a minute and a fifth", () =>
    Effect.gen(function*() {
      const it = yield* supervised({ open: failing })
      yield* TestClock.adjust("15 minutes")
      const pauses = it.openedAt.slice(1).map((at, i) => at - it.openedAt[i]!)
      assert.isAtLeast(pauses.length, 12)
      assert.isBelow(pauses[0]!, 1_300)
      assert.isAbove(pauses[3]!, pauses[0]! * 3)
      for (const pause of pauses) assert.isBelow(pause, 72_500)
      assert.isAbove(pauses.at(-1)!, 47_000)
    }))

  it.effect("is stalled after five attempts without progress, keeps trying, and is synced again as soon as one succeeds", () =>
    Effect.gen(function*() {
      const it = yield* supervised({ stored: ["9a"], open: (attempt) => attempt < 8 ? failing() : never })
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(yield* it.phase, "retrying")
      yield* TestClock.adjust("30 seconds")
      assert.strictEqual(yield* it.phase, "stalled")
      yield* TestClock.adjust("10 minutes")
      assert.lengthOf(it.openedAt, 9)
      assert.strictEqual(yield* it.phase, "caught up")
    }))

  it.effect("is not stalled by connections that end now and then while the chain stands still", () =>
    Effect.gen(function*() {
      // A gateway that recycles connections each minute, as many do.
      const it = yield* supervised({ stored: ["9a"], open: () => breaking(60, []) })
      for (let i = 0; i < 15; i += 1) {
        yield* TestClock.adjust("61 seconds")
        assert.notStrictEqual(yield* it.phase, "stalled")
      }
      assert.isAtLeast(it.openedAt.length, 14, "it came back after a second each time")
    }))

  it.effect("is stalled by connections that live long and never bring anything to a table without a row", () =>
    Effect.gen(function*() {
      const it = yield* supervised({ open: () => breaking(60, []) })
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(yield* it.phase, "catching up")
      for (let i = 0; i < 10; i += 1) yield* TestClock.adjust("2 minutes")
      assert.strictEqual(yield* it.phase, "stalled")
    }))

  it.effect("is stalled by connections that end soon, although they could be opened", () =>
    Effect.gen(function*() {
      const it = yield* supervised({ open: () => breaking(3, []) })
      yield* TestClock.adjust("60 seconds")
      yield* TestClock.adjust("5 minutes")
      assert.isBelow(it.openedAt.length, 14)
    }))

  it.effect("stalls where the server ends every stream without an error and without progress", () =>
    Effect.gen(function*() {
      const it = yield* supervised({ open: () => Effect.succeed(Stream.empty) })
      yield* TestClock.adjust("60 seconds")
      assert.strictEqual(yield* it.phase, "stalled")
      assert.isAtMost(it.openedAt.length, 7)
      assert.include(it.lines.join("\n"), "the server ended the stream, and nothing came of it")
    }))

  it.effect("is parked by what no retry can help, releases the lease, and does nothing more", () =>
    Effect.gen(function*() {
      const it = yield* supervised({ open: () => Effect.fail(flightError(false)) })
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* it.phase, "parked")
      assert.strictEqual(it.counts.released, 1)
      yield* TestClock.adjust("1 hour")
      assert.lengthOf(it.openedAt, 1)
      assert.isUndefined(it.fiber.pollUnsafe(), "it waits for another config")
    }))

  it.effect.each(
    [
      ["a rejected table", new TableRejected({ table: "t", reason: "not ours" }), "parked"],
      ["an error of the database that may heal", unreachable, "stalled"],
      ["an error of the database that may not", constraint, "parked"]
    ] as const
  )("after %s is what it must be", ([, error, phase]) =>
    Effect.gen(function*() {
      const it = yield* supervised({ prepare: Effect.fail(error), open: () => never })
      yield* TestClock.adjust("5 minutes")
      assert.strictEqual(yield* it.phase, phase)
      assert.strictEqual(it.counts.prepared > 1, phase === "stalled")
    }))

  it.effect("releases the lease when its config is replaced", () =>
    Effect.gen(function*() {
      const it = yield* supervised({ open: () => never })
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(it.counts.released, 0)
      yield* Fiber.interrupt(it.fiber)
      assert.strictEqual(it.counts.released, 1)
    }))
})

describe("a table that another process writes", () => {
  it.effect("I3 stands by without a failure and without a query, and takes over when it may", () =>
    Effect.gen(function*() {
      const held = yield* Ref.make(true)
      const acquire = Effect.flatMap(
        Ref.get(held),
        (is) => is ? Effect.fail(new TableHeld({ table: "t", writer: "other pid 1" })) : Effect.void
      )
      const it = yield* supervised({ stored: ["9a"], acquire, open: () => never })
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(yield* it.phase, "standby")
      assert.isAbove(it.counts.acquired, 1_000)
      assert.deepStrictEqual(it.openedAt, [], "the server plans no query for it")
      assert.lengthOf(it.lines.filter((line) => line.startsWith("Standing by")), 1)
      yield* Ref.set(held, false)
      yield* TestClock.adjust("4 seconds")
      assert.strictEqual(yield* it.phase, "caught up")
    }))

  it.effect("I3 stands by as well where the other one took it over in the middle of a commit", () =>
    Effect.gen(function*() {
      const it = yield* supervised({
        open: () => silent(frames("amp", data(0, 9), watermark(9))),
        answer: () => Effect.fail(new Fenced({ table: "t" }))
      })
      yield* Effect.repeat(TestClock.adjust("100 millis"), { times: 10 })
      assert.strictEqual(yield* it.phase, "standby")
      assert.isFalse(it.lines.some((line) => line.startsWith("CRITICAL")), "it is no failure")
    }))
})

describe("an attempt is progress", () => {
  it.effect("not when it only brings again what the one before had brought: it stalls", () =>
    Effect.gen(function*() {
      // Rows are committed after a second in the middle of the range, and deleted by the next attempt.
      const it = yield* supervised({ open: () => breaking(3, frames("amp", { ...data(0, 999), rows: 5 })) })
      for (let minute = 0; minute < 5; minute += 1) yield* elapse(60)
      assert.strictEqual(yield* it.phase, "stalled")
      const [stalledAt] = it.phases.find(([, phase]) => phase === "stalled")!
      assert.deepStrictEqual(it.phases.filter(([at]) => at > stalledAt), [], "it stays stalled while it tries")
      assert.isBelow(it.openedAt.length, 14, "the pauses grow")
      assert.isAtLeast(it.committed().length, 6)
      assert.isTrue(it.lines.some((line) => line.includes("(attempt 5/5)")))
    }))

  it.effect("when it commits a row higher than any before, also in the middle of a range", () =>
    Effect.gen(function*() {
      const it = yield* supervised({
        open: (attempt) => breaking(3, frames("amp", { ...data(0, 999), rows: 5 + attempt }))
      })
      yield* elapse(120)
      assert.isAtLeast(it.openedAt.length, 25)
      assert.isFalse(it.phases.some(([, phase]) => phase === "stalled"))
    }))

  it.effect("when it moves the watermark: the count of attempts begins again", () =>
    Effect.gen(function*() {
      const it = yield* supervised({
        open: (attempt, { cursor }) => {
          const start = cursor === undefined ? 0 : Number(cursor.number) + 1
          return attempt % 4 === 3 ? breaking(0, frames("amp", data(start, start), watermark(start))) : failing()
        }
      })
      yield* elapse(300)
      assert.isAtLeast(it.openedAt.length, 30)
      assert.isFalse(it.phases.some(([, phase]) => phase === "stalled"))
      assert.isFalse(it.lines.some((line) => line.includes("(attempt 5/5)")))
    }))
})

describe("a server that violates the protocol", () => {
  const malformed = (rows: number) => [...frames("amp", { ...data(0, 999), rows }), malformedFrame]

  it.effect("parks the table after repeated violations, also where good messages came before each of them", () =>
    Effect.gen(function*() {
      const it = yield* supervised({ open: () => silent(malformed(5)) })
      yield* elapse(300)
      assert.strictEqual(yield* it.phase, "parked")
      assert.lengthOf(it.openedAt, 5)
      assert.isAtLeast(it.committed().length, 4)
    }))

  it.effect("does not park a table that makes progress between two of them", () =>
    Effect.gen(function*() {
      const it = yield* supervised({ open: (attempt) => silent(malformed(5 + attempt)) })
      yield* elapse(60)
      assert.isAtLeast(it.openedAt.length, 20)
      assert.notStrictEqual(yield* it.phase, "parked")
    }))
})

describe("a lock on the table", () => {
  it.effect("is waited for without a permit, and costs one attempt however long it is held", () =>
    Effect.gen(function*() {
      const released = yield* Deferred.make<void>()
      const it = yield* supervised({
        open: () => silent(frames("amp", data(0, 9), watermark(9))),
        awaitUnlocked: Deferred.await(released),
        answer: () => Effect.flatMap(Deferred.isDone(released), (is) => is ? Effect.void : Effect.fail(locked))
      })
      yield* elapse(600)
      assert.strictEqual(yield* it.phase, "retrying")
      assert.deepStrictEqual([it.openedAt.length, it.counts.unlocked], [1, 1])
      yield* it.session.shared.permits.withPermit(Effect.void)
      yield* Deferred.succeed(released, undefined)
      yield* elapse(5)
      assert.strictEqual(yield* it.phase, "caught up")
      assert.lengthOf(it.openedAt, 2)
    }))

  it.effect("that cannot be waited for is tried again too", () =>
    Effect.gen(function*() {
      const it = yield* supervised({
        open: () => silent(frames("amp", data(0, 9), watermark(9))),
        awaitUnlocked: Effect.fail(unreachable),
        answer: () => Effect.fail(locked)
      })
      yield* elapse(60)
      assert.isAbove(it.openedAt.length, 5)
      assert.strictEqual(yield* it.phase, "stalled")
    }))
})

describe("an index without room for a row", () => {
  const full = new RowTooLargeForIndex({ table: "t", index: "i", blocks: "block 3" })
  const index = { name: "i", columns: ["a"], isPrimaryKey: false, isDropped: true }

  it.effect("is tried to be dropped after growing pauses while the table is in use, for which no stream is opened", () =>
    Effect.gen(function*() {
      let isDropped = false
      const it = yield* supervised({
        stored: ["9a"],
        open: () => silent(frames("amp", data(10, 19), watermark(19))),
        head: (_, asked) => Effect.succeed(headAt(isDropped ? 19 : 19 + asked)),
        answer: () => isDropped ? Effect.void : Effect.fail(full),
        dropFull: (attempt) => {
          isDropped = attempt === 9
          return isDropped ? Effect.succeedSome(index) : Effect.fail(locked)
        }
      })
      yield* elapse(2)
      assert.strictEqual(yield* it.phase, "retrying")
      assert.include((yield* it.status).reason, "it waits for the transaction of server process 42.")
      yield* elapse(150)
      assert.strictEqual(yield* it.phase, "stalled")
      const { sourceHead, watermark: complete } = yield* it.status
      assert.deepStrictEqual([complete, sourceHead!.block > 25n], [9n, true])
      assert.lengthOf(it.openedAt, 1)
      yield* elapse(120)
      assert.strictEqual(yield* it.phase, "caught up")
      const pauses = it.droppedAt.slice(1).map((at, i) => Math.round((at - it.droppedAt[i]!) / 1_000))
      assert.deepStrictEqual(pauses, [1, 2, 4, 8, 16, 32, 60, 60, 60])
      assert.lengthOf(it.openedAt, 2)
      assert.deepStrictEqual([...yield* Ref.get(it.session.leftOutIndexes)], ["i"])
    }))

  it.effect("that somebody drops meanwhile does not park the table, and one that is nowhere to be found does", () =>
    Effect.gen(function*() {
      for (const [wasThere, phase] of [[true, "caught up"], [false, "parked"]] as const) {
        let isGone = false
        const it = yield* supervised({
          open: () => silent(frames("amp", data(0, 9), watermark(9))),
          answer: () => isGone ? Effect.void : Effect.fail(full),
          dropFull: (attempt) => {
            isGone = !wasThere || attempt > 0
            return isGone ? Effect.succeedNone : Effect.fail(locked)
          }
        })
        yield* elapse(10)
        assert.strictEqual(yield* it.phase, phase)
      }
    }))
})

describe("a silent stream", () => {
  it.effect("of an amp server whose source has more counts as an attempt without progress", () =>
    Effect.gen(function*() {
      const it = yield* supervised({ stored: ["9a"], open: () => never, head: () => Effect.succeed(headAt(25)) })
      for (let minute = 0; minute < 10; minute += 1) yield* elapse(60)
      assert.strictEqual(yield* it.phase, "stalled")
      assert.notInclude(it.phases.map(([, phase]) => phase), "caught up")
      assert.include(
        (yield* it.status).reason,
        "the stream is silent although the source has block 25: it ended with block 9"
      )
    }))

  it.effect("of an amp server ends where the next connection brings what was missing", () =>
    Effect.gen(function*() {
      const it = yield* supervised({
        stored: ["9a"],
        open: (attempt) => attempt === 0 ? never : silent(frames("amp", data(10, 25), watermark(25))),
        head: () => Effect.succeed(headAt(25))
      })
      yield* elapse(120)
      assert.lengthOf(it.openedAt, 2)
      assert.strictEqual(yield* it.phase, "caught up")
    }))

  it.effect("of a nozzle server is opened again after minutes, which is no failure", () =>
    Effect.gen(function*() {
      const it = yield* supervised({
        stored: ["9a"],
        open: () => silent(frames("nozzle", data(10, 12))),
        head: () => Effect.succeed(headAt(25))
      })
      yield* elapse(240)
      assert.lengthOf(it.openedAt, 1)
      assert.strictEqual(yield* it.phase, "caught up")
      for (let minute = 0; minute < 16; minute += 1) yield* elapse(60)
      assert.isAtLeast(it.openedAt.length, 3)
      assert.isAtMost(it.openedAt.length, 4)
      assert.isFalse(it.phases.some(([, phase]) => phase === "retrying" || phase === "stalled"))
    }))

  it.effect("that nothing ever came of is not behind on a nozzle server, which may have no rows to send", () =>
    Effect.gen(function*() {
      const it = yield* supervised({
        stored: ["9a"],
        dialect: "nozzle",
        open: () => never,
        head: () => Effect.succeed(headAt(25))
      })
      yield* elapse(240)
      assert.lengthOf(it.openedAt, 1)
      assert.strictEqual(yield* it.phase, "caught up")
    }))
})
