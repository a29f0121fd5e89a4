import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Ref, Semaphore, Stream } from "effect"
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

const range = (start: bigint, end: bigint, known: Known): Part => ({ _tag: "Range", range: rangeOf(start, end), known })
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
}) =>
  Effect.gen(function*() {
    const committed: Array<Chunk> = []
    const failed: Array<Chunk> = []
    let idles = 0
    const size = yield* Ref.make({ ...initialBatchSize, rows: options.rows ?? 1_000 })
    /** How many rows a chunk was meant to have when it was committed. */
    const wanted: Array<number> = []
    const run = Effect.scoped(commitChunks(options.parts, {
      writer: {
        plan: { columns: [], position: { kind: "rangeEnd" }, textNul: "refuse" },
        rangeMode: false,
        known: knownUpTo(9n),
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
      onIdle: Effect.sync(() => void (idles += 1))
    }))
    return { run, committed, wanted, failed, idles: () => idles }
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
      assert.strictEqual(it.idles(), 0)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(it.idles(), 1)
      yield* Deferred.succeed(more, undefined)
      yield* Fiber.join(fiber)
      assert.lengthOf(it.committed, 2)
      assert.strictEqual(it.idles(), 1)
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
