import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Fiber, Layer, Queue, Scope, Stream } from "effect"
import type { TableChange } from "../../../src/domain/TableChange.ts"
import { layer } from "../../../src/layers/SyncStatus.ts"
import { changes, MAX_CHANGES_WAITING, StatusRecorder } from "../../../src/services/SyncStatus.ts"
import { committed, connected, reorged } from "../../doubles/statusEvents.ts"

/** What `connected()` finds. */
const baseline = (table: string): TableChange => ({
  _tag: "Baseline",
  table,
  rows: 40n,
  provisionalRows: 0n,
  watermark: { block: 9n, hash: "0x09" }
})

/** What `committed()` did. */
const commit = (table: string, fields: object = {}) => ({
  _tag: "Commit",
  table,
  deletedFrom: undefined,
  rowsDeleted: 0,
  reorgs: [],
  firstBlock: 10n,
  lastBlock: 11n,
  rowsAdded: 5,
  provisionalRows: 0n,
  watermark: { block: 11n, hash: "0x0b" },
  ...fields
})

/** Runs the stream; what it delivered so far is taken from the queue. */
const subscribe = Effect.gen(function*() {
  const delivered = yield* Queue.unbounded<TableChange>()
  const fiber = yield* Effect.forkScoped(Stream.runForEach(changes, (change) => Queue.offer(delivered, change)))
  yield* Effect.yieldNow
  return { fiber, take: (count: number) => Queue.takeN(delivered, count), waiting: Queue.size(delivered) }
})

describe("the changes of tables", () => {
  it.effect("begin with a baseline of each table that is open, and go on with each commit, in order", () =>
    Effect.gen(function*() {
      const recorder = yield* StatusRecorder
      yield* recorder.begin(["a", "b", "c"])
      yield* recorder.record("a", connected())
      yield* recorder.record("b", connected())
      yield* recorder.record("b", committed())
      const { take, waiting } = yield* subscribe
      yield* recorder.record("a", committed())
      const reorgs = [reorged(9n, 3n)]
      yield* recorder.record("a", committed({ reorgs, deletedFrom: 9n, rowsRemoved: 7 }))
      yield* recorder.record("c", connected())
      const after = { ...baseline("b"), rows: 45n, watermark: { block: 11n, hash: "0x0b" } }
      assert.deepStrictEqual(yield* take(5), [
        baseline("a"),
        after,
        commit("a"),
        commit("a", { reorgs, deletedFrom: 9n, rowsDeleted: 7 }),
        baseline("c")
      ])
      assert.strictEqual(yield* waiting, 0)
    }).pipe(Effect.provide(layer)))

  it.effect("have a baseline where a table is not what they left it as, and none where it is", () =>
    Effect.gen(function*() {
      const recorder = yield* StatusRecorder
      yield* recorder.begin(["a"])
      yield* recorder.record("a", connected())
      const { take, waiting } = yield* subscribe
      yield* take(1)
      yield* recorder.record("a", committed({ rowsRemoved: 2, provisionalRows: 1n }))
      yield* take(1)
      const left = { commitSeq: 4n, rows: 43n, provisionalRows: 1n, watermark: 11n, watermarkHash: "0x0b" }
      yield* recorder.record("a", { _tag: "Failed", attempts: 1, reason: "gone" })
      yield* recorder.record("a", connected(left))
      assert.strictEqual(yield* waiting, 0)
      for (
        const other of [
          { watermark: 12n },
          { watermarkHash: "0xother" },
          { rows: 44n },
          { provisionalRows: 0n },
          { watermark: undefined, watermarkHash: undefined }
        ]
      ) {
        yield* recorder.record("a", connected({ ...left, ...other }))
        const [change] = yield* take(1)
        assert.strictEqual(change?._tag, "Baseline", Object.keys(other).join())
      }
    }).pipe(Effect.provide(layer)))

  it.effect("have a baseline where another process has replaced rows by as many others", () =>
    Effect.gen(function*() {
      const recorder = yield* StatusRecorder
      const { take, waiting } = yield* subscribe
      yield* recorder.record("a", connected({ commitSeq: 4n }))
      yield* recorder.record("a", committed({ rowsAdded: 0, watermark: 9n, watermarkHash: "0x09" }))
      yield* take(2)
      yield* recorder.record("a", connected({ commitSeq: 5n }))
      assert.strictEqual(yield* waiting, 0)
      yield* recorder.record("a", connected({ commitSeq: 6n }))
      yield* Effect.yieldNow
      assert.strictEqual(yield* waiting, 1)
      assert.deepStrictEqual(yield* take(1), [baseline("a")])
    }).pipe(Effect.provide(layer)))

  it.effect("have a baseline of a table that comes back after it was removed", () =>
    Effect.gen(function*() {
      const recorder = yield* StatusRecorder
      const { take } = yield* subscribe
      yield* recorder.begin(["a"])
      yield* recorder.record("a", connected())
      yield* recorder.remove("a")
      yield* recorder.record("a", connected())
      assert.deepStrictEqual(yield* take(2), [baseline("a"), baseline("a")])
    }).pipe(Effect.provide(layer)))

  it.effect("fail for a subscriber that is too slow with the number that it missed, behind all it can still have; others have every one", () =>
    Effect.gen(function*() {
      const recorder = yield* StatusRecorder
      const gate = yield* Queue.unbounded<void>()
      const slow: Array<TableChange> = []
      const fiber = yield* Effect.forkScoped(
        Stream.runForEach(changes, (change) => Effect.andThen(Queue.take(gate), Effect.sync(() => slow.push(change))))
      )
      const fast = yield* subscribe
      yield* recorder.record("a", connected())
      yield* fast.take(1)
      // The slow one has the baseline in its hands; these wait, and three have no room.
      for (let n = 0; n < MAX_CHANGES_WAITING + 3; n += 1) {
        yield* recorder.record("a", committed({ watermark: BigInt(n) }))
        yield* Effect.yieldNow
      }
      assert.lengthOf(yield* fast.take(MAX_CHANGES_WAITING + 3), MAX_CHANGES_WAITING + 3)
      yield* Queue.offerAll(gate, Array.from({ length: MAX_CHANGES_WAITING + 1 }, () => undefined))
      const error = yield* Effect.flip(Fiber.join(fiber))
      assert.deepStrictEqual([error._tag, error.missed], ["ChangesMissed", 3])
      assert.deepStrictEqual(
        slow.map(({ watermark }) => watermark?.block),
        [9n, ...Array.from({ length: MAX_CHANGES_WAITING }, (_, n) => BigInt(n))]
      )
    }).pipe(Effect.provide(layer)))

  it.effect("end with the sync, also for those that subscribe later", () =>
    Effect.gen(function*() {
      const running = yield* Scope.make()
      const context = yield* Layer.buildWithScope(layer, running)
      yield* Context.get(context, StatusRecorder).record("a", connected())
      const stream = Effect.provideContext(Stream.runCollect(changes), context)
      const fiber = yield* Effect.forkScoped(stream)
      yield* Effect.yieldNow
      yield* Scope.close(running, Exit.void)
      assert.deepStrictEqual(yield* Fiber.join(fiber), [baseline("a")])
      assert.deepStrictEqual(yield* stream, [baseline("a")])
    }))
})
