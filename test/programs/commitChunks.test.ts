import { assert, describe, it } from "@effect/vitest"
import { Clock, Deferred, Effect, Exit, Fiber, Ref, Semaphore, Stream } from "effect"
import { SqlError } from "effect/sql"
import { TestClock } from "effect/testing"
import { initialBatchSize, MAX_CHUNK_BYTES } from "../../src/domain/BatchSize.ts"
import type { BlockRange } from "../../src/domain/chain/BlockRange.ts"
import type { Chunk, Part } from "../../src/domain/chain/Chunk.ts"
import type { Known } from "../../src/domain/chain/FollowState.ts"
import { commitChunks } from "../../src/programs/commitChunks.ts"
import { Fenced } from "../../src/services/Checkpoints.ts"

const hash = (block: bigint): string => `0x${block.toString(16).padStart(64, "0")}`
const rangeOf = (start: bigint, end: bigint): BlockRange => ({
  network: "anvil",
  start,
  end,
  hash: hash(end),
  prevHash: hash(start - 1n),
  timestamp: undefined
})
const knownUpTo = (...blocks: ReadonlyArray<bigint>): Known => ({
  network: "anvil",
  origin: 0n,
  history: blocks.map((block) => ({ block, hash: hash(block) })),
  unverifiedFrom: undefined
})

const range = (start: bigint, end: bigint, known: Known, endIsTold = true): Part => ({
  _tag: "Range",
  range: rangeOf(start, end),
  known,
  endIsTold
})
const watermark = (start: bigint, end: bigint, known: Known): Part => ({
  _tag: "Watermark",
  range: rangeOf(start, end),
  known
})
const rows = (count: number, bytes = 10): Part => ({ _tag: "Rows", bytes: new Uint8Array(bytes), rows: count })
const rewind = (from: bigint, end: bigint, known: Known): Part => ({
  _tag: "Rewind",
  known,
  rewind: {
    _tag: "Rewind",
    deleteFrom: from,
    watermark: known.history.at(-1),
    replaced: undefined,
    range: rangeOf(from, end)
  }
})

/** `count` complete ranges of one block each, from `first` on. */
const ranges = (first: bigint, count: number, rowsEach = 1): ReadonlyArray<Part> =>
  Array.from({ length: count }, (_, i) => first + BigInt(i)).flatMap((block) => [
    range(block, block, knownUpTo(block - 1n)),
    rows(rowsEach),
    watermark(block, block, knownUpTo(block))
  ])

const bench = (options: {
  readonly parts: Stream.Stream<Part, string>
  readonly commit?: (chunk: Chunk) => Effect.Effect<void, SqlError.SqlError | Fenced>
  readonly rows?: number
  readonly permits?: Semaphore.Semaphore
  readonly known?: Known
}) =>
  Effect.gen(function*() {
    const committed: Array<Chunk> = []
    const failed: Array<Chunk> = []
    /** What was told of the pace, and when. */
    const told: Array<readonly [number, string]> = []
    const size = yield* Ref.make({ ...initialBatchSize, rows: options.rows ?? 1_000 })
    /** How many rows a chunk was meant to have when it was committed. */
    const wanted: Array<number> = []
    const run = Effect.scoped(commitChunks(options.parts, {
      writer: {
        plan: { columns: [], position: { kind: "rangeEnd" }, textNul: "refuse" },
        rangeMode: false,
        known: options.known ?? knownUpTo(9n),
        rows: 0n,
        notes: [],
        commit: (chunk) =>
          (options.commit?.(chunk) ?? Effect.void).pipe(
            Effect.andThen(Effect.map(Ref.get(size), ({ rows }) => wanted.push(rows))),
            Effect.andThen(Effect.sync(() => committed.push(chunk))),
            Effect.as({ rowsRemoved: 0 })
          )
      },
      permits: options.permits ?? (yield* Semaphore.make(1)),
      size,
      onCommit: () => Effect.void,
      onFailure: (chunk) => Effect.sync(() => failed.push(chunk)),
      onPace: (phase) => Effect.map(Clock.currentTimeMillis, (now) => void told.push([now, phase]))
    }))
    return { run, committed, wanted, failed, told, phases: () => told.map(([, phase]) => phase) }
  })

const blocksOf = (chunks: ReadonlyArray<Chunk>) =>
  chunks.map((chunk) => [chunk.rows, chunk.known.history.at(-1)?.block, chunk.deleteFrom] as const)

describe("chunks", () => {
  it.live("share one transaction while there is a backlog, and the first owes the deletion above the watermark", () =>
    Effect.gen(function*() {
      const it = yield* bench({ parts: Stream.fromIterable(ranges(10n, 3)) })
      yield* it.run
      assert.strictEqual(it.committed.reduce((sum, chunk) => sum + chunk.rows, 0), 3)
      assert.deepStrictEqual(it.committed.map((chunk) => chunk.deleteFrom), [
        10n,
        ...it.committed.slice(1).map(() => undefined)
      ])
      assert.strictEqual(it.committed.at(-1)?.known.history.at(-1)?.block, 12n)
      assert.strictEqual(it.committed.at(-1)?.openRows, 0)
    }))

  it.effect("I4 end after a second, so that long ranges without rows hold neither the watermark nor a permit", () =>
    Effect.gen(function*() {
      const empty = (i: number): ReadonlyArray<Part> => {
        const start = 10n + BigInt(i) * 1000n
        return [
          range(start, start + 999n, knownUpTo(start - 1n)),
          watermark(start, start + 999n, knownUpTo(start + 999n))
        ]
      }
      const parts = Stream.range(0, 999).pipe(
        Stream.mapEffect((i) => Effect.delay(Effect.succeed(empty(i)), "10 millis")),
        Stream.flatMap(Stream.fromIterable)
      )
      const it = yield* bench({ parts })
      const fiber = yield* Effect.forkChild(it.run)
      for (let i = 0; i < 1000; i += 1) yield* TestClock.adjust("10 millis")
      assert.isAtLeast(it.committed.length, 8)
      yield* Fiber.interrupt(fiber)
    }))

  it.live("I8 close as soon as they have the rows or the bytes that one may have, whatever the range is", () =>
    Effect.gen(function*() {
      const known = knownUpTo(9n)
      const many = [range(10n, 99n, known), ...Array.from({ length: 40 }, () => rows(30))]
      const byRows = yield* bench({ parts: Stream.fromIterable(many), rows: 100 })
      yield* byRows.run
      assert.isTrue(byRows.committed.every((chunk, i) => chunk.rows < byRows.wanted[i]! + 30))
      assert.isBelow(byRows.committed[0]!.rows, 130)
      assert.strictEqual(byRows.committed.reduce((sum, chunk) => sum + chunk.rows, 0), 1_200)
      const piece = 4 * 1024 * 1024
      const wide = [range(10n, 99n, known), ...Array.from({ length: 12 }, () => rows(1, piece))]
      const byBytes = yield* bench({ parts: Stream.fromIterable(wide), rows: 50_000 })
      yield* byBytes.run
      assert.isTrue(byBytes.committed.every((chunk) => chunk.sizeBytes <= MAX_CHUNK_BYTES + piece))
      assert.isAtLeast(byBytes.committed.length, 3)
    }))

  it.live("close before a rewind, so that rows that are replaced are never in the same chunk as those that replace them", () =>
    Effect.gen(function*() {
      const known = knownUpTo(9n, 10n)
      const it = yield* bench({
        parts: Stream.fromIterable([
          ...ranges(10n, 2),
          rewind(11n, 13n, known),
          range(11n, 13n, known),
          rows(3),
          watermark(11n, 13n, knownUpTo(9n, 10n, 13n))
        ])
      })
      yield* it.run
      const last = it.committed.at(-1)!
      assert.deepStrictEqual(blocksOf([last]), [[3, 13n, 11n]])
      assert.lengthOf(last.reorgs, 1)
      assert.strictEqual(it.committed.slice(0, -1).reduce((sum, chunk) => sum + chunk.rows, 0), 2)
      assert.isTrue(it.committed.slice(0, -1).every((chunk) => chunk.reorgs.length === 0))
    }))

  it.live("never commit a deletion alone: it waits for what follows it", () =>
    Effect.gen(function*() {
      const it = yield* bench({
        parts: Stream.fromIterable([rewind(5n, 13n, knownUpTo(4n)), range(5n, 13n, knownUpTo(4n))])
      })
      yield* it.run
      assert.deepStrictEqual(it.committed, [])
    }))

  it.live("that came before a failure of the stream are committed before it is told", () =>
    Effect.gen(function*() {
      const it = yield* bench({
        parts: Stream.concat(Stream.fromIterable(ranges(10n, 4)), Stream.fail("the stream broke"))
      })
      assert.strictEqual(yield* Effect.flip(it.run), "the stream broke")
      assert.strictEqual(it.committed.reduce((sum, chunk) => sum + chunk.rows, 0), 4)
      assert.strictEqual(it.committed.at(-1)?.known.history.at(-1)?.block, 13n)
    }))

  it.live("I1 after one that failed are not committed, and the next attempt is smaller", () =>
    Effect.gen(function*() {
      const failure = new Fenced({ table: "t" })
      let attempts = 0
      const it = yield* bench({
        parts: Stream.fromIterable(ranges(10n, 50, 10)),
        rows: 100,
        commit: () => Effect.suspend(() => (attempts += 1) === 2 ? Effect.fail(failure) : Effect.void)
      })
      assert.strictEqual(yield* Effect.flip(it.run), failure)
      assert.strictEqual(attempts, 2)
      assert.lengthOf(it.committed, 1)
      assert.lengthOf(it.failed, 1)
    }))

  it.live("I8 of all tables together take no more permits than there are, and a failure gives its permit back", () =>
    Effect.gen(function*() {
      const permits = yield* Semaphore.make(2)
      let running = 0
      let peak = 0
      const commit = (fails: boolean) => () =>
        Effect.gen(function*() {
          running += 1
          peak = Math.max(peak, running)
          yield* Effect.sleep(10)
          running -= 1
          if (fails) return yield* new Fenced({ table: "t" })
        })
      const tables = yield* Effect.forEach(
        [1, 2, 3, 4, 5, 6],
        (n) => bench({ permits, rows: 5, parts: Stream.fromIterable(ranges(10n, 20)), commit: commit(n % 3 === 0) })
      )
      yield* Effect.forEach(tables, ({ run }) => Effect.exit(run), { concurrency: "unbounded" })
      assert.strictEqual(peak, 2)
      assert.isTrue(yield* Effect.isSuccess(Effect.timeout(permits.withPermits(2)(Effect.void), "1 second")))
    }))

  it.effect("at the tip are committed at once, and a second of silence is told", () =>
    Effect.gen(function*() {
      const more = yield* Deferred.make<void>()
      const parts = Stream.concat(
        Stream.fromIterable(ranges(10n, 1)),
        Stream.concat(Stream.drain(Stream.fromEffect(Deferred.await(more))), Stream.fromIterable(ranges(11n, 1)))
      )
      const it = yield* bench({ parts })
      const fiber = yield* Effect.forkChild(it.run)
      for (let i = 0; i < 10; i += 1) yield* TestClock.adjust("5 millis")
      assert.lengthOf(it.committed, 1)
      assert.deepStrictEqual(it.phases(), [])
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(it.phases(), ["caught up"])
      yield* Deferred.succeed(more, undefined)
      yield* Fiber.join(fiber)
      assert.lengthOf(it.committed, 2)
      assert.deepStrictEqual(it.phases(), ["caught up"])
    }))
})

/** What comes after so many milliseconds of nothing. */
type Arrival = readonly [afterMillis: number, parts: ReadonlyArray<Part>]

/** A whole range of `blocks` blocks in the way of either dialect: one tells its end, of the other its successor does. */
const whole = (dialect: "amp" | "nozzle", start: number, blocks: number, rowsEach = 1): ReadonlyArray<Part> => {
  const [from, to] = [BigInt(start), BigInt(start + blocks - 1)]
  const [before, after] = [knownUpTo(from - 1n), knownUpTo(to)]
  const data = rowsEach === 0 ? [] : [rows(rowsEach)]
  return dialect === "amp"
    ? [range(from, to, before), ...data, watermark(from, to, after)]
    : [watermark(from - 1n, from - 1n, before), range(from, to, before, false), ...data]
}

/** `count` ranges of `blocks` blocks from `first` on, one every `everyMillis`. */
const every = (
  everyMillis: number,
  count: number,
  rangeAt: (start: number, blocks: number) => ReadonlyArray<Part>,
  first = 10,
  blocks = 1
): ReadonlyArray<Arrival> => Array.from({ length: count }, (_, i) => [everyMillis, rangeAt(first + i * blocks, blocks)])

/** What is told of the pace while `arrivals` come and for so long afterwards. */
const toldOf = (
  arrivals: ReadonlyArray<Arrival>,
  options: { readonly afterwardsMillis?: number; readonly commitMillis?: (blocks: number) => number } = {}
) =>
  Effect.gen(function*() {
    const parts = Stream.concat(
      Stream.fromIterable(arrivals).pipe(
        Stream.mapEffect(([afterMillis, parts]) => Effect.delay(Effect.succeed(parts), afterMillis)),
        Stream.flatMap(Stream.fromIterable),
        Stream.rechunk(1)
      ),
      Stream.never
    )
    const it = yield* bench({
      parts,
      known: knownUpTo(),
      commit: ({ lastBlock }) => Effect.sleep(options.commitMillis?.(Number(lastBlock)) ?? 5)
    })
    const fiber = yield* Effect.forkChild(it.run)
    const untilMillis = arrivals.reduce((sum, [afterMillis]) => sum + afterMillis, options.afterwardsMillis ?? 0)
    for (let now = 0; now < untilMillis; now += 10) yield* TestClock.adjust("10 millis")
    const told = [...it.told]
    const stopping = yield* Effect.forkChild(Fiber.interrupt(fiber))
    yield* TestClock.adjust("5 seconds")
    yield* Fiber.join(stopping)
    return told
  })

const phasesOf = (told: ReadonlyArray<readonly [number, string]>) => told.map(([, phase]) => phase)

describe("a table has caught up", () => {
  for (const dialect of ["amp", "nozzle"] as const) {
    const ranges = (rowsEach: number) => (start: number, blocks: number) => whole(dialect, start, blocks, rowsEach)
    const size = dialect === "amp" ? 1_000 : 100_000

    for (const blockMillis of [100, 200, 1_000, 12_000]) {
      it.effect(`soon after its history, and stays so at blocks of ${blockMillis} ms (${dialect})`, () =>
        Effect.gen(function*() {
          const history = every(50, 10, ranges(500), 10, size)
          const told = yield* toldOf([
            ...history,
            ...every(blockMillis, Math.floor(30_000 / blockMillis), ranges(3), 10 + 10 * size)
          ])
          assert.deepStrictEqual(phasesOf(told), ["catching up", "caught up"])
          assert.isBelow(told[1]![0], 500 + 3_500)
          assert.isAtLeast(told[1]![0], 500 + 1_000)
        }))
    }

    it.effect(`not while history comes faster than it can be committed, or slower, in long ranges (${dialect})`, () =>
      Effect.gen(function*() {
        const servers = [[10, 300, 500], [10, 5, 500], [200, 5, 500], [900, 5, 1], [900, 5, 0]] as const
        for (const [everyMillis, commitMillis, rowsEach] of servers) {
          const arrivals = every(everyMillis, Math.min(300, 20_000 / everyMillis), ranges(rowsEach), 10, size)
          const told = yield* toldOf(arrivals, { commitMillis: () => commitMillis })
          assert.deepStrictEqual(phasesOf(told), ["catching up"], `${rowsEach} rows every ${everyMillis} ms`)
        }
      }))

    it.effect(`not while short ranges come in a hurry, however much is waited between two of them (${dialect})`, () =>
      Effect.gen(function*() {
        const told = yield* toldOf(every(100, 100, ranges(5), 10, 20), { afterwardsMillis: 2_000 })
        assert.deepStrictEqual(phasesOf(told), ["catching up", "caught up"])
        assert.isAbove(told[1]![0], 10_000)
      }))

    it.effect(`no longer when a long range comes, and again soon after it (${dialect})`, () =>
      Effect.gen(function*() {
        const arrivals = [
          ...every(200, 20, ranges(3)),
          ...every(10_000, 1, ranges(500), 30, 600),
          ...every(200, 20, ranges(3), 630)
        ]
        const told = yield* toldOf(arrivals)
        assert.deepStrictEqual(phasesOf(told), ["caught up", "catching up", "caught up"])
        const [, [lost], [again]] = told as [[number, string], [number, string], [number, string]]
        assert.isBelow(lost, 14_100)
        assert.isBelow(again - lost, 1_500)
      }))

    it.effect(`also where several blocks come at once, are replaced, or wait for a commit of seconds (${dialect})`, () =>
      Effect.gen(function*() {
        const burst = Array.from({ length: 20 }, (_, i) => ranges(3)(60 + i, 1)).flat()
        const arrivals: ReadonlyArray<Arrival> = [
          ...every(200, 50, ranges(3)),
          [4_000, burst],
          [200, [rewind(76n, 79n, knownUpTo(75n)), ...whole(dialect, 76, 4)]],
          ...every(200, 50, ranges(3), 80)
        ]
        const told = yield* toldOf(arrivals, { commitMillis: (block) => block === 100 ? 3_000 : 5 })
        assert.deepStrictEqual(phasesOf(told), ["caught up"])
      }))

    it.effect(`no longer when blocks come faster than they are committed (${dialect})`, () =>
      Effect.gen(function*() {
        const told = yield* toldOf(every(100, 300, ranges(3)), {
          commitMillis: (block) => block < 60 ? 5 : 1_500
        })
        assert.deepStrictEqual(phasesOf(told), ["caught up", "catching up"])
      }))
  }

  it.effect("not in the middle of a long range whose end will be told, however long the server works at it", () =>
    Effect.gen(function*() {
      const [begins, data, completes] = whole("amp", 10, 1_000, 500)
      const told = yield* toldOf([[10, [begins!]], [40_000, [data!]], [40_000, [completes!]]], {
        afterwardsMillis: 1_200
      })
      assert.deepStrictEqual(phasesOf(told), ["catching up", "caught up"])
      assert.isAbove(told[1]![0], 81_000)
    }))

  it.effect("not in the pauses of a long range whose end nobody tells, but when one lasts for three seconds", () =>
    Effect.gen(function*() {
      const [, begins, data] = whole("nozzle", 10, 100_000, 500)
      const pieces = Array.from({ length: 10 }, (): Arrival => [2_500, [data!]])
      const told = yield* toldOf([[10, [begins!]], ...pieces], { afterwardsMillis: 4_000 })
      assert.deepStrictEqual(phasesOf(told), ["catching up", "caught up"])
      assert.isAbove(told[1]![0], 28_000)
    }))

  it.effect("not with a server that never sent anything", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* toldOf([], { afterwardsMillis: 10_000 }), [])
    }))
})

describe("a stop in the middle of a commit", () => {
  const stopped = (commitMillis: number) =>
    Effect.gen(function*() {
      const began = yield* Deferred.make<void>()
      let rolledBack = false
      const it = yield* bench({
        parts: Stream.concat(Stream.fromIterable(ranges(10n, 1)), Stream.never),
        commit: () =>
          Deferred.succeed(began, undefined).pipe(
            Effect.andThen(Effect.sleep(commitMillis)),
            Effect.onInterrupt(() => Effect.sync(() => void (rolledBack = true)))
          )
      })
      const fiber = yield* Effect.forkChild(it.run)
      yield* Deferred.await(began)
      const stopping = yield* Effect.forkChild(Fiber.interrupt(fiber))
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(stopping)
      assert.isTrue(Exit.isFailure(yield* Fiber.await(fiber)))
      return { committed: it.committed.length, rolledBack }
    })

  it.effect("lets it finish when it does so within two seconds", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* stopped(1_500), { committed: 1, rolledBack: false })
    }))

  it.effect("I6 rolls it back when it does not", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* stopped(60_000), { committed: 0, rolledBack: true })
    }))
})
