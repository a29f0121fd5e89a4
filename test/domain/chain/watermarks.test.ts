import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { append, type History, newestBelow, nextProbe, thin, upTo } from "../../../src/domain/chain/watermarks.ts"
import { block, history } from "../../support/scenario.ts"

const RETENTION = 128
const at = (number: number) => ({ block: BigInt(number), hash: `0x${number.toString(16).padStart(64, "0")}` })
const numbers = (entries: History): ReadonlyArray<number> => entries.map((entry) => Number(entry.block))

/** Small numbers that a seed decides; how many blocks the next range has. */
const steps = (seed: number, largest: number) => {
  let state = seed + 1
  return () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    const long = (state >>> 28) === 0
    return 1 + ((state >>> 8) % (long ? largest : Math.max(1, largest >> 7)))
  }
}

/** What is wrong with a history that was reached through `reached`, ascending; undefined where nothing is. */
const flaw = (entries: History, reached: ReadonlyArray<number>): string | undefined => {
  const kept = numbers(entries)
  const newest = kept.at(-1)!
  if (kept[0] !== reached[0]) return "the first watermark is gone"
  const recent = reached.slice(-RETENTION - 1).filter((number) => number >= newest - RETENTION)
  if (kept.filter((number) => number >= newest - RETENTION).join() !== recent.join()) return "a recent one is gone"
  const places = new Map(reached.map((number, place) => [number, place]))
  for (let i = 1; i < kept.length; i++) {
    const [older, newer] = [kept[i - 1]!, kept[i]!]
    const dropped = places.get(newer)! - places.get(older)! > 1
    if (dropped && newest - older > 2 * (newest - newer)) {
      return `${newest - newer} deep the next one is ${newest - older}`
    }
  }
  return undefined
}

describe("the watermark history", () => {
  it.prop(
    "stays small over a million blocks, keeps the first and the recent, and one at every depth at most twice as deep",
    [
      Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1_000_000 })),
      Schema.Literals([1_000, 10_000, 100_000])
    ],
    ([seed, largest]) => {
      const step = steps(seed, largest)
      let entries: History = []
      const reached: Array<number> = []
      let newest = 0
      for (let i = 0; newest < 1_000_000; i++) {
        newest += step()
        reached.push(newest)
        entries = append(entries, at(newest), RETENTION)
        if (entries.length > 300) throw new Error(`${entries.length} entries at block ${newest}`)
        if (i % 997 !== 0 && newest < 1_000_000) continue
        const reason = flaw(entries, reached)
        if (reason !== undefined) throw new Error(`at block ${newest}: ${reason}`)
      }
      return true
    },
    { arbitrary: { runs: 6 } }
  )

  it("stays small where every block is a watermark", () => {
    let entries: History = []
    const reached: Array<number> = []
    for (let number = 0; number < 20_000; number++) {
      reached.push(number)
      entries = append(entries, at(number), RETENTION)
    }
    assert.isBelow(entries.length, RETENTION + 30)
    assert.strictEqual(flaw(entries, reached), undefined)
  })

  it("becomes dense at the tip after a history of long ranges", () => {
    let entries: History = []
    const reached = [
      ...Array.from({ length: 990 }, (_, index) => (index + 1) * 1_000),
      ...Array.from({ length: 1_000 }, (_, index) => 990_001 + index)
    ]
    for (const [index, number] of reached.entries()) {
      entries = append(entries, at(number), RETENTION)
      if (index % 50 === 0) assert.strictEqual(flaw(entries, reached.slice(0, index + 1)), undefined)
    }
  })

  it("replaces an entry at or above the new one", () => {
    assert.deepStrictEqual(append(history("4a", "9a", "10a"), block("9b"), RETENTION), history("4a", "9b"))
    assert.deepStrictEqual(append([], block("9b"), RETENTION), history("9b"))
  })

  it("is the same value where nothing changes", () => {
    const entries = history("4a", "9a", "10a")
    assert.strictEqual(thin(entries, RETENTION), entries)
    assert.strictEqual(upTo(entries, 10n), entries)
    assert.deepStrictEqual(thin([], RETENTION), [])
  })

  it("finds what lies below a block", () => {
    const entries = history("4a", "9a", "10a")
    assert.deepStrictEqual([newestBelow(entries, 9n), newestBelow(entries, 11n)], [block("4a"), block("10a")])
    assert.strictEqual(newestBelow(entries, 4n), undefined)
    assert.deepStrictEqual(upTo(entries, 9n), history("4a", "9a"))
    assert.deepStrictEqual(upTo(entries, 3n), [])
  })

  it("is searched in a number of steps that grows with the logarithm of its length", () => {
    const newest = 299
    for (let canonical = 0; canonical < newest; canonical++) {
      let rejected = newest
      let accepted: number | undefined
      let connections = 0
      while (accepted === undefined || rejected - accepted > 1) {
        const next = nextProbe(rejected, accepted, newest)!
        if (next <= canonical) accepted = next
        else rejected = next
        connections += 1
      }
      assert.strictEqual(accepted, canonical)
      assert.isBelow(connections, 18)
    }
    assert.strictEqual(nextProbe(0, undefined, newest), undefined)
  })
})
