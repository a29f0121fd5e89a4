import { assert, describe, it } from "@effect/vitest"
import { Clock, Deferred, Effect, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import { startFollowing } from "../../../src/domain/chain/followFrame.ts"
import { resume } from "../../../src/domain/chain/resumeStrategy.ts"
import { layer as statusLayer } from "../../../src/layers/SyncStatus.ts"
import { StreamActivity } from "../../../src/programs/table/StreamActivity.ts"
import { type Watching, watchSource } from "../../../src/programs/table/watchSource.ts"
import { SyncStatus } from "../../../src/services/SyncStatus.ts"
import { recordedLog } from "../../doubles/Log.ts"
import { type HeadAnswer, headAt, recordedHead, sourceHeadError, TICK_MILLIS } from "../../doubles/SourceHead.ts"
import { completed, started, upTo } from "../../support/events.ts"
import { exampleManifest } from "../../support/exampleManifest.ts"
import { block, checkpoint } from "../../support/scenario.ts"

const manifest = exampleManifest()

const elapse = (seconds: number) => Effect.repeat(TestClock.adjust("1 second"), { times: seconds - 1 })

interface Script extends Partial<Watching> {
  /** Names of the stored watermarks; nothing is stored where it is empty. */
  readonly stored?: ReadonlyArray<string>
  readonly answer: HeadAnswer
  /** Tables that are watched at once, of the same network. */
  readonly tables?: ReadonlyArray<string>
}

const watching = Effect.fnUntraced(function*({ answer, stored = ["9a"], tables = ["t"], ...fields }: Script) {
  const { layer: logging, lines } = recordedLog()
  const head = recordedHead(answer)
  const services = yield* Layer.build(Layer.mergeAll(
    head.layer,
    statusLayer,
    logging
  ))
  const unreadableHeads = new Set<string>()
  const watched = yield* Effect.forEach(tables, (table) =>
    Effect.gen(function*() {
      const activity = new StreamActivity(checkpoint(...stored), true, 0)
      const run = watchSource({
        table,
        manifest,
        network: "anvil",
        activity,
        turn: { isBuilding: () => false },
        caughtUp: yield* Deferred.make<void>(),
        isDeferred: Effect.succeed(false),
        start: startFollowing(
          checkpoint(...stored),
          { rangeMode: false, retentionBlocks: 128, onChainReset: "park" },
          resume
        ),
        onChainReset: "park",
        unreadableHeads,
        ...fields
      })
      return { activity, fiber: yield* Effect.forkScoped(Effect.provideContext(run, services)) }
    }))
  yield* TestClock.adjust("1 millis")
  const status = yield* Effect.provideContext(SyncStatus, services)
  const { activity, fiber } = watched[0]!
  return {
    activity,
    /** The stream of every table has been silent for long enough. */
    fallSilent: Effect.map(Clock.currentTimeMillis, (now) =>
      watched.forEach(({ activity }) => {
        activity.onIdle(now)
        activity.onSettled()
      })),
    /** Nothing that came waits to be written. */
    fallIdle: Effect.map(Clock.currentTimeMillis, (now) => watched.forEach(({ activity }) => activity.onIdle(now))),
    /** A range of one block comes, which is complete. */
    receive: (number: number) =>
      Effect.sync(() => {
        activity.onEvent(started(number, number, upTo(number - 1)), 0)
        activity.onEvent(completed(number, number, upTo(number)), 0)
      }),
    fiber,
    outcome: Fiber.join(fiber),
    askedAt: head.askedAt,
    lines,
    status: (table = tables[0]!) => Effect.map(status.get, (all) => all.get(table))
  }
})

describe("the head of the source", () => {
  it.effect("is read once after a second, and then only while the stream is quiet", () =>
    Effect.gen(function*() {
      const it = yield* watching({ answer: () => Effect.succeed(headAt(9)) })
      const backlog = Effect.clockWith((clock) =>
        Effect.andThen(
          Effect.sync(() => it.activity.onMessage(clock.currentTimeMillisUnsafe())),
          TestClock.adjust("1 second")
        )
      )
      yield* Effect.repeat(backlog, { times: 599 })
      assert.deepStrictEqual(it.askedAt, [1_000])
      assert.deepInclude((yield* it.status())?.sourceHead, { block: 9n })
      yield* it.fallSilent
      yield* elapse(60)
      assert.strictEqual((yield* it.status())?.phase, "caught up")
      assert.isAtLeast(it.askedAt.length, 4)
      assert.isAtMost(it.askedAt.length, 6)
      for (const at of it.askedAt.slice(2)) assert.strictEqual(at % TICK_MILLIS, 0, "at the tick of all tables")
      const before = it.askedAt.length
      // A long range is a backlog.
      it.activity.onEvent(started(10, 1_009, upTo(9)), 0)
      yield* Effect.repeat(backlog, { times: 599 })
      assert.isAtMost(it.askedAt.length, before + 1)
    }))

  it.effect("is read as well while rows of a table that had caught up wait, so that its lag shows", () =>
    Effect.gen(function*() {
      let head = 9
      const it = yield* watching({ answer: () => Effect.succeed(headAt(head)) })
      yield* it.fallSilent
      yield* elapse(20)
      assert.strictEqual((yield* it.status())?.phase, "caught up")
      it.activity.onBusy(0)
      head = 12
      yield* elapse(60)
      assert.deepInclude((yield* it.status())?.sourceHead, { block: 12n })
      assert.strictEqual((yield* it.status())?.phase, "caught up")
    }))

  it.effect("is read as well while rows wait for a build of keys, whatever came before", () =>
    Effect.gen(function*() {
      let [head, isBuilding] = [9, true]
      const it = yield* watching({
        answer: () => Effect.succeed(headAt(head)),
        turn: { isBuilding: () => isBuilding }
      })
      yield* elapse(1)
      head = 12
      yield* elapse(30)
      assert.deepInclude((yield* it.status())?.sourceHead, { block: 12n })
      isBuilding = false
      head = 15
      yield* elapse(30)
      assert.deepInclude((yield* it.status())?.sourceHead, { block: 12n })
    }))

  it.effect("is the only thing a table waits for once it is quiet: no block counts as caught up before it is here", () =>
    Effect.gen(function*() {
      const it = yield* watching({ answer: () => Effect.succeed(headAt(12)) })
      yield* it.fallSilent
      yield* elapse(5)
      assert.strictEqual((yield* it.status())?.phase, "starting", "the source has three blocks more")
      for (const number of [10, 11, 12]) yield* it.receive(number)
      yield* elapse(15)
      assert.strictEqual((yield* it.status())?.phase, "caught up")
      assert.isUndefined(it.fiber.pollUnsafe())
    }))

  it.effect("proves that a table has caught up as soon as the stream is complete up to it, without a longer silence", () =>
    Effect.gen(function*() {
      const it = yield* watching({ answer: () => Effect.succeed(headAt(12)) })
      yield* elapse(2)
      for (const number of [10, 11]) yield* it.receive(number)
      yield* it.fallIdle
      yield* TestClock.adjust("600 millis")
      assert.deepStrictEqual(it.askedAt, [1_000], "a block is missing")
      yield* it.receive(12)
      yield* TestClock.adjust("500 millis")
      assert.strictEqual((yield* it.status())?.phase, "caught up")
      assert.lengthOf(it.askedAt, 2)
      // What comes next is of the tip, not of a backlog.
      assert.isFalse(it.activity.onEvent(started(13, 13, upTo(12)), 3_200))
    }))

  it.effect("that has grown since is another one to reach", () =>
    Effect.gen(function*() {
      let head = 10
      const it = yield* watching({ answer: () => Effect.succeed(headAt(head)) })
      yield* elapse(1)
      head = 12
      yield* it.receive(10)
      yield* it.fallIdle
      yield* TestClock.adjust("500 millis")
      assert.lengthOf(it.askedAt, 2)
      assert.strictEqual((yield* it.status())?.phase, "starting")
      for (const number of [11, 12]) yield* it.receive(number)
      yield* TestClock.adjust("1500 millis")
      assert.strictEqual((yield* it.status())?.phase, "caught up")
      assert.lengthOf(it.askedAt, 3)
    }))

  it.effect("proves nothing where the server declares no ends, or may have more blocks", () =>
    Effect.gen(function*() {
      for (const declaresEnds of [false, true]) {
        const report = headAt(10)
        const head = { ...report.head!, isExact: !declaresEnds }
        const it = yield* watching({ answer: () => Effect.succeed({ ...report, head }) })
        it.activity.declaresEnds = declaresEnds
        yield* elapse(1)
        yield* it.receive(10)
        it.activity.declaresEnds = declaresEnds
        yield* it.fallIdle
        yield* TestClock.adjust("800 millis")
        assert.lengthOf(it.askedAt, 1)
        assert.notStrictEqual((yield* it.status())?.phase, "caught up")
        yield* Fiber.interrupt(it.fiber)
      }
    }))

  it.effect("is not asked for again and again by a source that ends with each of its ranges, nor once the table had caught up", () =>
    Effect.gen(function*() {
      let head = 10
      const it = yield* watching({ answer: () => Effect.succeed(headAt(head)) })
      yield* elapse(1)
      const range = (number: number) =>
        Effect.gen(function*() {
          head = number
          yield* it.receive(number)
          it.activity.onMessage(0)
          yield* it.fallIdle
          yield* TestClock.adjust("150 millis")
        })
      for (let number = 10; number < 60; number += 1) yield* range(number)
      assert.lengthOf(it.askedAt, 1)
      yield* it.fallSilent
      yield* elapse(2)
      assert.strictEqual((yield* it.status())?.phase, "caught up")
      const before = it.askedAt.length
      it.activity.isAtTip = false
      yield* TestClock.adjust("5 seconds")
      assert.isAtMost(it.askedAt.length, before + 1)
    }))

  it.effect("is asked about the newest watermark", () =>
    Effect.gen(function*() {
      const asked: Array<bigint> = []
      const it = yield* watching({
        answer: ({ block }) => {
          asked.push(block)
          return Effect.succeed(headAt(12))
        }
      })
      yield* elapse(1)
      for (const number of [10, 11, 12]) yield* it.receive(number)
      yield* it.fallSilent
      yield* elapse(1)
      assert.deepStrictEqual(asked, [9n, 12n])
    }))

  it.effect("that is beyond what a table received shows it as behind again", () =>
    Effect.gen(function*() {
      let head = 9
      const it = yield* watching({ answer: () => Effect.succeed(headAt(head)) })
      yield* it.fallSilent
      yield* elapse(2)
      assert.strictEqual((yield* it.status())?.phase, "caught up")
      head = 20
      yield* elapse(20)
      assert.strictEqual((yield* it.status())?.phase, "catching up")
    }))
})

describe("a head that cannot be read", () => {
  it.effect("is reported once for all tables, which then count as caught up once they are silent", () =>
    Effect.gen(function*() {
      const it = yield* watching({
        answer: () => Effect.fail(sourceHeadError()),
        tables: ["a", "b", "c"]
      })
      yield* it.fallSilent
      yield* elapse(120)
      for (const table of ["a", "b", "c"]) assert.strictEqual((yield* it.status(table))?.phase, "caught up")
      const warnings = it.lines.filter((line) => !line.includes("has caught up"))
      assert.lengthOf(warnings, 1)
      assert.include(warnings[0], "cannot read the chain of network \"anvil\"")
      assert.include(warnings[0], "count as caught up once their streams are silent")
      assert.isUndefined((yield* it.status("a"))?.sourceHead)
    }))

  it.effect("at one check is read again at the next", () =>
    Effect.gen(function*() {
      const it = yield* watching({
        answer: (_, asked) =>
          asked < 3 ? Effect.fail(sourceHeadError({ reason: "Timeout", retryable: true })) : Effect.succeed(headAt(9))
      })
      yield* it.fallSilent
      yield* elapse(60)
      assert.deepInclude((yield* it.status())?.sourceHead, { block: 9n })
    }))

  it.effect("is not asked for where the network is not known", () =>
    Effect.gen(function*() {
      const activity = new StreamActivity({ ...checkpoint(), network: undefined }, true, 0)
      const it = yield* watching({ answer: () => Effect.succeed(headAt(9)), network: undefined, activity })
      activity.onIdle(0)
      activity.onSettled()
      yield* elapse(60)
      assert.deepStrictEqual(it.askedAt, [])
      assert.strictEqual((yield* it.status())?.phase, "caught up")
    }))
})

describe("a stream whose events wait to be written", () => {
  it.effect("is not compared: what is about to be written may be all that is missing, and may replace the stored block", () =>
    Effect.gen(function*() {
      const it = yield* watching({ answer: () => Effect.succeed(headAt(12, "orphaned")), onChainReset: "resync" })
      it.activity.onSettled()
      yield* elapse(600)
      assert.isUndefined(it.fiber.pollUnsafe())
      assert.deepStrictEqual(it.askedAt, [1_000])
      assert.strictEqual((yield* it.status())?.phase, "starting")
    }))
})

describe("a silent stream", () => {
  it.effect("is given up where it never brought anything, or in the middle of a range, although it is not quiet", () =>
    Effect.gen(function*() {
      const never = yield* watching({ answer: () => Effect.succeed(headAt(12, "unknown")), stored: [] })
      yield* never.fallIdle
      yield* elapse(120)
      assert.deepInclude(yield* never.outcome, { _tag: "ReconnectFrom", isFailure: true })
      const inRange = yield* watching({ answer: () => Effect.succeed(headAt(30)) })
      inRange.activity.onEvent(started(10, 30, upTo(9)), 0)
      yield* inRange.fallIdle
      yield* elapse(200)
      assert.deepInclude(yield* inRange.outcome, { _tag: "ReconnectFrom", isFailure: true })
    }))

  it.effect("is not caught up because one read of the head failed", () =>
    Effect.gen(function*() {
      const it = yield* watching({
        answer: (_, asked) =>
          asked === 2
            ? Effect.fail(sourceHeadError({ reason: "Timeout", retryable: true }))
            : Effect.succeed(headAt(12))
      })
      yield* it.fallSilent
      yield* elapse(9)
      assert.strictEqual((yield* it.status())?.phase, "starting")
      assert.deepStrictEqual(it.lines, [])
    }))

  it.effect("is given up where the source has more, and the next one counts it as a failure", () =>
    Effect.gen(function*() {
      const it = yield* watching({ answer: () => Effect.succeed(headAt(12)) })
      yield* it.fallSilent
      yield* elapse(60)
      assert.deepInclude(yield* it.outcome, {
        _tag: "ReconnectFrom",
        strategy: { kind: "resume", resets: 0 },
        isFailure: true
      })
    }))

  it.effect("whose block the source no longer has is diverged, and caught up again once a reorg has come", () =>
    Effect.gen(function*() {
      let answer = headAt(7, "orphaned")
      const it = yield* watching({ answer: () => Effect.succeed(answer) })
      yield* it.fallSilent
      yield* elapse(30)
      const status = yield* it.status()
      assert.strictEqual(status?.phase, "diverged")
      assert.include(status?.reason, "the source no longer has block 9")
      assert.isUndefined(it.fiber.pollUnsafe(), "only ON_CHAIN_RESET=resync acts on it")
      it.activity.onEvent(
        {
          _tag: "Reorg",
          deleteFrom: 5n,
          watermark: block("4a"),
          replaced: block("9a"),
          range: { ...started(5, 7, upTo(4)).range },
          checkpoint: upTo(4)
        },
        0
      )
      for (const number of [5, 6, 7]) yield* it.receive(number)
      answer = headAt(7)
      yield* elapse(30)
      assert.strictEqual((yield* it.status())?.phase, "caught up")
    }))

  it.effect("whose block the source no longer has starts again from the first block with ON_CHAIN_RESET=resync", () =>
    Effect.gen(function*() {
      const it = yield* watching({
        answer: () => Effect.succeed(headAt(7, "orphaned")),
        onChainReset: "resync"
      })
      yield* it.fallSilent
      yield* elapse(30)
      assert.deepInclude(yield* it.outcome, {
        _tag: "ReconnectFrom",
        strategy: { kind: "restart", replaced: block("9a") },
        isFailure: false
      })
    }))
})
