import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Logger } from "effect"
import { TestClock } from "effect/testing"
import { layer as statusLayer } from "../../../src/layers/SyncStatus.ts"
import { logSummaries } from "../../../src/programs/report/logSummaries.ts"
import { Screen } from "../../../src/services/Screen.ts"
import { StatusRecorder } from "../../../src/services/SyncStatus.ts"
import { committed, connected } from "../../doubles/statusEvents.ts"

/** Runs `scene` with the summaries in the background; returns what was logged. */
const logged = Effect.fnUntraced(function*<E>(
  scene: Effect.Effect<void, E, StatusRecorder>,
  isShown = false
) {
  const lines: Array<string> = []
  const logger = Logger.layer([
    Logger.make<unknown, void>(({ logLevel, message }) => void lines.push(`${logLevel} ${[message].flat().join(" ")}`))
  ])
  const screen = { isInteractive: isShown, print: () => Effect.void, show: () => Effect.void, leave: Effect.void }
  yield* Effect.andThen(logSummaries, scene).pipe(
    Effect.scoped,
    Effect.provideService(Screen, screen),
    Effect.provide(Layer.merge(statusLayer, logger))
  )
  return lines
})

/** Commits `blocks` a second, a row each, and has `behind` of them to go at the end. */
const catchUp = (tables: ReadonlyArray<string>, seconds: number, blocks: number, behind: number) =>
  Effect.gen(function*() {
    const status = yield* StatusRecorder
    const head = { block: BigInt(seconds * blocks + behind - 1), atSeconds: undefined }
    for (const table of tables) {
      yield* status.record(table, connected({ watermark: undefined }))
      yield* status.record(table, { _tag: "HeadRead", head })
    }
    for (let second = 1; second <= seconds; second += 1) {
      const block = BigInt(second * blocks - 1)
      for (const table of tables) {
        yield* status.record(
          table,
          committed({ rowsAdded: blocks, blocks: BigInt(blocks), watermark: block, lastBlock: block })
        )
      }
      yield* TestClock.adjust("1 second")
    }
  })

describe("a table that is catching up", () => {
  it.effect("has a line at INFO every ten seconds, with rows, lag and the time that is left, and none beside its minute", () =>
    Effect.gen(function*() {
      const lines = yield* logged(catchUp(["logs"], 70, 100, 24_000))
      const left = ["5 min", "5 min", "5 min", "5 min", "4 min"]
      assert.deepStrictEqual(lines.filter((line) => line.includes("catching up: ")), [
        ...[1, 2, 3, 4, 5].map((ten, i) =>
          `Info Table 'logs' is catching up: 100 rows/s, ${31_000 - ten * 1_000} blocks behind the source, about ${
            left[i]
          } left`
        ),
        "Info Table 'logs' is catching up: 100 rows/s, 24000 blocks behind the source, about 4 min left"
      ])
      assert.lengthOf(lines.filter((line) => line.includes("in the last minute")), 1)
      assert.lengthOf(lines, 7)
    }))

  it.effect("has no time that is left before it is known", () =>
    Effect.gen(function*() {
      const lines = yield* logged(Effect.gen(function*() {
        const status = yield* StatusRecorder
        yield* status.record("logs", connected({ watermark: undefined }))
        yield* TestClock.adjust("10 seconds")
      }))
      assert.deepStrictEqual(lines, [
        "Info Table 'logs' is catching up: 0 rows/s, the head of the source is not known, time left unknown"
      ])
    }))

  it.effect("shares its line where more than five are catching up", () =>
    Effect.gen(function*() {
      const lines = yield* logged(catchUp(["a", "b", "c", "d", "e", "f"], 10, 100, 9_000))
      assert.deepStrictEqual(lines, [
        "Info 6 of 6 tables are catching up: 600 rows/s, 9000 blocks behind the source, about 2 min left"
      ])
    }))

  it.effect("has no line where a terminal shows its progress", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* logged(catchUp(["logs"], 60, 100, 9_000), true), [])
    }))
})

describe("a table", () => {
  it.effect("has a line at INFO every minute, with its rows, blocks, watermark and lag", () =>
    Effect.gen(function*() {
      const lines = yield* logged(Effect.gen(function*() {
        const status = yield* StatusRecorder
        yield* status.record("logs", { _tag: "Started" })
        yield* TestClock.adjust("1 minute")
        yield* status.record("logs", committed({ rowsAdded: 40, blocks: 3n, watermark: 12n, lastBlock: 13n }))
        yield* status.record("logs", { _tag: "HeadRead", head: { block: 14n, atSeconds: undefined } })
        yield* TestClock.adjust("1 second")
        yield* status.record("logs", { _tag: "CaughtUp" })
        yield* TestClock.adjust("59 seconds")
        yield* TestClock.adjust("59 seconds")
      }))
      assert.deepStrictEqual(lines, [
        "Info Table 'logs' (starting): 0 rows and 0 blocks in the last minute, no block is complete yet, " +
        "the head of the source is not known",
        "Info Table 'logs' (caught up): 40 rows and 3 blocks in the last minute, complete up to block 12, 1 blocks behind the source"
      ])
    }))
})
