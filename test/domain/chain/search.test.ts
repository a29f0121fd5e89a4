import { assert, describe, it } from "@effect/vitest"
import type { Approach } from "../../../src/domain/chain/approach.ts"
import { cursorOf, refute, restart, resume } from "../../../src/domain/chain/approach.ts"
import { block, data, hear, history, reorg, type Teller } from "../../support/scenario.ts"

const names = Array.from({ length: 20 }, (_, index) => `${index + 1}a`)
const stored = history(...names)
const amp: Teller = { dialect: "amp", stored: names }

/** The blocks that are asked from, one connection each, by a server on which the blocks up to `fork` are canonical. */
const search = (fork: number): ReadonlyArray<string> => {
  const lines: Array<string> = []
  let asking: Approach | undefined = resume
  while (asking !== undefined && lines.length < 40) {
    const cursor = Number(cursorOf(asking, stored)!.block)
    const answer = cursor <= fork
      ? data(cursor + 1, 30, "b", cursor <= fork ? "a" : "b")
      : reorg(cursor, 30, "b", cursor === fork + 1 ? "a" : "b")
    const outcome = hear({ ...amp, asking }, answer)
    lines.push(...outcome.lines)
    asking = outcome.next
  }
  return lines
}

const probing = (asked: string, refuted: string, proved?: string): Approach => ({
  kind: "probe",
  asked: block(asked),
  refuted: block(refuted),
  proved: proved === undefined ? undefined : block(proved),
  resets: 0
})

describe("the search for the newest canonical block", () => {
  it("steps back in doubling distances until a block is proved, then halves what lies between", () => {
    assert.deepStrictEqual(search(7), [
      "ask from 18a",
      "ask from 14a",
      "ask from 6a",
      "ask from 9a",
      "ask from 7a",
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

  it("begins anew below a block that was canonical when the search began and is no longer", () => {
    const asking = probing("12a", "13a", "12a")
    assert.deepStrictEqual(hear({ ...amp, asking }, reorg(12, 30, "b", "b")).lines, ["ask from 2a"])
  })

  it("has nowhere to go below the oldest block", () => {
    assert.strictEqual(refute(probing("1a", "2a"), stored, block("1a"), false), undefined)
    assert.deepStrictEqual(hear({ ...amp, asking: probing("1a", "2a") }, reorg(1, 30, "b", "b")).lines, [
      "ask again, to be sure"
    ])
  })

  it("I2 decisions made on another history are void: the newest watermark is asked", () => {
    const other = history("1a", "2a", "3a")
    for (const asking of [probing("5a", "6a"), probing("1a", "9a"), probing("1a", "3a", "2c"), restart(stored)]) {
      assert.deepStrictEqual(cursorOf(asking, other), block("3a"))
      assert.deepStrictEqual(hear({ ...amp, stored: ["1a", "2a", "3a"], asking }, data(4, 5)).lines, ["rows 4..5"])
    }
  })

  it("a restart asks from the first block", () => {
    assert.strictEqual(cursorOf(restart(stored), stored), undefined)
    assert.strictEqual(cursorOf(resume, []), undefined)
  })
})

describe("the search on a nozzle server", () => {
  const nozzle: Teller = { dialect: "nozzle", stored: names }

  it("looks a probed block up where a gap follows it", () => {
    const asking = probing("12a", "13a")
    assert.deepStrictEqual(hear({ ...nozzle, asking }, data(20, 21, "b")).lines, ["look up 12a"])
    assert.deepStrictEqual(hear({ ...nozzle, asking, verdict: "orphaned" }, data(20, 21, "b")).lines, ["ask from 4a"])
    assert.deepStrictEqual(hear({ ...nozzle, asking, verdict: "canonical" }, data(20, 21, "b")).lines, [
      "delete from 13",
      "go on from 12a",
      "rows 20..21"
    ])
  })

  it("goes on from a probed block that nobody can judge, marked, and never concludes that the chain is another one", () => {
    const teller: Teller = { ...nozzle, asking: probing("1a", "2a"), verdict: "unknown" }
    const { lines, state } = hear(teller, data(20, 21, "b"))
    assert.deepStrictEqual(lines, ["delete from 2", "go on from 1a", "rows 20..21"])
    assert.strictEqual(state.unverifiedFrom, 1n)
  })

  it("prefers a block that is known to be canonical to one that nobody can judge", () => {
    const teller: Teller = { ...nozzle, asking: probing("13a", "16a", "12a"), verdict: "unknown" }
    assert.deepStrictEqual(hear(teller, data(20, 21, "b")).lines, ["ask from 12a"])
  })
})
