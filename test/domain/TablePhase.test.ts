import { assert, describe, it } from "@effect/vitest"
import type { Phase, PhaseEvent, TablePhase } from "../../src/domain/TablePhase.ts"
import { isAtTip, nextPhase } from "../../src/domain/TablePhase.ts"

const PHASES: ReadonlyArray<Phase> = [
  "starting",
  "catching up",
  "building indexes",
  "caught up",
  "searching",
  "diverged",
  "retrying",
  "stalled",
  "parked",
  "standby"
]

/** To `catching up`, but from `stalled`. */
const EXCEPT_STALLED: ReadonlyArray<Phase> = PHASES.map((phase) => phase === "stalled" ? "stalled" : "catching up")

/** The phase after an event from every phase, in the order of `PHASES`; one phase where it is the same from all of them. */
const TRANSITIONS: ReadonlyArray<readonly [event: PhaseEvent, to: Phase | ReadonlyArray<Phase>]> = [
  [{ _tag: "Started" }, "starting"],
  [{ _tag: "Waiting", reason: "why" }, PHASES],
  [
    { _tag: "Connected" },
    EXCEPT_STALLED
  ],
  [
    { _tag: "FellBehind" },
    EXCEPT_STALLED
  ],
  [
    { _tag: "Committed", isProgress: true },
    [
      "catching up",
      "catching up",
      "building indexes",
      "caught up",
      "catching up",
      "catching up",
      "catching up",
      "catching up",
      "catching up",
      "catching up"
    ]
  ],
  [
    { _tag: "Committed", isProgress: false },
    [
      "catching up",
      "catching up",
      "building indexes",
      "caught up",
      "catching up",
      "catching up",
      "catching up",
      "stalled",
      "catching up",
      "catching up"
    ]
  ],
  [{ _tag: "CaughtUp" }, "caught up"],
  [{ _tag: "CaughtUp", isDeferred: true }, "building indexes"],
  [
    { _tag: "Searching", reason: "why" },
    PHASES.map((phase) => phase === "stalled" ? "stalled" : "searching")
  ],
  [{ _tag: "Diverged", reason: "why" }, "diverged"],
  [{ _tag: "Failed", attempts: 1, reason: "why" }, "retrying"],
  [{ _tag: "Failed", attempts: 4, reason: "why" }, "retrying"],
  [{ _tag: "Failed", attempts: 5, reason: "why" }, "stalled"],
  [{ _tag: "Failed", attempts: 50, reason: "why" }, "stalled"],
  [{ _tag: "StandingBy", reason: "why", isReserve: false }, "standby"],
  [{ _tag: "Parked", reason: "why" }, "parked"]
]

describe("the phase of a table", () => {
  it("is that of its sync, whatever becomes of the build of its keys", () => {
    for (const phase of PHASES) {
      const before = { phase, reason: "before", isReserve: false, beneath: undefined }
      const isBuilding = phase === "building indexes"
      assert.deepStrictEqual(
        nextPhase(before, { _tag: "BuildWaits", reason: "why" }),
        isBuilding ? { ...before, reason: "why" } : before
      )
      const atWork = nextPhase(before, { _tag: "BuildWaits", reason: undefined })
      assert.deepStrictEqual(atWork, isBuilding ? { ...before, reason: undefined } : before)
      const built = nextPhase(before, { _tag: "KeysBuilt" })
      assert.deepStrictEqual(built, isBuilding ? { ...before, phase: "caught up", reason: undefined } : before)
    }
  })

  it("is that of the build of its keys while one is at work and nothing is wrong with the sync", () => {
    for (const phase of PHASES) {
      const before = { phase, reason: undefined, isReserve: false, beneath: undefined }
      const building = nextPhase(before, { _tag: "BuildBegan" })
      const isHidden = ["catching up", "caught up", "building indexes"].includes(phase)
      assert.deepStrictEqual(building, { ...before, phase: isHidden ? "building indexes" : phase, beneath: phase })
      assert.deepStrictEqual(nextPhase(building, { _tag: "BuildEnded" }), before)
      assert.strictEqual(isAtTip(building), isAtTip(before))
    }
  })

  it("keeps the reason of a build that waits from block to block, and loses it with the build", () => {
    const waiting: TablePhase = { phase: "building indexes", reason: "why", isReserve: false, beneath: undefined }
    assert.strictEqual(nextPhase(waiting, { _tag: "Committed", isProgress: true }).reason, "why")
    const atWork = { ...waiting, beneath: "catching up" } as const
    assert.isUndefined(nextPhase(atWork, { _tag: "BuildEnded" }).reason)
    assert.strictEqual(nextPhase({ ...atWork, beneath: "building indexes" }, { _tag: "BuildEnded" }).reason, "why")
  })

  it("shows that keys were lost where nothing else is to be said", () => {
    for (const phase of PHASES) {
      const lost = nextPhase({ phase, reason: undefined, isReserve: false, beneath: undefined }, { _tag: "KeysLost" })
      assert.strictEqual(lost.phase, phase === "caught up" ? "building indexes" : phase)
    }
  })

  it("comes back to the build when its stream does, and is that of the sync afterwards", () => {
    const events: ReadonlyArray<readonly [PhaseEvent, Phase]> = [
      [{ _tag: "CaughtUp", isDeferred: true }, "building indexes"],
      [{ _tag: "BuildBegan" }, "building indexes"],
      [{ _tag: "Failed", attempts: 1, reason: "why" }, "retrying"],
      [{ _tag: "Connected" }, "building indexes"],
      [{ _tag: "BuildEnded" }, "catching up"],
      [{ _tag: "KeysBuilt" }, "catching up"],
      [{ _tag: "BuildBegan" }, "building indexes"],
      [{ _tag: "StandingBy", reason: "why", isReserve: false }, "standby"],
      [{ _tag: "BuildEnded" }, "standby"]
    ]
    let current = nextPhase({ phase: "starting", reason: undefined, isReserve: false, beneath: undefined }, {
      _tag: "Connected"
    })
    for (const [event, phase] of events) {
      current = nextPhase(current, event)
      assert.strictEqual(current.phase, phase, event._tag)
    }
    assert.isUndefined(current.beneath)
  })

  for (const [event, to] of TRANSITIONS) {
    const detail = event._tag === "Failed"
      ? ` of attempt ${event.attempts} without progress`
      : event._tag === "Committed" && !event.isProgress
      ? " without progress"
      : event._tag === "CaughtUp" && event.isDeferred === true
      ? " without keys"
      : ""
    it(`follows ${event._tag}${detail} from every phase`, () => {
      for (const [index, phase] of PHASES.entries()) {
        const next = nextPhase({ phase, reason: "before", isReserve: false, beneath: undefined }, event)
        assert.strictEqual(next.phase, typeof to === "string" ? to : to[index], `from ${phase}`)
        // A reason is kept only while it applies.
        const keepsReason = event._tag === "Committed" && next.phase === "building indexes" ||
          next.phase === "stalled" && event._tag !== "Failed" && event._tag !== "Waiting"
        assert.strictEqual(next.reason, keepsReason ? "before" : "reason" in event ? "why" : undefined, `from ${phase}`)
      }
    })
  }
})
