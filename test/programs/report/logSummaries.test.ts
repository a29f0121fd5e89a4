import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Logger } from "effect"
import { TestClock } from "effect/testing"
import { layer as statusLayer } from "../../../src/layers/SyncStatus.ts"
import { logSummaries } from "../../../src/programs/report/logSummaries.ts"
import { StatusRecorder } from "../../../src/services/SyncStatus.ts"
import { committed } from "../../doubles/statusEvents.ts"

describe("a table at the tip", () => {
  it.effect("has a line at INFO every minute, with its rows, blocks, watermark and lag", () =>
    Effect.gen(function*() {
      const lines: Array<string> = []
      const logger = Logger.layer([
        Logger.make<unknown, void>(({ logLevel, message }) =>
          void lines.push(`${logLevel} ${[message].flat().join(" ")}`)
        )
      ])
      yield* Effect.gen(function*() {
        const status = yield* StatusRecorder
        yield* status.record("logs", { _tag: "Started" })
        yield* logSummaries
        yield* TestClock.adjust("59 seconds")
        assert.deepStrictEqual(lines, [])
        yield* TestClock.adjust("1 second")
        yield* status.record("logs", committed({ rowsAdded: 40, blocks: 3n, watermark: 12n, lastBlock: 13n }))
        yield* status.record("logs", { _tag: "HeadRead", head: { block: 14n, atSeconds: undefined } })
        yield* TestClock.adjust("1 minute")
        yield* TestClock.adjust("1 minute")
      }).pipe(Effect.provide(Layer.merge(statusLayer, logger)))
      const line = (rows: number, blocks: number) =>
        `Info Table 'logs' (catching up): ${rows} rows and ${blocks} blocks in the last minute, ` +
        "complete up to block 12, 1 blocks behind the source"
      assert.deepStrictEqual(lines, [
        "Info Table 'logs' (starting): 0 rows and 0 blocks in the last minute, no block is complete yet, " +
        "the head of the source is not known",
        line(40, 3),
        line(0, 0)
      ])
    }))
})
