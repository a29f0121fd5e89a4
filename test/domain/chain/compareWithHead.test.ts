import { assert, describe, it } from "@effect/vitest"
import type { EarlierCheck, Finding, StreamPosition } from "../../../src/domain/chain/compareWithHead.ts"
import { compareWithHead } from "../../../src/domain/chain/compareWithHead.ts"
import type { Verdict } from "../../../src/domain/chain/followFrame.ts"
import type { HeadReport } from "../../../src/domain/chain/sourceHead.ts"

const SECOND = 1_000
const MINUTE = 60 * SECOND

const amp: StreamPosition = { received: 20n, declaresEnds: true, isInRange: false, messages: 7 }
const nozzle: StreamPosition = { ...amp, declaresEnds: false }

const report = (head: number | undefined, verdict: Verdict = "canonical"): HeadReport => ({
  verdict,
  head: head === undefined
    ? undefined
    : { block: BigInt(head), hash: undefined, atSeconds: undefined, isExact: true }
})

type Check = readonly [position: StreamPosition, report: HeadReport, nowMillis?: number]

/** The findings of consecutive checks, one interval apart unless they have a time of their own. */
const findings = (...checks: ReadonlyArray<Check>): ReadonlyArray<Finding> => {
  let earlier: EarlierCheck | undefined
  return checks.map(([position, answer, nowMillis], index) => {
    const { check, finding } = compareWithHead(position, answer, earlier, nowMillis ?? 15 * SECOND * (index + 1))
    earlier = check
    return finding
  })
}

const tags = (...checks: ReadonlyArray<Check>) => findings(...checks).map(({ _tag }) => _tag)

describe("a stream compared with the head of its source", () => {
  it("is at the head where everything up to it was received", () => {
    for (const position of [amp, nozzle]) {
      assert.deepStrictEqual(tags([position, report(20)]), ["AtHead"])
      // The head was read before the last range came.
      assert.deepStrictEqual(tags([position, report(18)]), ["AtHead"])
    }
  })

  it("is at the head where the source has no blocks at all, or does not show where they end", () => {
    assert.deepStrictEqual(tags([{ ...amp, received: undefined }, report(undefined, "unknown")]), ["AtHead"])
  })

  it("is not at the head while the source has more, and not in the middle of an incomplete range", () => {
    assert.deepStrictEqual(tags([amp, report(21)]), ["Behind"])
    // Of the range 21 to 30 rows were received, but nothing declared it complete.
    assert.deepStrictEqual(tags([{ ...amp, messages: 40 }, report(30)], [{ ...amp, messages: 80 }, report(30)]), [
      "Behind",
      "Behind"
    ])
  })

  it("is not at the head before anything was received, where the source has a block", () => {
    assert.deepStrictEqual(tags([{ ...amp, received: undefined }, report(0)]), ["Behind"])
  })
})

describe("a silent amp stream", () => {
  it("is reopened once two checks in a row found more at the source and nothing came between them", () => {
    assert.deepStrictEqual(findings([amp, report(25), 0], [amp, report(26), 30 * SECOND]), [
      { _tag: "Behind", isLate: false },
      { _tag: "Silent", head: 26n }
    ])
  })

  it("is not reopened before half a minute: a stream may be late by more than the time between two checks", () => {
    const at = (...seconds: ReadonlyArray<number>) =>
      tags(...seconds.map((second): Check => [amp, report(25), second * SECOND]))
    assert.deepStrictEqual(at(0, 1, 3, 15, 29.9), ["Behind", "Behind", "Behind", "Behind", "Behind"])
    assert.deepStrictEqual(at(0, 1, 3, 15, 30), ["Behind", "Behind", "Behind", "Behind", "Silent"])
    // What came in between begins the time again.
    const later = { ...amp, messages: 8 }
    assert.deepStrictEqual(
      tags([amp, report(25), 0], [later, report(25), 29 * SECOND], [later, report(25), 58 * SECOND]),
      ["Behind", "Behind", "Behind"]
    )
  })

  it("is not reopened for a block that was produced between two checks", () => {
    assert.deepStrictEqual(tags([amp, report(20)], [amp, report(21)]), ["AtHead", "Behind"])
  })

  it("is not reopened while events come, however far behind they are", () => {
    assert.deepStrictEqual(tags([amp, report(90)], [{ ...amp, messages: 8 }, report(90)]), ["Behind", "Behind"])
  })

  it("is reopened where it never sent anything although the source has blocks", () => {
    const empty = { ...amp, received: undefined, messages: 0 }
    const at = (seconds: number): Check => [empty, report(0, "unknown"), seconds * SECOND]
    assert.deepStrictEqual(tags(at(0), at(59), at(60)), ["Behind", "Behind", "Silent"])
  })

  it("in the middle of a range is reopened after two minutes: a working server sends messages more often", () => {
    const at = (seconds: number): Check => [{ ...amp, isInRange: true }, report(25), seconds * SECOND]
    assert.deepStrictEqual(tags(at(0), at(60), at(119), at(120)), ["Behind", "Behind", "Behind", "Silent"])
  })

  it("is late where it has not received what the source had at the check before", () => {
    const late = (received: bigint): Check => [{ ...amp, received, messages: Number(received) }, report(30)]
    assert.deepStrictEqual(findings([amp, report(25)], late(24n)).at(-1), { _tag: "Behind", isLate: true })
    assert.deepStrictEqual(findings([amp, report(25)], late(25n)).at(-1), { _tag: "Behind", isLate: false })
  })
})

describe("a silent nozzle stream", () => {
  it("counts as at the head where the source has more: ranges without rows are not sent", () => {
    assert.deepStrictEqual(tags([nozzle, report(25)], [nozzle, report(40), 4 * MINUTE]), ["AtHead", "AtHead"])
  })

  it("is reopened after five minutes of silence, and not before", () => {
    const at = (nowMillis: number) => tags([nozzle, report(25), 0], [nozzle, report(40), nowMillis])
    assert.deepStrictEqual(at(5 * MINUTE - 1), ["AtHead", "AtHead"])
    assert.deepStrictEqual(at(5 * MINUTE), ["AtHead", "Silent"])
  })

  it("is not reopened where the source has nothing more", () => {
    assert.deepStrictEqual(tags([nozzle, report(20), 9 * MINUTE], [nozzle, report(20), 10 * MINUTE]), [
      "AtHead",
      "AtHead"
    ])
  })
})

describe("a stream whose block the source no longer has", () => {
  it("has diverged when two checks found so and nothing came between them, also where the chain became shorter", () => {
    for (const position of [amp, nozzle]) {
      assert.deepStrictEqual(tags([position, report(12, "orphaned")], [position, report(13, "orphaned")]), [
        "Behind",
        "Diverged"
      ])
    }
  })

  it("has not while a reorg is on its way", () => {
    for (const position of [amp, nozzle]) {
      const reorged = { ...position, messages: 9 }
      assert.deepStrictEqual(
        tags([position, report(21, "orphaned")], [reorged, report(21, "orphaned")], [reorged, report(20)]),
        ["Behind", "Behind", "AtHead"]
      )
    }
  })

  it("has not before ten seconds: with ON_CHAIN_RESET=resync it would start again for a reorg that is late", () => {
    const at = (...seconds: ReadonlyArray<number>) =>
      tags(...seconds.map((second): Check => [amp, report(20, "orphaned"), second * SECOND]))
    assert.deepStrictEqual(at(0, 1, 3, 9.9), ["Behind", "Behind", "Behind", "Behind"])
    assert.deepStrictEqual(at(0, 1, 3, 10), ["Behind", "Behind", "Behind", "Diverged"])
  })

  it("has not where the first of two checks still found the block", () => {
    assert.deepStrictEqual(tags([amp, report(20)], [amp, report(20, "orphaned")]), ["AtHead", "Behind"])
  })

  it("has not where the source cannot confirm the block", () => {
    assert.deepStrictEqual(tags([amp, report(20, "unknown")], [amp, report(20, "unknown")]), ["AtHead", "AtHead"])
  })
})
