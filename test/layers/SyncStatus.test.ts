import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { layer } from "../../src/layers/SyncStatus.ts"
import { StatusRecorder, SyncStatus } from "../../src/services/SyncStatus.ts"

const phases = Effect.map(
  Effect.flatMap(SyncStatus, (status) => status.get),
  (tables) => [...tables.values()].map(({ phase, reason, rows, table }) => [table, phase, reason, rows])
)

describe("the state of the tables", () => {
  it.effect("is reset with each list of tables: no other table and no earlier count stays", () =>
    Effect.gen(function*() {
      const recorder = yield* StatusRecorder
      yield* recorder.begin(["a", "b"])
      yield* recorder.record("a", { _tag: "Connected", rows: 7n, watermark: 1n, unverified: false })
      assert.deepStrictEqual(yield* phases, [["a", "catching up", undefined, 7n], ["b", "starting", undefined, 0n]])
      yield* recorder.begin(["a", "c"])
      assert.deepStrictEqual(yield* phases, [["a", "starting", undefined, 0n], ["c", "starting", undefined, 0n]])
    }).pipe(Effect.provide(layer)))

  it.effect("keeps the counts of tables that are all parked, and drops a table that is removed", () =>
    Effect.gen(function*() {
      const recorder = yield* StatusRecorder
      yield* recorder.begin(["a", "b"])
      yield* recorder.record("a", { _tag: "Connected", rows: 7n, watermark: 1n, unverified: false })
      yield* recorder.parkAll("it ended")
      assert.deepStrictEqual(yield* phases, [["a", "parked", "it ended", 7n], ["b", "parked", "it ended", 0n]])
      yield* recorder.remove("b")
      assert.deepStrictEqual(yield* phases, [["a", "parked", "it ended", 7n]])
    }).pipe(Effect.provide(layer)))
})
