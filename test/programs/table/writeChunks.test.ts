import { assert, describe, it } from "@effect/vitest"
import { Clock, Deferred, Effect, Fiber, Queue, Ref, Semaphore, Stream } from "effect"
import { TestClock } from "effect/testing"
import type { ColumnBatch } from "../../../src/domain/arrow/ColumnBatch.ts"
import type { Chunk } from "../../../src/domain/chain/Chunk.ts"
import type { TableEvent } from "../../../src/domain/chain/TableEvent.ts"
import { initialChunkSize, MAX_CHUNK_BYTES } from "../../../src/domain/ChunkSize.ts"
import { COPY_BUFFER_BYTES, type CopyBuffers, makeCopyBuffers } from "../../../src/programs/table/CopyBuffers.ts"
import { StageClock } from "../../../src/programs/table/StageClock.ts"
import { makeTurn, type Turn } from "../../../src/programs/table/Turn.ts"
import { writeChunks } from "../../../src/programs/table/writeChunks.ts"
import type { WriteChunksOptions } from "../../../src/programs/table/WriterState.ts"
import { Fenced } from "../../../src/services/TableLeases.ts"
import type { WriteError } from "../../../src/services/TableSink.ts"
import { recordedWriter, rowsIn, type TableWriterOptions, tuplesOf } from "../../doubles/TableWriter.ts"
import { batch, completed, reorged, rows, started, upTo, wholeRange } from "../../support/events.ts"
import { checkpoint, range } from "../../support/scenario.ts"

type Event = TableEvent<ColumnBatch>
type Frame = ReadonlyArray<Event>

const MEBIBYTE = 1024 * 1024

/** Every frame as the stream of a table brings it: one array each. */
const streamOf = (frames: Stream.Stream<Frame, string>): Stream.Stream<Event, string> =>
  Stream.flatMap(Stream.rechunk(frames, 1), (events) => Stream.fromArray(events))

const framesOf = (...frames: ReadonlyArray<Frame>) => streamOf(Stream.fromIterable(frames))

/** Frames that a test sends one by one. */
const fed = Effect.gen(function*() {
  const queue = yield* Queue.unbounded<Frame>()
  return {
    events: streamOf(Stream.fromQueue(queue)),
    /** They are taken, and what follows from them happens, before this is over. */
    send: (...frames: ReadonlyArray<Frame>) => Effect.andThen(Queue.offerAll(queue, frames), moment)
  }
})

/** Time passes in steps, so that a fiber that sleeps again within the time is woken again. */
const elapse = (millis: number, stepMillis = 5) =>
  Effect.repeat(TestClock.adjust(stepMillis), { times: Math.ceil(millis / stepMillis) - 1 })

/** Lets everything happen that needs no time. */
const moment = Effect.repeat(TestClock.adjust("0 millis"), { times: 20 })

interface BenchOptions extends TableWriterOptions {
  readonly events: Stream.Stream<Event, string>
  /** Rows of a chunk. */
  readonly size?: number
  readonly permits?: Semaphore.Semaphore
  readonly turn?: Turn
  readonly isBacklog?: () => boolean
  readonly whileIdle?: Effect.Effect<void>
  readonly onEvent?: WriteChunksOptions<never>["onEvent"]
}

const bench = Effect.fnUntraced(function*(options: BenchOptions) {
  const double = recordedWriter({ checkpoint: upTo(9), ...options })
  const failed: Array<readonly [chunk: Chunk, error: WriteError]> = []
  const reported: Array<Chunk> = []
  const elapsed: Array<number> = []
  const size = yield* Ref.make({ ...initialChunkSize, rows: options.size ?? 1_000 })
  let taken = 0
  const real = makeCopyBuffers(1)
  const buffers: CopyBuffers = {
    ...real,
    take: () => {
      taken += 1
      return real.take()
    }
  }
  const run = writeChunks<never>(double.writer, {
    turn: options.turn ?? (yield* makeTurn),
    permits: options.permits ?? (yield* Semaphore.make(1)),
    size,
    buffers,
    stages: new StageClock(yield* Clock.Clock),
    onEvent: options.onEvent ?? (() => Effect.void),
    isBacklog: options.isBacklog ?? (() => false),
    whileIdle: options.whileIdle ?? Effect.void,
    onCommit: (chunk, _committed, elapsedMillis) =>
      Effect.sync(() => {
        reported.push(chunk)
        elapsed.push(elapsedMillis)
      }),
    onFailure: (chunk, error) => Effect.sync(() => void failed.push([chunk, error]))
  })(options.events)
  return { ...double, run, size, failed, reported, elapsed, buffersTaken: () => taken }
})

/** Rows, watermark and deletion of chunks. */
const shapeOf = (chunks: ReadonlyArray<Chunk>) =>
  chunks.map((chunk) => [chunk.rows, chunk.checkpoint.history.at(-1)?.block, chunk.deleteFrom] as const)

const rowsOf = (chunks: ReadonlyArray<Chunk>) => chunks.reduce((sum, chunk) => sum + chunk.rows, 0)

/** Answers that a test gives, one per transaction. */
const heldAnswers = () => {
  const answers: Array<Deferred.Deferred<void, WriteError>> = []
  const at = (index: number) => (answers[index] ??= Deferred.makeUnsafe())
  return {
    answer: (index: number) => Deferred.await(at(index)),
    give: (index: number) => Effect.andThen(Deferred.succeed(at(index), undefined), moment),
    fail: (index: number, error: WriteError) => Effect.andThen(Deferred.fail(at(index), error), moment)
  }
}

const fenced = new Fenced({ table: "t" })

describe("a chunk", () => {
  it.effect("of the tip commits at once, with the deferred deletion in the first one", () =>
    Effect.gen(function*() {
      const { events, send } = yield* fed
      const it = yield* bench({ events })
      yield* Effect.forkScoped(it.run)
      yield* send(wholeRange(10, 1, 3))
      yield* send(wholeRange(11, 1, 2))
      assert.deepStrictEqual(shapeOf(it.committed()), [[3, 10n, 10n], [2, 11n, undefined]])
      assert.deepStrictEqual(it.transactions.map(({ deleteFrom }) => deleteFrom), [10n, undefined])
      assert.deepStrictEqual(it.reported, it.committed())
    }))

  it.effect("of an empty range is a transaction without rows", () =>
    Effect.gen(function*() {
      const { events, send } = yield* fed
      const it = yield* bench({ events })
      yield* Effect.forkScoped(it.run)
      yield* send(wholeRange(10, 5, 0))
      assert.deepStrictEqual(shapeOf(it.committed()), [[0, 14n, 10n]])
      assert.deepStrictEqual(it.transactions[0]!.pieces, [])
    }))

  it.effect("takes all events that gather while the COMMIT before it is not answered", () =>
    Effect.gen(function*() {
      const { events, send } = yield* fed
      const answers = heldAnswers()
      const it = yield* bench({ events, answer: answers.answer })
      yield* Effect.forkScoped(it.run)
      yield* send(wholeRange(10, 1, 3))
      for (let block = 11; block < 20; block += 1) yield* send(wholeRange(block, 1, 3))
      assert.lengthOf(it.transactions, 1)
      yield* answers.give(0)
      assert.deepStrictEqual(shapeOf(it.transactions.map(({ chunk }) => chunk!)), [[3, 10n, 10n], [27, 19n, undefined]])
    }))

  it.effect("opens behind an unanswered COMMIT for a backlog of 1 MiB, and never a third one", () =>
    Effect.gen(function*() {
      const { events, send } = yield* fed
      const answers = heldAnswers()
      const it = yield* bench({ events, answer: answers.answer })
      yield* Effect.forkScoped(it.run)
      const half = (block: number) => wholeRange(block, 1, 3, { sizeBytes: MEBIBYTE / 2 })
      yield* send(half(10))
      yield* send(half(11))
      assert.lengthOf(it.transactions, 1, "half a mebibyte is no backlog")
      yield* send(half(12))
      assert.deepStrictEqual(shapeOf(it.transactions.map(({ chunk }) => chunk!)), [[3, 10n, 10n], [6, 12n, undefined]])
      yield* send(half(13), half(14), half(15))
      assert.lengthOf(it.transactions, 2)
      yield* answers.give(0)
      assert.lengthOf(it.transactions, 3)
      assert.deepStrictEqual(it.reported.map(({ rows }) => rows), [3])
    }))

  it.effect("behind a pooler waits for the COMMIT before it, however large the backlog", () =>
    Effect.gen(function*() {
      const { events, send } = yield* fed
      const answers = heldAnswers()
      const it = yield* bench({ events, answer: answers.answer, mayOverlap: false })
      yield* Effect.forkScoped(it.run)
      const mebibyte = (block: number) => wholeRange(block, 1, 3, { sizeBytes: MEBIBYTE })
      yield* send(mebibyte(10))
      yield* send(mebibyte(11), mebibyte(12))
      assert.lengthOf(it.transactions, 1)
      yield* answers.give(0)
      assert.isAbove(it.transactions.length, 1)
    }))

  it.effect("stays open for a moment while a backlog comes, so that short ranges share it", () =>
    Effect.gen(function*() {
      const { events, send } = yield* fed
      const it = yield* bench({ events, isBacklog: () => true })
      yield* Effect.forkScoped(it.run)
      for (let block = 10; block < 20; block += 1) {
        yield* send(wholeRange(block, 1, 3))
        yield* TestClock.adjust("20 millis")
      }
      assert.lengthOf(it.reported, 0)
      yield* TestClock.adjust("40 millis")
      assert.deepStrictEqual(shapeOf(it.reported), [[30, 19n, 10n]])
    }))

  it.effect("is large under a backlog of one-block ranges", () =>
    Effect.gen(function*() {
      const ranges = Array.from({ length: 1_000 }, (_, i) => wholeRange(10 + i, 1, 10))
      const it = yield* bench({ events: framesOf(...ranges), answer: () => Effect.sleep("5 millis") })
      const fiber = yield* Effect.forkScoped(it.run)
      yield* elapse(2_000)
      yield* Fiber.join(fiber)
      assert.strictEqual(rowsOf(it.committed()), 10_000)
      assert.isAtMost(it.transactions.length, 15)
      assert.strictEqual(it.committed().at(-1)!.checkpoint.history.at(-1)!.block, 1_009n)
    }))

  it.effect("commits at one second of age in the middle of a range, with rows sent as soon as they came", () =>
    Effect.gen(function*() {
      const { events, send } = yield* fed
      const it = yield* bench({ events })
      yield* Effect.forkScoped(it.run)
      yield* send([started(10, 1_009, upTo(9)), rows(range(10, 1_009), 5)])
      assert.lengthOf(it.transactions, 1)
      assert.lengthOf(rowsIn(it.transactions[0]!), 5, "what is encoded does not wait for what is to come")
      yield* TestClock.adjust("999 millis")
      assert.isUndefined(it.transactions[0]!.chunk)
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(shapeOf(it.committed()), [[5, 9n, 10n]])
      assert.strictEqual(it.committed()[0]!.provisionalRows, 5)
    }))

  it.effect("commits at once when its range is complete and nothing waits", () =>
    Effect.gen(function*() {
      const { events, send } = yield* fed
      const it = yield* bench({ events })
      yield* Effect.forkScoped(it.run)
      yield* send([started(10, 1_009, upTo(9)), rows(range(10, 1_009), 5)])
      yield* TestClock.adjust("300 millis")
      yield* send([rows(range(10, 1_009), 5, { at: 500 }), completed(10, 1_009, upTo(1_009))])
      assert.deepStrictEqual(shapeOf(it.committed()), [[10, 1_009n, 10n]])
      assert.strictEqual(it.transactions[0]!.closedAtMillis, 300)
    }))

  it.effect("of a nozzle range of the tip commits at once, of a long one after a second", () =>
    Effect.gen(function*() {
      const { events, send } = yield* fed
      const it = yield* bench({ events })
      yield* Effect.forkScoped(it.run)
      yield* send(wholeRange(10, 2, 3, { dialect: "nozzle" }))
      assert.deepStrictEqual(shapeOf(it.committed()), [[3, 9n, 10n]])
      yield* send(wholeRange(12, 1_000, 3, { dialect: "nozzle" }))
      assert.lengthOf(it.committed(), 1)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(shapeOf(it.committed()), [[3, 9n, 10n], [3, 11n, undefined]])
    }))

  it.effect("I4 of ranges without rows that never end commits every second, so that the watermark moves", () =>
    Effect.gen(function*() {
      const ranges = Stream.map(Stream.iterate(0, (i) => i + 1), (i) => wholeRange(10 + 1_000 * i, 1_000, 0))
      const it = yield* bench({ events: streamOf(ranges), onEvent: () => Effect.sleep("10 millis") })
      yield* Effect.forkScoped(it.run)
      yield* elapse(10_000, 100)
      assert.isAtLeast(it.committed().length, 9)
      assert.isAtMost(it.committed().length, 11)
    }))

  it.effect("I8 has no more rows or bytes than a chunk may have, whatever the range is", () =>
    Effect.gen(function*() {
      const of = range(10, 99)
      const many = Array.from({ length: 40 }, () => [rows(of, 30)])
      const byRows = yield* bench({ events: framesOf([started(10, 99, upTo(9))], ...many), size: 100 })
      yield* byRows.run
      assert.strictEqual(rowsOf(byRows.committed()), 1_200)
      assert.isAtMost(byRows.committed()[0]!.rows, 100)
      const wide = Array.from({ length: 12 }, () => [rows(of, 1, { valueBytes: 4 * MEBIBYTE })])
      const byBytes = yield* bench({ events: framesOf([started(10, 99, upTo(9))], ...wide), size: 50_000 })
      yield* byBytes.run
      assert.strictEqual(rowsOf(byBytes.committed()), 12)
      for (const chunk of byBytes.committed()) assert.isAtMost(chunk.sizeBytes, MAX_CHUNK_BYTES + 5 * MEBIBYTE)
      assert.isAtLeast(byBytes.committed().length, 3)
    }))

  it.effect("closes before a reorg, so that rows that are replaced never share one with those that replace them", () =>
    Effect.gen(function*() {
      const forked = checkpoint("9a", "10a")
      const it = yield* bench({
        events: framesOf(
          [...wholeRange(10, 1, 1), ...wholeRange(11, 1, 1)],
          [
            reorged(11, 13, forked),
            started(11, 13, forked),
            rows(range(11, 13), 3),
            completed(11, 13, checkpoint("9a", "10a", "13a"))
          ]
        )
      })
      yield* it.run
      const last = it.committed().at(-1)!
      assert.deepStrictEqual(shapeOf([last]), [[3, 13n, 11n]])
      assert.lengthOf(last.reorgs, 1)
      assert.strictEqual(rowsOf(it.committed().slice(0, -1)), 2)
      assert.isTrue(it.committed().slice(0, -1).every((chunk) => chunk.reorgs.length === 0))
    }))

  it.effect("never holds a deletion alone: it waits for what follows it", () =>
    Effect.gen(function*() {
      const it = yield* bench({ events: framesOf([reorged(5, 13, upTo(4)), started(5, 13, upTo(4))]) })
      yield* it.run
      assert.deepStrictEqual(it.transactions, [])
    }))
})

describe("the rows of a chunk", () => {
  it.effect("of a batch larger than a chunk continue in the next ones, and so does _row_index", () =>
    Effect.gen(function*() {
      const it = yield* bench({
        events: framesOf([started(10, 10, upTo(9)), rows(range(10, 10), 250), completed(10, 10, upTo(10))]),
        size: 100
      })
      yield* it.run
      assert.deepStrictEqual(shapeOf(it.committed()), [[100, 9n, 10n], [100, 9n, undefined], [50, 10n, undefined]])
      assert.deepStrictEqual(
        it.transactions.flatMap(rowsIn),
        Array.from({ length: 250 }, (_, index) => [10, index] as const)
      )
    }))

  it.effect("may each be larger than a buffer, between rows that are not", () =>
    Effect.gen(function*() {
      const of = range(10, 12)
      const it = yield* bench({
        events: framesOf([
          started(10, 12, upTo(9)),
          rows(of, 2),
          rows(of, 2, { at: 11, valueBytes: 3 * COPY_BUFFER_BYTES }),
          rows(of, 2, { at: 12 }),
          completed(10, 12, upTo(12))
        ])
      })
      yield* it.run
      assert.deepStrictEqual(it.transactions.flatMap(rowsIn), [[10, 0], [10, 1], [11, 0], [11, 1], [12, 0], [12, 1]])
      const sizes = it.transactions.flatMap((transaction) => tuplesOf(transaction).map((fields) => fields[1]!.length))
      assert.deepStrictEqual(sizes, [4, 4, 3 * COPY_BUFFER_BYTES, 3 * COPY_BUFFER_BYTES, 4, 4])
      assert.deepStrictEqual(it.committed().map(({ sizeBytes }) => sizeBytes), [
        it.transactions[0]!.pieces.reduce((sum, piece) => sum + piece.length, 0)
      ])
    }))

  it.effect("before one that PostgreSQL cannot hold are committed, then the failure is passed on", () =>
    Effect.gen(function*() {
      // More than one piece before the row, which lies outside of its range.
      const blocks = [...Array<number>(40).fill(10), 99]
      const it = yield* bench({
        events: framesOf([
          started(10, 12, upTo(9)),
          { _tag: "Rows", batch: batch(blocks, { valueBytes: COPY_BUFFER_BYTES / 10 }), range: range(10, 12) },
          completed(10, 12, upTo(12))
        ])
      })
      const error = yield* Effect.flip(it.run)
      assert.deepInclude(error, { _tag: "EncodeError", kind: "position", row: 40 })
      assert.deepStrictEqual(shapeOf(it.committed()), [[40, 9n, 10n]])
      assert.isAbove(it.transactions[0]!.pieces.length, 2)
      assert.deepStrictEqual(it.failed, [], "the database refused nothing")
    }))

  it.effect("of another schema than the table was prepared for are rejected, after those before them", () =>
    Effect.gen(function*() {
      const other = { ...rows(range(10, 12), 3), batch: { ...batch([10]), columns: [] } }
      const it = yield* bench({ events: framesOf([started(10, 12, upTo(9)), rows(range(10, 12), 3), other]) })
      assert.deepInclude(yield* Effect.flip(it.run), { _tag: "EncodeError", kind: "schema" })
      assert.deepStrictEqual(shapeOf(it.committed()), [[3, 9n, 10n]])
    }))

  it.effect("wait while the network takes no more", () =>
    Effect.gen(function*() {
      const taken = yield* Deferred.make<void>()
      const it = yield* bench({
        events: framesOf([started(10, 99, upTo(9)), rows(range(10, 99), 60, { valueBytes: COPY_BUFFER_BYTES / 10 })]),
        drained: () => Deferred.await(taken)
      })
      const fiber = yield* Effect.forkScoped(it.run)
      yield* TestClock.adjust("10 seconds")
      assert.lengthOf(it.transactions[0]!.pieces, 1)
      assert.strictEqual(it.buffersTaken(), 1)
      yield* Deferred.succeed(taken, undefined)
      yield* Fiber.join(fiber)
      assert.strictEqual(rowsOf(it.committed()), 60)
    }))
})

describe("a failure", () => {
  it.effect("of the stream is passed on once what came before it is committed", () =>
    Effect.gen(function*() {
      const ranges = [10, 11, 12, 13].map((block) => wholeRange(block, 1, 1))
      const it = yield* bench({
        events: Stream.concat(
          framesOf(...ranges, [started(14, 99, upTo(13)), rows(range(14, 99), 2)]),
          Stream.fail("broken")
        )
      })
      assert.strictEqual(yield* Effect.flip(it.run), "broken")
      assert.strictEqual(rowsOf(it.committed()), 6)
      assert.strictEqual(it.committed().at(-1)?.checkpoint.history.at(-1)?.block, 13n)
    }))

  it.effect("I1 of a COMMIT ends the attempt, and makes the chunks of the next one smaller", () =>
    Effect.gen(function*() {
      const it = yield* bench({
        events: framesOf(...Array.from({ length: 50 }, (_, i) => wholeRange(10 + i, 1, 10))),
        size: 1_000,
        answer: (index) => index === 1 ? Effect.fail(fenced) : Effect.void
      })
      assert.strictEqual(yield* Effect.flip(it.run), fenced)
      assert.lengthOf(it.committed(), 1)
      assert.lengthOf(it.failed, 1)
      assert.strictEqual((yield* Ref.get(it.size)).rows, 700)
    }))

  it.effect("is reported for the blocks of its own chunk while the next one is being written", () =>
    Effect.gen(function*() {
      const { events, send } = yield* fed
      const answers = heldAnswers()
      const it = yield* bench({ events, answer: answers.answer })
      const fiber = yield* Effect.forkScoped(Effect.flip(it.run))
      yield* send(wholeRange(10, 1, 3))
      yield* send([started(11, 99, upTo(10)), rows(range(11, 99), 5, { sizeBytes: 2 * MEBIBYTE })])
      assert.lengthOf(it.transactions, 2)
      assert.lengthOf(rowsIn(it.transactions[1]!), 5)
      yield* answers.fail(0, fenced)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* Fiber.join(fiber), fenced)
      assert.deepStrictEqual(it.failed.map(([{ firstBlock, lastBlock, rows }]) => [firstBlock, lastBlock, rows]), [
        [10n, 10n, 3]
      ])
      assert.deepStrictEqual(it.committed(), [])
    }))

  it.effect("of the second of two chunks is reported for its blocks, and the first one counts", () =>
    Effect.gen(function*() {
      const { events, send } = yield* fed
      const answers = heldAnswers()
      const it = yield* bench({ events, answer: answers.answer })
      const fiber = yield* Effect.forkScoped(Effect.flip(it.run))
      yield* send(wholeRange(10, 1, 3))
      yield* send(wholeRange(11, 1, 5, { sizeBytes: 2 * MEBIBYTE }))
      yield* answers.give(0)
      yield* answers.fail(1, fenced)
      assert.strictEqual(yield* Fiber.join(fiber), fenced)
      assert.deepStrictEqual(it.failed.map(([{ firstBlock }]) => firstBlock), [11n])
      assert.deepStrictEqual(it.reported.map(({ firstBlock }) => firstBlock), [10n])
    }))

  it.effect("of COPY data is explained for the chunk that is being written", () =>
    Effect.gen(function*() {
      const it = yield* bench({
        events: framesOf([started(10, 99, upTo(9)), rows(range(10, 99), 5)]),
        drained: () => Effect.fail(fenced),
        explain: (error, { firstBlock }) => (firstBlock === 10n ? new Fenced({ table: "explained" }) : error)
      })
      assert.deepInclude(yield* Effect.flip(it.run), { table: "explained" })
      assert.deepStrictEqual(it.failed.map(([{ rows }]) => rows), [5])
    }))
})

describe("the permits of all tables", () => {
  it.effect("I8 bound how many write at once, and a failure releases its permit", () =>
    Effect.gen(function*() {
      const permits = yield* Semaphore.make(2)
      let [running, peak] = [0, 0]
      const answer = (fails: boolean) => () =>
        Effect.gen(function*() {
          running += 1
          peak = Math.max(peak, running)
          yield* Effect.sleep("10 millis")
          running -= 1
          if (fails) return yield* fenced
        })
      const tables = yield* Effect.forEach(
        [1, 2, 3, 4, 5, 6],
        (n) =>
          bench({
            permits,
            size: 5,
            events: framesOf(...Array.from({ length: 20 }, (_, i) => wholeRange(10 + i, 1, 1))),
            answer: answer(n % 3 === 0)
          })
      )
      const fiber = yield* Effect.forkScoped(
        Effect.forEach(tables, ({ run }) => Effect.exit(run), { concurrency: "unbounded" })
      )
      yield* elapse(1_000)
      yield* Fiber.join(fiber)
      assert.strictEqual(peak, 2)
      yield* permits.withPermits(2)(Effect.void)
    }))

  it.effect("go to the next table within about a second, although the first one never runs dry", () =>
    Effect.gen(function*() {
      const permits = yield* Semaphore.make(1)
      const endless = Stream.map(
        Stream.iterate(10, (block) => block + 1),
        (block) => wholeRange(block, 1, 10, { sizeBytes: MEBIBYTE / 4 })
      )
      const first = yield* bench({ permits, events: streamOf(endless), answer: () => Effect.sleep("100 millis") })
      yield* Effect.forkScoped(first.run)
      yield* elapse(300, 50)
      assert.isAbove(first.committed().length, 1)
      const second = yield* bench({ permits, events: framesOf(wholeRange(10, 1, 1)) })
      const fiber = yield* Effect.forkScoped(second.run)
      yield* elapse(1_250, 50)
      assert.lengthOf(second.committed(), 1)
      yield* Fiber.join(fiber)
      const before = first.committed().length
      yield* elapse(300, 50)
      assert.isAbove(first.committed().length, before, "and come back")
    }))

  it.effect("I8 are waited for with one frame read and nothing encoded", () =>
    Effect.gen(function*() {
      const permits = yield* Semaphore.make(1)
      yield* permits.take(1)
      let asked = 0
      const endless = Stream.map(Stream.iterate(10, (block) => block + 1), (block) => {
        asked += 1
        return wholeRange(block, 1, 10, { sizeBytes: MEBIBYTE / 4 })
      })
      const it = yield* bench({ permits, events: streamOf(endless), answer: () => Effect.sleep("100 millis") })
      yield* Effect.forkScoped(it.run)
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual([it.transactions.length, it.buffersTaken(), it.connections().lent], [0, 0, 0])
      assert.strictEqual(asked, 1)
      yield* permits.release(1)
      yield* elapse(300, 50)
      assert.isAbove(rowsOf(it.committed()), 0)
    }))

  it.effect("are not held while nothing waits to be written", () =>
    Effect.gen(function*() {
      const permits = yield* Semaphore.make(1)
      const { events, send } = yield* fed
      const it = yield* bench({ permits, events })
      yield* Effect.forkScoped(it.run)
      yield* send(wholeRange(10, 1, 3))
      yield* permits.withPermit(Effect.void)
      assert.deepStrictEqual(it.connections(), { lent: 1, broken: 0 })
    }))
})

describe("the turn of a table", () => {
  it.effect("comes once the last COMMIT is answered, and nothing is opened or held until it is given back", () =>
    Effect.gen(function*() {
      const [permits, turn] = [yield* Semaphore.make(1), yield* makeTurn]
      const { events, send } = yield* fed
      const answers = heldAnswers()
      const it = yield* bench({ permits, turn, events, answer: answers.answer })
      yield* Effect.forkScoped(it.run)
      yield* send(wholeRange(10, 1, 3))
      const release = yield* Deferred.make<void>()
      const building = yield* Effect.forkScoped(turn.build(Deferred.await(release)))
      yield* moment
      yield* answers.give(0)
      yield* send(wholeRange(11, 1, 0))
      yield* TestClock.adjust("10 minutes")
      assert.lengthOf(it.transactions, 1)
      assert.deepStrictEqual(it.connections(), { lent: 1, broken: 0 })
      yield* permits.withPermit(Effect.void)
      yield* Deferred.succeed(release, undefined)
      yield* Fiber.join(building)
      yield* moment
      yield* answers.give(1)
      assert.deepStrictEqual(shapeOf(it.committed()), [[3, 10n, 10n], [0, 11n, undefined]])
      assert.isBelow(it.elapsed[1]!, 1_000, "the time of a build is not that of a chunk")
    }))

  it.effect("is another's after a second at the latest, although the stream never runs dry", () =>
    Effect.gen(function*() {
      const turn = yield* makeTurn
      const endless = Stream.map(
        Stream.iterate(10, (block) => block + 1),
        (block) => wholeRange(block, 1, 10, { sizeBytes: MEBIBYTE / 4 })
      )
      const it = yield* bench({ turn, events: streamOf(endless), answer: () => Effect.sleep("100 millis") })
      yield* Effect.forkScoped(it.run)
      yield* elapse(300, 50)
      const building = yield* Effect.forkScoped(turn.build(Effect.void))
      yield* elapse(1_250, 50)
      yield* Fiber.join(building)
    }))
})

describe("whileIdle", () => {
  it.effect("runs while everything that came is committed, and is interrupted by the next event", () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      const { events, send } = yield* fed
      const answers = heldAnswers()
      const it = yield* bench({
        events,
        answer: answers.answer,
        whileIdle: Effect.sync(() => void log.push("idle")).pipe(
          Effect.andThen(Effect.sleep("1 second")),
          Effect.andThen(Effect.sync(() => void log.push("settled"))),
          Effect.onInterrupt(() => Effect.sync(() => void log.push("interrupted")))
        )
      })
      yield* Effect.forkScoped(it.run)
      yield* moment
      assert.deepStrictEqual(log, ["idle"])
      yield* send(wholeRange(10, 1, 3))
      assert.deepStrictEqual(log, ["idle", "interrupted"])
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(log, ["idle", "interrupted"], "a COMMIT without an answer is not idle")
      yield* answers.give(0)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(log, ["idle", "interrupted", "idle", "settled"])
      yield* TestClock.adjust("1 hour")
      assert.lengthOf(log, 4, "it runs once")
    }))
})

describe("a stop", () => {
  it.effect("I6 in the middle of a COMMIT returns the connection to the pool, which lets the COMMIT finish", () =>
    Effect.gen(function*() {
      const { events, send } = yield* fed
      const it = yield* bench({ events, answer: () => Effect.never })
      const fiber = yield* Effect.forkScoped(it.run)
      yield* send(wholeRange(10, 1, 3))
      assert.deepStrictEqual(it.connections(), { lent: 1, broken: 0 })
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(it.connections(), { lent: 1, broken: 1 })
      assert.deepStrictEqual(it.failed, [], "a stop is no failure")
    }))
})
