/** The phases of a table during one attempt, by the test clock. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { TestClock } from "effect/testing"
import { headAt } from "../../doubles/SourceHead.ts"
import { frames } from "../../support/frames.ts"
import { data, keepAlive, type Message, reorg, watermark } from "../../support/scenario.ts"
import { supervised } from "../../support/supervised.ts"

type Dialect = "amp" | "nozzle"

/** Messages that come after so many milliseconds of silence. */
type Arrival = readonly [afterMillis: number, messages: ReadonlyArray<Message>]

/** A whole range of `blocks` blocks: amp declares its end, on nozzle its successor completes it. */
const whole = (dialect: Dialect, start: number, blocks: number, rows = 1, branch = "a"): ReadonlyArray<Message> => {
  const end = start + blocks - 1
  const range = { ...data(start, end, branch), rows }
  return dialect === "amp" ? [range, watermark(end)] : [range]
}

/** `count` ranges of `blocks` blocks from `first` on, one every `everyMillis`. */
const every = (
  everyMillis: number,
  count: number,
  rangeAt: (start: number, blocks: number) => ReadonlyArray<Message>,
  first = 10,
  blocks = 1
): ReadonlyArray<Arrival> => Array.from({ length: count }, (_, i) => [everyMillis, rangeAt(first + i * blocks, blocks)])

const streamOf = (dialect: Dialect, arrivals: ReadonlyArray<Arrival>) => {
  const [schema, ...messages] = frames(dialect, ...arrivals.flatMap(([, of]) => of))
  let from = 0
  const timed = arrivals.map(([afterMillis, of]) => {
    from += of.length
    return { afterMillis, messages: messages.slice(from - of.length, from) }
  })
  return Stream.make(schema!).pipe(
    Stream.concat(
      Stream.fromIterable(timed).pipe(
        Stream.rechunk(1),
        Stream.mapEffect((arrival) => Effect.delay(Effect.succeed(arrival.messages), arrival.afterMillis)),
        Stream.flatMap((now) => Stream.fromIterable(now)),
        Stream.rechunk(1)
      )
    ),
    Stream.concat(Stream.never)
  )
}

/** The changes of the phase while `arrivals` come and for so long afterwards, each with its time in milliseconds. */
const phasesOf = Effect.fnUntraced(function*(
  dialect: Dialect,
  arrivals: ReadonlyArray<Arrival>,
  options: { readonly afterwardsMillis?: number; readonly commitMillis?: (lastBlock: number) => number } = {}
) {
  const it = yield* supervised({
    dialect,
    open: () => Effect.succeed(streamOf(dialect, arrivals)),
    answer: (_, { lastBlock }) => Effect.sleep(options.commitMillis?.(Number(lastBlock)) ?? 5)
  })
  const untilMillis = arrivals.reduce((sum, [afterMillis]) => sum + afterMillis, options.afterwardsMillis ?? 0)
  yield* Effect.repeat(TestClock.adjust("10 millis"), { times: untilMillis / 10 })
  return [...it.phases]
})

const names = (phases: ReadonlyArray<readonly [number, string]>) => phases.map(([, phase]) => phase)

/** Where the head of the source is not known, a table may count as caught up only at the next check. */
const TICK_MILLIS = 15_000

describe("a table has caught up", () => {
  for (const dialect of ["amp", "nozzle"] as const) {
    const ranges = (rows: number) => (start: number, blocks: number) => whole(dialect, start, blocks, rows)
    const size = dialect === "amp" ? 1_000 : 100_000

    for (const blockMillis of [100, 200, 1_000, 12_000]) {
      it.effect(`soon after its history, and stays so at blocks of ${blockMillis} ms (${dialect})`, () =>
        Effect.gen(function*() {
          const history = every(50, 10, ranges(500), 10, size)
          const phases = yield* phasesOf(dialect, [
            ...history,
            ...every(blockMillis, Math.floor(30_000 / blockMillis), ranges(3), 10 + 10 * size)
          ])
          assert.deepStrictEqual(names(phases), ["catching up", "caught up"])
          assert.isBelow(phases[1]![0], 500 + 3_500)
          assert.isAtLeast(phases[1]![0], 500 + 1_000)
        }))
    }

    it.effect.each(
      [
        ["comes faster than it can be committed", 10, 300, 500],
        ["comes fast", 10, 5, 500],
        ["comes slowly", 200, 5, 500],
        ["comes in pauses of nearly a second", 900, 5, 1],
        ["comes in pauses, without rows", 900, 5, 0]
      ] as const
    )(
      `not while its history %s, in long ranges (${dialect})`,
      ([, everyMillis, commitMillis, rows]) =>
        Effect.gen(function*() {
          const arrivals = every(everyMillis, Math.min(300, 20_000 / everyMillis), ranges(rows), 10, size)
          const phases = yield* phasesOf(dialect, arrivals, { commitMillis: () => commitMillis })
          assert.deepStrictEqual(names(phases), ["catching up"])
        })
    )

    it.effect(`not while short ranges come in a hurry, however much is waited between two of them (${dialect})`, () =>
      Effect.gen(function*() {
        const phases = yield* phasesOf(dialect, every(100, 100, ranges(5), 10, 20), { afterwardsMillis: 2_000 })
        assert.deepStrictEqual(names(phases), ["catching up", "caught up"])
        assert.isAbove(phases[1]![0], 10_000)
      }))

    it.effect(`no longer when a long range comes, and again at the next check (${dialect})`, () =>
      Effect.gen(function*() {
        const phases = yield* phasesOf(dialect, [
          ...every(200, 20, ranges(3)),
          ...every(10_000, 1, ranges(500), 30, 600),
          ...every(200, 100, ranges(3), 630)
        ])
        assert.deepStrictEqual(names(phases), ["catching up", "caught up", "catching up", "caught up"])
        const [lost, again] = [phases[2]![0], phases[3]![0]]
        assert.isBelow(lost, 14_100)
        assert.isBelow(again - lost, 1_500 + TICK_MILLIS)
      }))

    it.effect(`also where several blocks come at once, are replaced, or wait for a commit of seconds (${dialect})`, () =>
      Effect.gen(function*() {
        const burst = Array.from({ length: 20 }, (_, i) => ranges(3)(60 + i, 1)).flat()
        const replaced: ReadonlyArray<Message> = dialect === "amp"
          ? [reorg(76, 79), watermark(79)]
          : [reorg(76, 79)]
        const phases = yield* phasesOf(dialect, [
          ...every(200, 50, ranges(3)),
          [4_000, burst],
          [200, replaced],
          ...every(200, 50, (start) => whole(dialect, start, 1, 3, "b"), 80)
        ], { commitMillis: (block) => block === 100 ? 3_000 : 5 })
        assert.deepStrictEqual(names(phases), ["catching up", "caught up"])
      }))

    it.effect(`also where commits leave only moments between two blocks (${dialect})`, () =>
      Effect.gen(function*() {
        // A common tick falls into a commit.
        yield* TestClock.adjust(TICK_MILLIS - 1_080)
        const phases = yield* phasesOf(dialect, [[900, ranges(3)(10, 1)], ...every(1_000, 12, ranges(3), 11)], {
          commitMillis: () => 500
        })
        assert.deepStrictEqual(names(phases), ["catching up", "caught up"])
        assert.isBelow(phases[1]![0] - phases[0]![0], 5_000)
      }))

    it.effect(`no longer when blocks come faster than they are committed (${dialect})`, () =>
      Effect.gen(function*() {
        const phases = yield* phasesOf(dialect, every(100, 300, ranges(3)), {
          commitMillis: (block) => block < 60 ? 5 : 6_000
        })
        assert.deepStrictEqual(names(phases), ["catching up", "caught up", "catching up"])
      }))
  }

  it.effect("not in the middle of a long range whose end will be declared, however long the server works at it", () =>
    Effect.gen(function*() {
      const [begins, completes] = whole("amp", 10, 1_000, 500)
      const more = { ...data(10, 1_009), rows: 0 }
      const phases = yield* phasesOf("amp", [[10, [begins!]], [40_000, [more]], [40_000, [completes!]]], {
        afterwardsMillis: 1_200
      })
      assert.deepStrictEqual(names(phases), ["catching up", "caught up"])
      assert.isAbove(phases[1]![0], 81_000)
    }))

  it.effect("not in the pauses of a long range whose end is not declared, but when one lasts for three seconds", () =>
    Effect.gen(function*() {
      const pieces = Array.from({ length: 10 }, (): Arrival => [2_500, whole("nozzle", 10, 100_000)])
      const phases = yield* phasesOf("nozzle", pieces, { afterwardsMillis: 4_000 })
      assert.deepStrictEqual(names(phases), ["catching up", "caught up"])
      assert.isAtLeast(phases[1]![0], 28_000)
    }))

  it.effect("not with a server that never sent anything", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(names(yield* phasesOf("amp", [], { afterwardsMillis: 10_000 })), ["catching up"])
    }))
})

describe("an attempt", () => {
  it.effect("asks the server once, for what follows the watermark, and records what it commits", () =>
    Effect.gen(function*() {
      const it = yield* supervised({
        stored: ["4a", "9a"],
        open: () => Effect.succeed(streamOf("amp", [[10, whole("amp", 10, 5, 3)]])),
        head: () => Effect.succeed(headAt(14))
      })
      yield* Effect.repeat(TestClock.adjust("100 millis"), { times: 20 })
      assert.lengthOf(it.requests, 1)
      assert.deepInclude(it.requests[0]!.cursor, { network: "anvil", number: 9n })
      assert.deepInclude(yield* it.status, {
        phase: "caught up",
        rowsCommitted: 3,
        blocksCommitted: 5n,
        watermark: 14n,
        lastBlock: 14n
      })
      assert.strictEqual((yield* it.status).sourceHead?.block, 14n)
      assert.deepStrictEqual(it.transactions().map(({ deleteFrom }) => deleteFrom), [10n])
    }))

  it.effect("takes what is declared in messages of metadata alone, without an Arrow header", () =>
    Effect.gen(function*() {
      const empty = new Uint8Array(0)
      const [schema, ...messages] = frames(
        "amp",
        keepAlive(0, 5),
        data(0, 5),
        watermark(5),
        keepAlive(6, 6),
        watermark(6)
      )
      const alone = messages.map((frame, index) =>
        index === 1 ? frame : { ...frame, dataHeader: empty, dataBody: empty }
      )
      const it = yield* supervised({
        open: () => Effect.succeed(Stream.concat(Stream.make(schema!, ...alone), Stream.never))
      })
      yield* Effect.repeat(TestClock.adjust("100 millis"), { times: 20 })
      assert.deepInclude(yield* it.status, { rowsCommitted: 1, blocksCommitted: 7n, watermark: 6n })
      assert.lengthOf(it.requests, 1)
    }))
})
