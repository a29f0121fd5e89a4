import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { layer } from "../../src/layers/SyncStatus.ts"
import { StatusRecorder, SyncStatus } from "../../src/services/SyncStatus.ts"
import { committed, connected, reorged } from "../doubles/statusEvents.ts"

const phases = Effect.map(
  Effect.flatMap(SyncStatus, (status) => status.get),
  (tables) => [...tables.values()].map(({ phase, reason, rows, table }) => [table, phase, reason, rows])
)

describe("the state of the tables", () => {
  it.effect("is reset with each list of tables: no other table and no earlier count stays", () =>
    Effect.gen(function*() {
      const recorder = yield* StatusRecorder
      yield* recorder.begin(["a", "b"])
      yield* recorder.record("a", connected({ rows: 7n }))
      assert.deepStrictEqual(yield* phases, [["a", "catching up", undefined, 7n], ["b", "starting", undefined, 0n]])
      yield* recorder.begin(["a", "c"])
      assert.deepStrictEqual(yield* phases, [["a", "starting", undefined, 0n], ["c", "starting", undefined, 0n]])
    }).pipe(Effect.provide(layer)))

  it.effect("keeps the counts of tables that are all parked, and drops a table that is removed", () =>
    Effect.gen(function*() {
      const recorder = yield* StatusRecorder
      yield* recorder.begin(["a", "b"])
      yield* recorder.record("a", connected({ rows: 7n }))
      yield* recorder.parkAll("it ended")
      assert.deepStrictEqual(yield* phases, [["a", "parked", "it ended", 7n], ["b", "parked", "it ended", 0n]])
      yield* recorder.remove("b")
      assert.deepStrictEqual(yield* phases, [["a", "parked", "it ended", 7n]])
    }).pipe(Effect.provide(layer)))
})

describe("the throughput", () => {
  const rates = Effect.gen(function*() {
    const { all, tables } = yield* (yield* SyncStatus).throughput
    return [all, ...tables.values()].map(({ bytesPerSecond, rowsPerSecond }) => [rowsPerSecond, bytesPerSecond])
  })

  it.effect("is the mean of the last ten complete seconds, of each table and of all", () =>
    Effect.gen(function*() {
      const recorder = yield* StatusRecorder
      yield* recorder.begin(["a", "b"])
      yield* TestClock.adjust("30 seconds")
      yield* recorder.record("a", committed({ rowsAdded: 40, bytes: 1_000 }))
      yield* recorder.record("b", committed({ rowsAdded: 10, bytes: 500 }))
      assert.deepStrictEqual(yield* rates, [[0, 0], [0, 0], [0, 0]])
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* rates, [[5, 150], [4, 100], [1, 50]])
      yield* TestClock.adjust("9 seconds")
      assert.deepStrictEqual(yield* rates, [[5, 150], [4, 100], [1, 50]])
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* rates, [[0, 0], [0, 0], [0, 0]])
    }).pipe(Effect.provide(layer)))

  it.effect("of a process younger than ten seconds is the mean of its seconds", () =>
    Effect.gen(function*() {
      const recorder = yield* StatusRecorder
      yield* recorder.record("a", committed({ rowsAdded: 40, bytes: 1_000 }))
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(yield* rates, [[20, 500], [20, 500]])
    }).pipe(Effect.provide(layer)))

  it.effect("has sixty samples of a second, the oldest first, and nothing older", () =>
    Effect.gen(function*() {
      const recorder = yield* StatusRecorder
      for (let second = 0; second < 150; second += 1) {
        yield* recorder.record("a", committed({ rowsAdded: second + 1, bytes: 1 }))
        yield* TestClock.adjust("1 second")
      }
      yield* TestClock.adjust("5 seconds")
      const { all, tables } = yield* (yield* SyncStatus).throughput
      const rows = all.samples.map((sample) => sample.rows)
      assert.deepStrictEqual(rows, [...Array.from({ length: 55 }, (_, index) => 96 + index), 0, 0, 0, 0, 0])
      assert.deepStrictEqual(tables.get("a"), all)
    }).pipe(Effect.provide(layer)))

  it.effect("of a table that is no longer synced is gone, and stays a part of that of all", () =>
    Effect.gen(function*() {
      const recorder = yield* StatusRecorder
      yield* recorder.record("a", committed({ rowsAdded: 40, bytes: 1_000 }))
      yield* recorder.remove("a")
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* rates, [[40, 1_000]])
    }).pipe(Effect.provide(layer)))
})

describe("the last reorgs", () => {
  it.effect("of all tables are kept, newest first, and at most twenty", () =>
    Effect.gen(function*() {
      const recorder = yield* StatusRecorder
      const { lastReorgs } = yield* SyncStatus
      assert.deepStrictEqual(yield* lastReorgs, [])
      const reorgs = [reorged(7n, 3n), reorged(5n, 9n)]
      yield* recorder.record("a", committed({ reorgs, rowsRemoved: 12 }))
      yield* TestClock.adjust("1 second")
      yield* recorder.record("b", committed({ reorgs: [reorged(6n, 4n)], rowsRemoved: 2 }))
      yield* recorder.record("b", committed())
      assert.deepStrictEqual(yield* lastReorgs, [
        { table: "b", ...reorged(6n, 4n), rowsDeleted: 2, atMillis: 1_000 },
        { table: "a", ...reorged(5n, 9n), rowsDeleted: 12, atMillis: 0 },
        { table: "a", ...reorged(7n, 3n), rowsDeleted: 12, atMillis: 0 }
      ])
      for (let block = 1n; block <= 30n; block += 1n) {
        yield* recorder.record("a", committed({ reorgs: [reorged(block, 1n)] }))
      }
      const blocks = (yield* lastReorgs).map(({ firstBlock }) => Number(firstBlock))
      assert.deepStrictEqual(blocks, Array.from({ length: 20 }, (_, index) => 30 - index))
    }).pipe(Effect.provide(layer)))
})
