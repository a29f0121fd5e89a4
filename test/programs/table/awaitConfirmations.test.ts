/** A table whose rows wait for confirmations, by the test clock. */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, References, Stream } from "effect"
import { TestClock } from "effect/testing"
import type { FlightData } from "../../../src/domain/flight/FlightData.ts"
import { awaitConfirmations } from "../../../src/programs/table/awaitConfirmations.ts"
import type { FlightError } from "../../../src/services/FlightClient.ts"
import { TableHeld } from "../../../src/services/TableLeases.ts"
import { flightError } from "../../doubles/FlightClient.ts"
import { type HeadAnswer, headAt, sourceHeadError } from "../../doubles/SourceHead.ts"
import { frames } from "../../support/frames.ts"
import { block, data, type Message, reorg, watermark } from "../../support/scenario.ts"
import { type Script, supervised } from "../../support/supervised.ts"

type Dialect = "amp" | "nozzle"

const elapse = (seconds: number) => Effect.repeat(TestClock.adjust("100 millis"), { times: seconds * 10 - 1 })

/** Messages that come after so many seconds. */
type Arrival = readonly [afterSeconds: number, ...messages: ReadonlyArray<Message>]

const streamOf = (dialect: Dialect, arrivals: ReadonlyArray<Arrival>, onPull?: (frame: FlightData) => void) => {
  const [schema, ...all] = frames(dialect, ...arrivals.flatMap(([, ...messages]) => messages))
  let from = 0
  const timed = arrivals.map(([after, ...messages]) => {
    from += messages.length
    return Stream.fromIterable(all.slice(from - messages.length, from)).pipe(
      Stream.rechunk(1),
      Stream.tap((frame) => Effect.sync(() => onPull?.(frame))),
      (now) => Stream.concat(Stream.drain(Stream.fromEffect(Effect.sleep(`${after} seconds`))), now)
    )
  })
  return timed.reduce((before, next) => Stream.concat(before, next), Stream.make(schema!)).pipe(
    Stream.concat(Stream.never)
  )
}

const amp = (start: number, end: number, rows = 1): ReadonlyArray<Message> => [
  { ...data(start, end), rows },
  watermark(end)
]

interface Confirming extends Partial<Script> {
  readonly arrivals: ReadonlyArray<Arrival>
  readonly confirmations?: number
  readonly onPull?: (frame: FlightData) => void
}

const confirming = ({ arrivals, confirmations = 3, dialect = "amp", onPull, ...script }: Confirming) =>
  supervised({
    stored: ["9a"],
    dialect,
    settings: { CONFIRMATIONS: confirmations },
    open: () => Effect.succeed(streamOf(dialect, arrivals, onPull)),
    ...script
  })

type Supervised = Effect.Success<ReturnType<typeof supervised>>

/** First row and watermark of every commit. */
const commits = (it: Supervised) =>
  it.committed().map((chunk) => `${chunk.rows} rows, ${chunk.checkpoint.history.at(-1)?.block}`)

/** The source has one chain, whose head the test moves. */
const source = (
  head: number
): { at: number; verdict: "canonical" | "orphaned" | "unknown"; readonly answer: HeadAnswer } => {
  const state = {
    at: head,
    verdict: "canonical" as "canonical" | "orphaned" | "unknown",
    answer: (() => Effect.sync(() => headAt(state.at, state.verdict))) as HeadAnswer
  }
  return state
}

describe("a table whose rows wait for confirmations", () => {
  it.effect("has a block as soon as so many blocks of the stream are on top of it, and not before", () =>
    Effect.gen(function*() {
      const it = yield* confirming({
        arrivals: [[1, ...amp(10, 10)], [1, ...amp(11, 11)], [1, ...amp(12, 12)], [5, ...amp(13, 13)], [
          5,
          ...amp(14, 14)
        ]]
      })
      yield* elapse(7)
      assert.deepStrictEqual(commits(it), [])
      assert.deepInclude((yield* it.status).held, { blocks: 3n, rows: 3 })
      yield* elapse(3)
      assert.deepStrictEqual(commits(it), ["1 rows, 10"])
      yield* elapse(5)
      assert.deepStrictEqual(commits(it), ["1 rows, 10", "1 rows, 11"])
      assert.deepInclude((yield* it.status).held, { blocks: 3n, rows: 3 })
      assert.strictEqual((yield* it.status).confirmations, 3)
    }))

  it.effect("has a range only when its last block is confirmed: the range of the tip waits as a whole", () =>
    Effect.gen(function*() {
      const it = yield* confirming({ arrivals: [[1, ...amp(10, 40, 20)], [1, ...amp(41, 42)], [5, ...amp(43, 43)]] })
      yield* elapse(6)
      assert.deepStrictEqual(commits(it), [])
      yield* elapse(3)
      assert.deepStrictEqual(commits(it), ["20 rows, 40"])
    }))

  it.effect("needs no stage and asks nothing where it needs none", () =>
    Effect.gen(function*() {
      const stream = Stream.never
      assert.strictEqual(
        awaitConfirmations({ confirmations: 0 } as Parameters<typeof awaitConfirmations>[0])(stream),
        stream
      )
      const it = yield* confirming({ arrivals: [[1, ...amp(10, 10)]], confirmations: 0 })
      yield* elapse(2)
      assert.deepStrictEqual(commits(it), ["1 rows, 10"])
    }))
})

describe("where the stream is silent, rows are written", () => {
  for (const dialect of ["amp", "nozzle"] as const) {
    it.effect(`once the source has them, and so many blocks on top of them (${dialect})`, () =>
      Effect.gen(function*() {
        const head = source(12)
        const range = dialect === "amp" ? amp(10, 10) : [data(10, 10)]
        const it = yield* confirming({ dialect, arrivals: [[1, ...range]], head: head.answer })
        yield* elapse(60)
        assert.deepStrictEqual(commits(it), [])
        head.at = 13
        yield* elapse(16)
        // A nozzle server does not report that a range is complete: its rows are provisional until the next one.
        assert.deepStrictEqual(commits(it), [dialect === "amp" ? "1 rows, 10" : "1 rows, 9"])
        assert.deepStrictEqual((yield* it.status).held, { blocks: 0n, rows: 0, bytes: 0 })
      }))
  }

  it.effect("not where the source has another block in their place, or shows none", () =>
    Effect.gen(function*() {
      const head = source(50)
      head.verdict = "unknown"
      const it = yield* confirming({ dialect: "nozzle", arrivals: [[1, data(10, 10)]], head: head.answer })
      yield* elapse(120)
      assert.deepStrictEqual(commits(it), [])
      assert.lengthOf(it.requests, 1)
      head.verdict = "orphaned"
      yield* elapse(60)
      assert.deepStrictEqual(commits(it), [])
      assert.isAtLeast(it.requests.length, 2, "it asks again for what replaced them")
      assert.isAtMost(it.requests.length, 4)
      assert.include(it.lines.join("\n"), "the source no longer has block 10, which waited for confirmations")
    }))

  it.effect("not where stream and source are on different chains for good, which is retried, and stalled when it lasts", () =>
    Effect.gen(function*() {
      const head = source(50)
      head.verdict = "orphaned"
      const it = yield* confirming({ arrivals: [[1, ...amp(10, 10)]], head: head.answer })
      const reason = "the source no longer has block 10, which waited for confirmations"
      for (let seconds = 0; seconds < 60; seconds += 1) yield* TestClock.adjust("1 second")
      assert.include(it.phases.map(([, phase]) => phase), "retrying")
      assert.include(it.lines.join("\n"), `(attempt 1/5): ${reason}`)
      for (let seconds = 0; seconds < 300; seconds += 1) yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* it.phase, "stalled")
      assert.include((yield* it.status).reason, reason)
      assert.deepStrictEqual(commits(it), [])
      head.verdict = "canonical"
      head.at = 13
      for (let seconds = 0; seconds < 120; seconds += 1) yield* TestClock.adjust("1 second")
      assert.strictEqual(commits(it)[0], "1 rows, 10")
      assert.notStrictEqual(yield* it.phase, "stalled")
    }))

  it.effect("not where the head was read after the block, and may be of another chain", () =>
    Effect.gen(function*() {
      const it = yield* confirming({
        dialect: "nozzle",
        arrivals: [[1, data(10, 10)]],
        head: () => Effect.succeed({ ...headAt(50), isHeadLater: true })
      })
      yield* elapse(60)
      assert.deepStrictEqual(commits(it), [])
    }))

  it.effect("never where the chain cannot be read, but by the blocks that come later", () =>
    Effect.gen(function*() {
      const it = yield* confirming({ arrivals: [[1, ...amp(10, 10)], [120, ...amp(11, 13)]] })
      yield* elapse(110)
      assert.deepStrictEqual(commits(it), [])
      assert.strictEqual(yield* it.phase, "caught up", "silence is all there is")
      yield* elapse(15)
      assert.deepStrictEqual(commits(it), ["1 rows, 10"])
    }))
})

describe("rows of a backlog", () => {
  it.effect("are written as they come, before their range is complete", () =>
    Effect.gen(function*() {
      const head = source(10_000)
      const it = yield* confirming({
        arrivals: [[1, { ...data(10, 1_009), rows: 1 }], [3, { ...data(10, 1_009), rows: 1 }], [1, watermark(1_009)]],
        head: head.answer
      })
      yield* elapse(3.5)
      assert.deepStrictEqual(commits(it), ["1 rows, 9"])
      yield* elapse(4)
      assert.deepStrictEqual(commits(it), ["1 rows, 9", "1 rows, 9", "0 rows, 1009"])
    }))

  it.effect("need no question where the ranges come one after the other", () =>
    Effect.gen(function*() {
      const arrivals = Array.from({ length: 50 }, (_, i): Arrival => [0.1, ...amp(10 + 100 * i, 109 + 100 * i)])
      const it = yield* confirming({ arrivals, head: source(100_000).answer })
      yield* elapse(5)
      assert.isAtLeast(it.committed().reduce((sum, { rows }) => sum + rows, 0), 45)
      assert.isAtMost(it.head.askedAt.length, 3)
    }))

  it.effect("are not caught up before all that is confirmed is written", () =>
    Effect.gen(function*() {
      const head = source(500)
      const it = yield* confirming({
        arrivals: [[1, ...amp(10, 500, 50)], [70, ...amp(501, 503)]],
        head: head.answer
      })
      yield* elapse(60)
      assert.strictEqual(yield* it.phase, "catching up", "490 blocks of the range are confirmed, and none is written")
      head.at = 503
      yield* elapse(31)
      assert.deepStrictEqual(commits(it), ["50 rows, 500"])
      assert.strictEqual(yield* it.phase, "caught up")
    }))
})

describe("a reorg", () => {
  it.effect("of blocks that wait leaves no trace", () =>
    Effect.gen(function*() {
      const it = yield* confirming({
        arrivals: [
          [1, ...amp(10, 10)],
          [1, ...amp(11, 11)],
          [1, ...amp(12, 12)],
          [1, reorg(11, 13), watermark(13)],
          [1, { ...data(14, 14, "b"), rows: 1 }, watermark(14)]
        ]
      })
      yield* elapse(8)
      assert.deepStrictEqual(commits(it), ["1 rows, 10"])
      assert.deepStrictEqual(it.committed().flatMap(({ reorgs }) => reorgs), [])
      assert.isFalse(it.lines.some((line) => line.includes("Reorg detected")))
      assert.isTrue(it.lines.some((line) => line.includes("2 blocks with 2 rows were replaced while they waited")))
      assert.deepInclude((yield* it.status).held, { blocks: 4n, rows: 2 })
    }).pipe(Effect.provideService(References.MinimumLogLevel, "Debug")))

  it.effect("that reaches below what is written deletes it at once, and what replaces it waits", () =>
    Effect.gen(function*() {
      const it = yield* confirming({
        arrivals: [
          [1, ...amp(10, 10)],
          [1, ...amp(11, 11)],
          [1, ...amp(12, 20)],
          [2, reorg(11, 21), watermark(21)],
          [9, { ...data(22, 24, "b"), rows: 1 }, watermark(24)]
        ]
      })
      yield* elapse(4)
      assert.deepStrictEqual(commits(it), ["2 rows, 11"])
      yield* elapse(3)
      const deletion = it.committed().at(-1)!
      assert.deepInclude(deletion, { deleteFrom: 11n, rows: 0 })
      assert.deepStrictEqual(deletion.checkpoint.history.at(-1), block("10a"))
      assert.lengthOf(deletion.reorgs, 1)
      assert.isTrue(it.lines.some((line) => line.includes("Reorg detected")))
      yield* elapse(8)
      assert.deepStrictEqual(it.committed().at(-1)?.checkpoint.history, [block("9a"), block("10a"), block("21b")])
      assert.lengthOf(it.requests, 1)
    }))

  it.effect("that splits a range which waits is asked for again from what is durable", () =>
    Effect.gen(function*() {
      const it = yield* confirming({ arrivals: [[1, ...amp(10, 20)], [1, reorg(15, 21), watermark(21)]] })
      yield* elapse(4)
      assert.deepStrictEqual(commits(it), [])
      assert.lengthOf(it.requests, 2)
      assert.strictEqual(it.requests[1]!.cursor?.number, 9n)
      assert.include(it.lines.join("\n"), "blocks from 15 on were replaced while a range that contains them waited")
    }))
})

describe("connections that live shorter than confirmations take", () => {
  /** A chain with a block per second, and connections that break after two of them. */
  const shortLived = (broken: Effect.Effect<never, FlightError>): Script["open"] => (_, { cursor }) =>
    Effect.map(Clock.currentTimeMillis, (now) => {
      const [from, tip] = [Number(cursor?.number ?? 9n) + 1, 10 + Math.floor(now / 1_000)]
      const backlog = from > tip ? [] : amp(from, tip)
      const later = [tip + 1, tip + 2].map((number): Arrival => [1, ...amp(number, number)])
      const lives = streamOf("amp", [[0, ...backlog], ...later])
      return Stream.concat(Stream.take(lives, 1 + backlog.length + 4), Stream.fromEffectDrain(broken))
    })

  it.effect("continue behind what waits, so that the table follows the chain", () =>
    Effect.gen(function*() {
      const it = yield* confirming({ arrivals: [], confirmations: 6, open: shortLived(Effect.fail(flightError())) })
      yield* elapse(60)
      const written = Number(it.committed().at(-1)?.checkpoint.history.at(-1)?.block ?? 0n)
      assert.isAbove(written, 50)
      assert.isAtMost(written + 6, 72)
      assert.deepStrictEqual(it.committed().flatMap(({ reorgs }) => reorgs), [])
      assert.isAtLeast(it.requests.length, 10)
      const rows = it.committed().reduce((sum, chunk) => sum + chunk.rows, 0)
      assert.isAtMost(rows, written - 9, "no row came twice")
      assert.isBelow((yield* it.status).held.bytes, 100_000)
    }))

  it.effect("begin again from what is durable after another process wrote", () =>
    Effect.gen(function*() {
      let isHeld = false
      const it = yield* confirming({
        arrivals: [],
        confirmations: 1_000,
        open: shortLived(Effect.fail(flightError())),
        acquire: Effect.suspend(() =>
          isHeld ? Effect.fail(new TableHeld({ table: "t", writer: "other" })) : Effect.void
        )
      })
      yield* elapse(10)
      assert.isAbove(Number(it.requests.at(-1)?.cursor?.number), 9)
      isHeld = true
      yield* elapse(70)
      assert.strictEqual(yield* it.phase, "standby")
      const before = it.requests.length
      isHeld = false
      yield* elapse(4)
      assert.strictEqual(it.requests[before]?.cursor?.number, 9n)
      assert.deepStrictEqual(it.committed(), [])
    }))
})

describe("the memory for rows that wait", () => {
  const large = Array.from({ length: 40 }, (): Message => ({ ...data(10, 10), rows: 1_000 }))

  it.effect("is bounded: nothing more is read, that is no silence, and the source confirms what is there", () =>
    Effect.gen(function*() {
      let pulled = 0
      const head = source(12)
      const it = yield* confirming({
        arrivals: [[1, ...large, watermark(10)], [0, ...amp(11, 11)]],
        head: head.answer,
        heldBytes: 50_000,
        onPull: () => void (pulled += 1)
      })
      yield* elapse(400)
      assert.isBelow(pulled, 10)
      assert.isBelow((yield* it.status).held.bytes, 50_000 + 3 * 10_000)
      assert.deepStrictEqual(commits(it), [])
      assert.lengthOf(it.requests, 1, "the stream is not opened again")
      assert.strictEqual(yield* it.phase, "catching up")
      head.at = 13
      yield* elapse(20)
      assert.strictEqual(pulled, 43)
      assert.strictEqual(it.committed().reduce((sum, { rows }) => sum + rows, 0), 40_000)
      assert.strictEqual(it.committed().at(-1)?.checkpoint.history.at(-1)?.block, 10n)
    }))

  it.effect("that is used up by rows which cannot be confirmed is an error, and the table is tried again ever more slowly", () =>
    Effect.gen(function*() {
      const it = yield* confirming({ arrivals: [[1, ...large]], heldBytes: 50_000 })
      yield* elapse(58)
      assert.lengthOf(it.requests, 1)
      yield* elapse(600)
      assert.isAtLeast(it.requests.length, 3)
      assert.isBelow(it.requests.length, 9)
      assert.include(it.lines.join("\n"), "wait for 3 confirmations and use up CONFIRMATIONS_MAX_MB")
      assert.strictEqual(yield* it.phase, "stalled")
    }))

  it.effect("that is used up by rows which were replaced is given back", () =>
    Effect.gen(function*() {
      const head = source(12)
      const it = yield* confirming({ arrivals: [[1, ...large]], heldBytes: 50_000, head: head.answer })
      yield* elapse(30)
      head.verdict = "orphaned"
      yield* elapse(45)
      assert.isAtLeast(it.requests.length, 2)
      assert.isAtMost(it.requests.length, 3)
    }))

  it.effect("is asked for again where the source could not be read for a while", () =>
    Effect.gen(function*() {
      let isDown = true
      const it = yield* confirming({
        arrivals: [[1, ...large, watermark(10)]],
        heldBytes: 50_000,
        head: () =>
          Effect.suspend(() =>
            isDown
              ? Effect.fail(sourceHeadError({ reason: "Timeout", retryable: true }))
              : Effect.succeed(headAt(13))
          )
      })
      yield* elapse(40)
      isDown = false
      yield* elapse(20)
      assert.lengthOf(it.requests, 1)
      assert.deepStrictEqual(it.committed().reduce((sum, { rows }) => sum + rows, 0), 40_000)
    }))
})
