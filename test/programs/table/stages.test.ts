/** Where the time of a table goes: waiting for the source, encoding, waiting for the database. */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Queue, Ref, Semaphore, Stream } from "effect"
import { TestClock } from "effect/testing"
import type { ColumnBatch } from "../../../src/domain/arrow/ColumnBatch.ts"
import type { TableEvent } from "../../../src/domain/chain/TableEvent.ts"
import { initialChunkSize } from "../../../src/domain/ChunkSize.ts"
import type { RowEncoder } from "../../../src/domain/postgres/encode/RowEncoder.ts"
import { makeCopyBuffers } from "../../../src/programs/table/CopyBuffers.ts"
import { StageClock } from "../../../src/programs/table/StageClock.ts"
import { makeTurn } from "../../../src/programs/table/Turn.ts"
import { writeChunks } from "../../../src/programs/table/writeChunks.ts"
import { flightError, type Messages } from "../../doubles/FlightClient.ts"
import { encoderOf, recordedWriter, type TableWriterOptions } from "../../doubles/TableWriter.ts"
import { batchFields, upTo, wholeRange } from "../../support/events.ts"
import { supervised } from "../../support/supervised.ts"

type Frame = ReadonlyArray<TableEvent<ColumnBatch>>

/** Lets everything happen that needs no time. */
const moment = Effect.repeat(TestClock.adjust("0 millis"), { times: 20 })

/** Time passes in steps, so that a fiber that sleeps again within the time is woken again. */
const elapse = (millis: number) => Effect.andThen(Effect.repeat(TestClock.adjust(5), { times: millis / 5 - 1 }), moment)

interface Options extends TableWriterOptions {
  readonly permits?: Semaphore.Semaphore
  readonly stages?: StageClock
}

/** Writes the frames that a test sends until its end. */
const writing = Effect.fnUntraced(function*(options: Options = {}) {
  const stages = options.stages ?? new StageClock(yield* Clock.Clock)
  const queue = yield* Queue.unbounded<Frame>()
  const size = yield* Ref.make(initialChunkSize)
  const events = Stream.flatMap(Stream.rechunk(Stream.fromQueue(queue), 1), (frame) => Stream.fromArray(frame))
  const run = writeChunks<never>(recordedWriter({ checkpoint: upTo(9), ...options }).writer, {
    turn: yield* makeTurn,
    permits: options.permits ?? (yield* Semaphore.make(1)),
    size,
    buffers: makeCopyBuffers(1),
    stages,
    onEvent: () => undefined,
    isBacklog: () => false,
    whileIdle: Effect.void,
    onCommit: () => Effect.void,
    onFailure: () => Effect.void
  })(events)
  yield* Effect.forkScoped(run)
  yield* moment
  return { stages, send: (frame: Frame) => Effect.andThen(Queue.offer(queue, frame), moment) }
})

const times = (sourceWaitMillis: number, encodeMillis: number, storageWaitMillis: number) => ({
  sourceWaitMillis,
  encodeMillis,
  storageWaitMillis
})

const delayed = (millis: number) => () => Effect.sleep(millis)

describe("the time of a table", () => {
  it.effect("is that of the source while nothing comes, also where no chunk is open and none is committed", () =>
    Effect.gen(function*() {
      const { send, stages } = yield* writing()
      yield* elapse(400)
      assert.deepStrictEqual(stages.take(), times(400, 0, 0))
      yield* send(wholeRange(10, 1, 3))
      yield* elapse(300)
      assert.deepStrictEqual(stages.take(), times(300, 0, 0))
    }))

  it.effect("is that of the source while an open chunk waits for the rest of its range", () =>
    Effect.gen(function*() {
      const { send, stages } = yield* writing()
      const [begin, rows, end] = wholeRange(10, 40, 3)
      yield* send([begin!, rows!])
      yield* elapse(250)
      yield* send([end!])
      assert.deepStrictEqual(stages.take(), times(250, 0, 0))
    }))

  it.effect.each<readonly [what: string, Options]>([
    ["the answer to a COMMIT", { answer: delayed(300) }],
    ["a socket that takes no more", { drained: delayed(300) }],
    ["a connection", { connecting: Effect.sleep(300) }]
  ])("is that of the database while the writer waits for %s", ([_, options]) =>
    Effect.gen(function*() {
      const { send, stages } = yield* writing(options)
      yield* send(wholeRange(10, 1, 3))
      yield* elapse(300)
      assert.deepStrictEqual(stages.take(), times(0, 0, 300))
      yield* elapse(100)
      assert.deepStrictEqual(stages.take(), times(100, 0, 0))
    }))

  it.effect("is that of the database while other tables hold every permit", () =>
    Effect.gen(function*() {
      const permits = yield* Semaphore.make(1)
      yield* permits.take(1)
      const { send, stages } = yield* writing({ permits })
      yield* send(wholeRange(10, 1, 3))
      yield* elapse(200)
      yield* permits.release(1)
      yield* moment
      assert.deepStrictEqual(stages.take(), times(0, 0, 200))
    }))

  it.effect("is that of a COMMIT also while it is not answered yet, and is counted once", () =>
    Effect.gen(function*() {
      const { send, stages } = yield* writing({ answer: delayed(1_000) })
      yield* send(wholeRange(10, 1, 3))
      yield* elapse(400)
      yield* send(wholeRange(11, 1, 3))
      assert.deepStrictEqual(stages.take(), times(0, 0, 400))
      yield* elapse(1_600)
      // Both are answered, one after the other; nothing is waited for twice.
      assert.deepStrictEqual(stages.take(), times(0, 0, 1_600))
      yield* elapse(50)
      assert.deepStrictEqual(stages.take(), times(50, 0, 0))
    }))

  it.effect("is that of the encoder while it runs, by the monotonic clock", () =>
    Effect.gen(function*() {
      const real = encoderOf(batchFields)
      let nanos = 0n
      const clock: Clock.Clock = { ...(yield* Clock.Clock), monotonicTimeNanosUnsafe: () => nanos }
      const slow: RowEncoder = {
        ...real,
        bind: (batch) => {
          nanos += 2_000_000n
          const bound = real.bind(batch)
          if (bound._tag === "Failure") return bound
          return {
            ...bound,
            success: { ...bound.success, write: (...args) => (nanos += 3_000_000n, bound.success.write(...args)) }
          }
        }
      }
      const { send, stages } = yield* writing({ encoder: slow, stages: new StageClock(clock) })
      yield* send(wholeRange(10, 1, 3))
      assert.deepStrictEqual(stages.take(), times(0, 5, 0))
    }))
})

describe("the status of a table", () => {
  it.effect("has its times also while nothing is committed, and those of an attempt that failed", () =>
    Effect.gen(function*() {
      const silence = (seconds: number): Effect.Effect<Messages> =>
        Effect.succeed(Stream.fromEffect(Effect.andThen(Effect.sleep(seconds * 1_000), Effect.fail(flightError()))))
      const it = yield* supervised({ stored: ["9a"], open: (attempt) => silence(attempt === 0 ? 13 : 1_000) })
      const waited = Effect.map(it.status, ({ stages }) => stages)
      yield* elapse(10_100)
      assert.deepStrictEqual(yield* waited, times(10_000, 0, 0))
      yield* elapse(2_900)
      assert.deepStrictEqual(yield* waited, times(13_000, 0, 0))
    }))
})
