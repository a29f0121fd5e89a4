import { assert, describe, it } from "@effect/vitest"
import {
  type BlockPace,
  blocksBehind,
  blocksPerSecond,
  noPace,
  samplePace,
  secondsLeft
} from "../../src/domain/BlockPace.ts"
import { initialStatus, type TableStatus } from "../../src/domain/TableStatus.ts"

const at = (block: bigint | undefined, more: Partial<TableStatus> = {}): TableStatus => ({
  ...initialStatus("logs", 0),
  phase: "catching up",
  hasConnected: true,
  lastBlock: 100_000n,
  lastRow: block,
  sourceHead: { block: 100_000n, atSeconds: undefined },
  headReadAtMillis: 0,
  ...more
})

/** The pace after a sample per second. */
const paceOf = (statuses: ReadonlyArray<TableStatus>): BlockPace =>
  statuses.reduce((pace, status, second) => samplePace(pace, status, second * 1_000), noPace)

const steady = (seconds: number, perSecond: number, from = 0) =>
  Array.from({ length: seconds + 1 }, (_, second) => at(BigInt(from + second * perSecond)))

describe("the time until a table has caught up", () => {
  it("is what is left, at the pace of the last minute", () => {
    assert.strictEqual(secondsLeft(paceOf(steady(10, 100)), at(1_000n), 10_000), 990)
    const slower = [...steady(60, 1_000), ...steady(60, 10, 60_000).slice(1)]
    assert.strictEqual(blocksPerSecond(paceOf(slower)), 10)
  })

  it("changes by a few percent only while the pace stays the same and ranges are large", () => {
    let pace = noPace
    const times: Array<number> = []
    for (let second = 0; second <= 90; second += 1) {
      // 1,000 blocks at a time, every third second.
      const status = at(BigInt(Math.floor(second / 3) * 1_000))
      pace = samplePace(pace, status, second * 1_000)
      const left = secondsLeft(pace, status, second * 1_000)
      if (second >= 30 && left !== undefined) times.push(left + second)
    }
    assert.lengthOf(times, 61)
    assert.isBelow(Math.max(...times) / Math.min(...times), 1.15)
  })

  it("is unknown until there was some time to see a pace", () => {
    assert.isUndefined(secondsLeft(paceOf(steady(2, 100)), at(200n), 2_000))
    assert.isDefined(secondsLeft(paceOf(steady(3, 100)), at(300n), 3_000))
  })

  it("is unknown where nothing comes any more, where the head is not known, and where nothing is known to be left", () => {
    const stuck = Array.from({ length: 5 }, () => at(100n))
    assert.isUndefined(secondsLeft(paceOf(stuck), at(100n), 5_000))
    const pace = paceOf(steady(10, 100))
    assert.isUndefined(secondsLeft(pace, at(1_000n, { sourceHead: undefined }), 10_000))
    assert.isUndefined(secondsLeft(pace, at(100_000n), 10_000))
  })

  it("does not count the way to the first block of the dataset, or that of an earlier backlog", () => {
    const late = [at(undefined), at(undefined), ...steady(5, 100, 50_000)]
    assert.strictEqual(blocksPerSecond(paceOf(late)), 100)
    const again = [...steady(10, 1_000), at(10_000n, { phase: "caught up" }), ...steady(5, 10, 10_000)]
    assert.strictEqual(blocksPerSecond(paceOf(again)), 10)
    const opened = [
      ...steady(10, 1_000),
      ...steady(5, 10, 10_000).map((status) => ({ ...status, sinceMillis: 10_500 }))
    ]
    assert.strictEqual(blocksPerSecond(paceOf(opened)), 10)
  })

  it("begins again after a reorg took blocks back", () => {
    assert.strictEqual(blocksPerSecond(paceOf([...steady(10, 100), ...steady(5, 10, 500)])), 10)
  })

  it("keeps a minute of samples, however often it is asked", () => {
    let pace = noPace
    for (let millis = 0; millis <= 300_000; millis += 100) pace = samplePace(pace, at(BigInt(millis)), millis)
    assert.isAtMost(pace.samples.length, 62)
    assert.strictEqual(blocksPerSecond(pace), 1_000)
  })
})

describe("the blocks that a table is behind", () => {
  it("are unknown where an old head is reached, until it is read again", () => {
    const reached = at(100_000n)
    assert.strictEqual(blocksBehind(reached, 60_000), 0n)
    assert.isUndefined(blocksBehind(reached, 60_001))
    assert.strictEqual(blocksBehind({ ...reached, phase: "caught up" }, 60_001), 0n)
    assert.strictEqual(blocksBehind(at(99_000n), 60_001), 1_000n)
  })
})
