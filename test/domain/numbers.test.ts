import { assert, describe, it } from "@effect/vitest"
import {
  counted,
  formatAge,
  formatBytes,
  formatCount,
  formatMillis,
  formatRate,
  formatRoughly,
  formatShort,
  formatTime
} from "../../src/domain/numbers.ts"

describe("numbers for people", () => {
  it("have separators and units", () => {
    assert.deepStrictEqual([0, 999, 1000, 1234567n].map(formatCount), ["0", "999", "1,000", "1,234,567"])
    assert.deepStrictEqual([1, 2, 0].map((count) => counted(count, "block")), ["1 block", "2 blocks", "0 blocks"])
    assert.deepStrictEqual([40, 1500, 61_000, 120_000].map(formatMillis), ["40 ms", "1.5 s", "1 min 1 s", "2 min"])
  })

  it("show an age in one unit, and none that lies in the future", () => {
    assert.deepStrictEqual(
      [-5_000, 0, 999, 40_400, 119_000, 120_000, 7_199_000, 10_920_000, 349_200_000].map(formatAge),
      ["0 s", "0 s", "1 s", "40 s", "119 s", "2 min", "119 min", "3 h", "4 d"]
    )
    assert.strictEqual(formatTime(1_764_502_812_345), "2025-11-30 11:40:12 UTC")
  })

  it("keep a rate below ten readable", () => {
    assert.deepStrictEqual([0, 0.04, 0.4, 9.94, 9.96, 1234.4].map(formatRate), ["0", "0", "0.4", "9.9", "10", "1,234"])
  })

  it("show bytes in the unit that fits", () => {
    assert.deepStrictEqual(
      [0, 512, 1_500, 20_400_000].map(formatBytes),
      ["0 B", "512 B", "1.5 kB", "20 MB"]
    )
  })

  it("are short where there is little room", () => {
    assert.deepStrictEqual(
      [0, 9_999, 12_345, 999_499, 999_500, 4_567_890, 2_123_456_789n, 10n ** 16n].map(formatShort),
      ["0", "9,999", "12.3k", "999k", "1M", "4.57M", "2.12G", "10,000,000G"]
    )
  })

  it("show the time that is left in coarse steps, and never as 0", () => {
    assert.deepStrictEqual(
      [0, 0.2, 7, 44, 58, 200, 3_580, 7_800, 86_400, 270_000].map(formatRoughly),
      ["1 s", "1 s", "7 s", "45 s", "1 min", "3 min", "1 h", "2 h 10 min", "1 d", "3 d 3 h"]
    )
  })
})
