import { assert, describe, it } from "@effect/vitest"
import { Clock, Duration, Effect, Logger, Ref, Semaphore, Stream } from "effect"
import { TestClock } from "effect/testing"
import type { ColumnBatch } from "../../../src/domain/arrow/ColumnBatch.ts"
import type { BlockRange } from "../../../src/domain/chain/BlockRange.ts"
import type { TableEvent } from "../../../src/domain/chain/TableEvent.ts"
import { initialChunkSize } from "../../../src/domain/ChunkSize.ts"
import {
  missingPartitions,
  type PartitionBounds,
  readyStretch,
  withPartitions
} from "../../../src/domain/postgres/table/partitions.ts"
import { makeCopyBuffers } from "../../../src/programs/table/CopyBuffers.ts"
import { StageClock } from "../../../src/programs/table/StageClock.ts"
import { makeTurn } from "../../../src/programs/table/Turn.ts"
import { writeChunks } from "../../../src/programs/table/writeChunks.ts"
import { type TablePartitions } from "../../../src/services/TableSink.ts"
import { recordedWriter, rowsIn } from "../../doubles/TableWriter.ts"
import { reorged, rows, started, upTo, wholeRange } from "../../support/events.ts"
import { range } from "../../support/scenario.ts"

type Event = TableEvent<ColumnBatch>

interface Made {
  readonly first: bigint
  readonly last: bigint
  /** Transactions that were open, and those that had begun. */
  readonly open: number
  readonly begun: number
}

/** A table with partitions of ten blocks, which notes when they are made. */
const bench = Effect.fnUntraced(function*(
  frames: ReadonlyArray<ReadonlyArray<Event>>,
  { aheadFails = () => false, pauseSeconds = 0, total = 2 }: {
    readonly aheadFails?: () => boolean
    /** Between two frames. */
    readonly pauseSeconds?: number
    readonly total?: number
  } = {}
) {
  let existing: ReadonlyArray<PartitionBounds> = []
  const made: Array<Made> = []
  const lines: Array<string> = []
  const stretch = ({ start }: BlockRange) => readyStretch(existing, start)
  const partitions: TablePartitions = {
    table: "t",
    covers: (of) => (stretch(of)?.to ?? -1n) > of.end,
    isReady: (of) => (stretch(of)?.aheadFrom ?? -1n) > of.end,
    make: (of) =>
      Effect.gen(function*() {
        const { transactions } = double
        const open = transactions.filter(({ isAnswered }) => !isAnswered).length
        made.push({ first: of.start, last: of.end, open, begun: transactions.length })
        yield* Effect.sleep("5 millis")
        const missing = missingPartitions(existing, of.start, of.end, 10n, 1_000)
        existing = withPartitions(existing, missing)
        const { to } = stretch(of)!
        const ahead = aheadFails() ? [] : missingPartitions(existing, to, to, 10n, 1)
        existing = withPartitions(existing, ahead)
        const aheadFailure = aheadFails() ? "no" : undefined
        return { made: [...missing, ...ahead], total: total + existing.length, lastBlock: to - 1n, aheadFailure }
      })
  }
  const double = recordedWriter({ checkpoint: upTo(-1), partitions })
  const paused = Stream.tap(
    Stream.rechunk(Stream.fromIterable(frames), 1),
    () => Effect.sleep(Duration.seconds(pauseSeconds))
  )
  const events = Stream.flatMap(paused, (events) => Stream.fromArray(events))
  const run = writeChunks<never>(double.writer, {
    turn: yield* makeTurn,
    permits: yield* Semaphore.make(1),
    size: yield* Ref.make({ ...initialChunkSize, rows: 1_000 }),
    buffers: makeCopyBuffers(1),
    stages: new StageClock(yield* Clock.Clock),
    onEvent: () => Effect.void,
    isBacklog: () => false,
    whileIdle: Effect.void,
    onCommit: () => Effect.void,
    onFailure: () => Effect.void
  })(events).pipe(
    Effect.provide(Logger.layer([Logger.make<unknown, void>(({ logLevel, message }) => {
      lines.push(`${logLevel} ${[message].flat().join(" ")}`)
    })]))
  )
  yield* Effect.raceFirst(run, Effect.forever(TestClock.adjust(pauseSeconds === 0 ? "5 millis" : "5 seconds")))
  return { ...double, made, lines, blocks: double.transactions.map((one) => rowsIn(one).map(([block]) => block)) }
})

describe("partitions", () => {
  it.effect("are made while no transaction is open, and before the one that needs them is", () =>
    Effect.gen(function*() {
      const { blocks, made } = yield* bench([
        [...wholeRange(0, 3, 1), ...wholeRange(3, 3, 1), ...wholeRange(6, 18, 1), ...wholeRange(24, 2, 1)]
      ])
      assert.deepStrictEqual(made, [
        { first: 0n, last: 2n, open: 0, begun: 0 },
        { first: 6n, last: 23n, open: 0, begun: 1 }
      ])
      assert.deepStrictEqual(blocks, [[0, 3], [6, 24]])
    }))

  it.effect("of ranges without rows are not made", () =>
    Effect.gen(function*() {
      const { made } = yield* bench([[...wholeRange(0, 1_000, 0), ...wholeRange(1_000, 5, 1)]])
      assert.deepStrictEqual(made.map(({ first }) => first), [1_000n])
    }))

  it.effect("leave the deletion of a reorg in the transaction of the rows that replace it", () =>
    Effect.gen(function*() {
      const after = upTo(7)
      const { transactions } = yield* bench([
        [...wholeRange(0, 9, 1)],
        [reorged(8, 25, after), started(8, 25, after), rows(range(8, 25), 1, { at: 24 })]
      ])
      assert.deepStrictEqual(transactions.map(({ chunk, deleteFrom }) => [chunk?.rows, deleteFrom]), [[1, "all"], [
        1,
        8n
      ]])
    }))

  it.effect("that no row needs yet are tried again after a minute, and logged", () =>
    Effect.gen(function*() {
      let attempts = 0
      const { lines, made } = yield* bench(
        Array.from({ length: 6 }, (_, at) => wholeRange(at, 1, 1)),
        { aheadFails: () => (attempts += 1) <= 2, pauseSeconds: 20 }
      )
      assert.deepStrictEqual(made.map(({ first }) => first), [0n, 3n])
      assert.deepStrictEqual(lines, [
        "Info Table 't': made the partition for blocks 0-9",
        "Warn Table 't': cannot make the partition behind block 9: no. No row needs it yet; trying again in 60 s",
        "Info Table 't': made the partition for blocks 10-19"
      ])
    }))

  it.effect("warns once where a table has more than a thousand", () =>
    Effect.gen(function*() {
      const { lines } = yield* bench([wholeRange(0, 2, 1), wholeRange(2, 40, 1)], { total: 999 })
      assert.deepStrictEqual(lines.filter((line) => line.startsWith("Warn")), [
        "Warn Table 't' has 1001 partitions: statements that read all of it may need more locks than " +
        "max_locks_per_transaction of PostgreSQL allows. Raise that, or \"blocks\" of partitionBy in the config"
      ])
    }))
})
