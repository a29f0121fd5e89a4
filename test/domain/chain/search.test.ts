import { assert, describe, it } from "@effect/vitest"
import { unanswered } from "../../../src/domain/chain/firstRange.ts"
import { startFollowing } from "../../../src/domain/chain/followFrame.ts"
import type { ResumeStrategy } from "../../../src/domain/chain/resumeStrategy.ts"
import { cursorOf, rejectCandidate, restart, resume, skipCandidate } from "../../../src/domain/chain/resumeStrategy.ts"
import { block, checkpoint, data, history, reorg, run, type Scenario } from "../../support/scenario.ts"

const names = Array.from({ length: 20 }, (_, index) => `${index + 1}a`)
const stored = history(...names)
const amp: Scenario = { dialect: "amp", stored: names }

/** The cursors that are sent, one connection each, to a server on which the blocks up to `fork` are canonical. */
const search = (fork: number): ReadonlyArray<string> => {
  const lines: Array<string> = []
  let strategy: ResumeStrategy | undefined = resume
  while (strategy !== undefined && lines.length < 40) {
    const cursor = Number(cursorOf(strategy, stored)!.block)
    const answer = cursor <= fork
      ? data(cursor + 1, 30, "b", cursor <= fork ? "a" : "b")
      : reorg(cursor, 30, "b", cursor === fork + 1 ? "a" : "b")
    const outcome = run({ ...amp, strategy }, answer)
    lines.push(...outcome.lines)
    strategy = outcome.next
  }
  return lines
}

const probing = (candidate: string, rejected: string, accepted?: string): ResumeStrategy => ({
  kind: "probe",
  candidate: block(candidate),
  rejected: block(rejected),
  accepted: accepted === undefined ? undefined : block(accepted),
  unanswered: undefined,
  resets: 0
})

describe("the search for the newest canonical block", () => {
  it("steps back in doubling distances until a block is accepted, then halves what lies between", () => {
    assert.deepStrictEqual(search(7), [
      "reconnect from 18a",
      "reconnect from 14a",
      "reconnect from 6a",
      "reconnect from 9a",
      "reconnect from 7a",
      "delete from 8",
      "go on from 7a",
      "rows 8..30"
    ])
  })

  it("I2 ends at the newest canonical block, however deep it is", () => {
    for (let fork = 1; fork < 20; fork++) {
      const lines = search(fork)
      assert.deepStrictEqual(lines.slice(-3, -1), [`delete from ${fork + 1}`, `go on from ${fork}a`])
      assert.isBelow(lines.length, 12)
    }
  })

  it("starts again below a block that was canonical when the search began and is no longer", () => {
    const strategy = probing("12a", "13a", "12a")
    assert.deepStrictEqual(run({ ...amp, strategy }, reorg(12, 30, "b", "b")).lines, ["reconnect from 2a"])
  })

  it("ends at the oldest block", () => {
    assert.strictEqual(rejectCandidate(probing("1a", "2a"), stored, block("1a"), false), undefined)
    assert.deepStrictEqual(run({ ...amp, strategy: probing("1a", "2a") }, reorg(1, 30, "b", "b")).lines, [
      "reconnect, to be sure"
    ])
  })

  it("goes on among the newer blocks where one is not answered, and never tries that one or an older one again", () => {
    const skipped = skipCandidate(probing("6a", "14a"), stored)!
    assert.deepStrictEqual(cursorOf(skipped, stored), block("10a"))
    assert.deepStrictEqual(cursorOf(rejectCandidate(skipped, stored, block("10a"), false)!, stored), block("8a"))
    const last = rejectCandidate(skipped, stored, block("8a"), false)!
    assert.deepStrictEqual(cursorOf(last, stored), block("7a"))
    assert.strictEqual(rejectCandidate(last, stored, block("7a"), false), undefined)
    assert.strictEqual(skipCandidate(last, stored), undefined)
  })

  it("goes back to a block that is known to be canonical where a newer one is not answered", () => {
    const skipped = skipCandidate(probing("9a", "14a", "6a"), stored)!
    assert.deepStrictEqual(cursorOf(skipped, stored), block("7a"))
    assert.deepStrictEqual(cursorOf(skipCandidate(skipped, stored)!, stored), block("6a"))
  })

  it("I2 without an answer starts a young table again, the second time, and no old one", () => {
    const options = { rangeMode: false, retentionBlocks: 10, onChainReset: "park" } as const
    const ends = (retentionBlocks: number, resets: number) => {
      const strategy = { ...probing("1a", "2a"), resets } as ResumeStrategy
      return unanswered(startFollowing(checkpoint(...names), { ...options, retentionBlocks }, strategy), block("1a"))
    }
    assert.deepInclude(ends(128, 0), { strategy: { kind: "resume", resets: 1 }, isFailure: true })
    assert.deepInclude(ends(128, 1), { strategy: restart(stored), isFailure: false })
    assert.deepInclude(ends(10, 1), { strategy: { kind: "resume", resets: 2 }, isFailure: true })
    assert.include(ends(10, 1).reason, "ON_CHAIN_RESET=resync")
  })

  it("I2 decisions made on another history are void: the newest watermark is sent", () => {
    const other = history("1a", "2a", "3a")
    for (const strategy of [probing("5a", "6a"), probing("1a", "9a"), probing("1a", "3a", "2c"), restart(stored)]) {
      assert.deepStrictEqual(cursorOf(strategy, other), block("3a"))
      assert.deepStrictEqual(run({ ...amp, stored: ["1a", "2a", "3a"], strategy }, data(4, 5)).lines, ["rows 4..5"])
    }
  })

  it("a restart requests the first block", () => {
    assert.strictEqual(cursorOf(restart(stored), stored), undefined)
    assert.strictEqual(cursorOf(resume, []), undefined)
  })
})

describe("the search on a nozzle server", () => {
  const nozzle: Scenario = { dialect: "nozzle", stored: names }

  it("verifies a probed block where a gap follows it", () => {
    const strategy = probing("12a", "13a")
    assert.deepStrictEqual(run({ ...nozzle, strategy }, data(20, 21, "b")).lines, ["verify 12a"])
    assert.deepStrictEqual(run({ ...nozzle, strategy, verdict: "orphaned" }, data(20, 21, "b")).lines, [
      "reconnect from 4a"
    ])
    assert.deepStrictEqual(run({ ...nozzle, strategy, verdict: "canonical" }, data(20, 21, "b")).lines, [
      "delete from 13",
      "go on from 12a",
      "rows 20..21"
    ])
  })

  it("goes on from a probed block that cannot be verified, marked, and never concludes that the chain is another one", () => {
    const scenario: Scenario = { ...nozzle, strategy: probing("1a", "2a"), verdict: "unknown" }
    const { lines, state } = run(scenario, data(20, 21, "b"))
    assert.deepStrictEqual(lines, ["delete from 2", "go on from 1a", "rows 20..21"])
    assert.strictEqual(state.unverifiedFrom, 1n)
  })

  it("prefers a block that is known to be canonical to one that cannot be verified", () => {
    const scenario: Scenario = { ...nozzle, strategy: probing("13a", "16a", "12a"), verdict: "unknown" }
    assert.deepStrictEqual(run(scenario, data(20, 21, "b")).lines, ["reconnect from 12a"])
  })
})
