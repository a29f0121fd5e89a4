import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { makeScreen } from "../../../src/layers/Screen.ts"
import { layer as statusLayer } from "../../../src/layers/SyncStatus.ts"
import { withProgress } from "../../../src/programs/report/showProgress.ts"
import { Screen } from "../../../src/services/Screen.ts"
import { StatusRecorder, SyncStatus } from "../../../src/services/SyncStatus.ts"
import { committed, connected } from "../../doubles/statusEvents.ts"
import { FakeTerminal } from "../../doubles/Terminal.ts"

const environment = { TERM: "xterm", NO_COLOR: "1" }

/** Runs `scene` beside a sync that never ends and is shown on `terminal`. */
const watched = <E>(terminal: FakeTerminal, scene: Effect.Effect<void, E, StatusRecorder>) =>
  Effect.gen(function*() {
    const screen = yield* makeScreen({ stdout: terminal, stderr: terminal, environment, isWanted: true })
    yield* Effect.gen(function*() {
      const fiber = yield* Effect.forkChild(withProgress(Effect.never))
      yield* scene
      yield* Fiber.interrupt(fiber)
      yield* screen.print(["Shutdown complete"])
    }).pipe(Effect.provideService(Screen, screen), Effect.provide(statusLayer))
  }).pipe(Effect.scoped)

const config = {
  dataset: "_/example",
  version: "0.1.0",
  dialect: "amp",
  sources: [],
  fingerprint: "f",
  tables: ["logs"],
  queries: []
} as const

describe("the progress of a sync on a terminal", () => {
  it.effect("moves while rows come, and stays in sight above what is written at the end", () =>
    Effect.gen(function*() {
      const terminal = new FakeTerminal()
      yield* watched(
        terminal,
        Effect.gen(function*() {
          const status = yield* StatusRecorder
          yield* TestClock.adjust("1 second")
          assert.include(terminal.lines.at(-2), "starting")
          yield* status.activated(config)
          yield* status.record("logs", connected({ rows: 0n, watermark: undefined }))
          yield* status.record("logs", { _tag: "HeadRead", head: { block: 999n, atSeconds: undefined } })
          for (let second = 1; second <= 9; second += 1) {
            const block = BigInt(second * 10 - 1)
            yield* status.record("logs", committed({ rowsAdded: 50, watermark: block, lastBlock: block }))
            yield* TestClock.adjust("1 second")
          }
          assert.deepStrictEqual(terminal.lines.slice(0, -1), [
            "─".repeat(79),
            "_/example v0.1.0  1 table: 1 catching up  up 10 s",
            "  table     rows  rows/s  watermark   behind      ETA  reorgs  state",
            "  logs       450      45         89      910    2 min       0  catching up"
          ])
        })
      )
      assert.deepStrictEqual(terminal.lines.slice(-3), [
        "  logs       450      45         89      910    2 min       0  catching up",
        "Shutdown complete",
        ""
      ])
    }))

  it.effect("is drawn five times a second at most, and not at all while nothing changes", () =>
    Effect.gen(function*() {
      const terminal = new FakeTerminal()
      yield* watched(
        terminal,
        Effect.gen(function*() {
          const status = yield* StatusRecorder
          yield* status.activated(config)
          yield* status.record("logs", connected())
          yield* TestClock.adjust("2 minutes")
          const before = terminal.written.length
          for (let i = 0; i < 100; i += 1) {
            yield* status.record("logs", committed())
            yield* TestClock.adjust("10 millis")
          }
          assert.strictEqual(terminal.written.length - before, 5)
          yield* TestClock.adjust("61 seconds")
          const quiet = terminal.written.length
          // The figures of the last minute are gone: only the time since the start changes.
          yield* TestClock.adjust("1 minute")
          assert.isAtMost(terminal.written.length - quiet, 1)
        })
      )
    }))

  it.effect("is nowhere where there is no terminal", () =>
    Effect.gen(function*() {
      const terminal = new FakeTerminal({ isTTY: false })
      yield* watched(terminal, TestClock.adjust("1 minute"))
      assert.strictEqual(terminal.written.join(""), "Shutdown complete\n")
    }))

  it.effect("I4 that cannot be read ends no sync", () =>
    Effect.gen(function*() {
      const terminal = new FakeTerminal()
      const screen = yield* makeScreen({ stdout: terminal, stderr: terminal, environment, isWanted: true })
      const status = yield* SyncStatus
      const synced = yield* withProgress(Effect.as(Effect.sleep("1 minute"), "the sync's own end")).pipe(
        Effect.provideService(SyncStatus, { ...status, throughput: Effect.die(new Error("a mistake")) }),
        Effect.provideService(Screen, screen),
        Effect.forkChild
      )
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* Fiber.join(synced), "the sync's own end")
    }).pipe(Effect.scoped, Effect.provide(statusLayer)))
})
