import { assert, describe, it } from "@effect/vitest"
import { data, hear, history, keepAlive, reorg, schema, type Teller, watermark } from "../../support/scenario.ts"

const amp: Teller = { dialect: "amp" }
const nozzle: Teller = { dialect: "nozzle" }

describe("ranges of an amp server, one after the other", () => {
  it("are complete when the server says so, and never before", () => {
    const { lines, state } = hear(amp, schema, keepAlive(0, 5), data(0, 5), keepAlive(0, 5), data(0, 5))
    assert.deepStrictEqual(lines, ["rows 0..5", "rows 0..5"])
    assert.deepStrictEqual(state.history, [])
    assert.deepStrictEqual(hear(amp, data(0, 5), watermark(5)).lines, ["rows 0..5", "complete up to 5a"])
  })

  it("are complete without any row too", () => {
    assert.deepStrictEqual(hear(amp, keepAlive(0, 5), watermark(5), keepAlive(6, 9), watermark(9)).lines, [
      "complete up to 5a",
      "complete up to 9a"
    ])
  })

  it("are complete once, whatever is repeated behind", () => {
    const { lines } = hear(amp, data(0, 5), watermark(5), keepAlive(0, 5), watermark(5), data(6, 6), watermark(6))
    assert.deepStrictEqual(lines, ["rows 0..5", "complete up to 5a", "rows 6..6", "complete up to 6a"])
  })

  it("I2 split the stored range where a reorg that this connection saw begins", () => {
    const { lines, state } = hear(
      amp,
      data(0, 5),
      watermark(5),
      data(6, 6),
      watermark(6),
      keepAlive(5, 8, "b", "a"),
      reorg(5, 8),
      watermark(8)
    )
    assert.deepStrictEqual(lines.slice(4), ["delete from 5", "go on from 4a", "rows 5..8", "complete up to 8b"])
    assert.deepStrictEqual(state.history, history("4a", "8b"))
  })

  it("I2 do not split one whose end is another block than the one named", () => {
    const stored = ["4a", "10a"]
    assert.deepStrictEqual(
      hear({ ...amp, stored }, data(11, 12), watermark(12), reorg(5, 14, "b", "b")).lines.at(-1),
      "ask again"
    )
  })

  it("I2 do not split where rows say only the end of their range", () => {
    const options = { rangeMode: true }
    const lines = (from: number) =>
      hear({ ...amp, options }, data(0, 5), watermark(5), data(6, 9), watermark(9), reorg(from, 12)).lines
    assert.deepStrictEqual(lines(6).slice(4), ["delete from 6", "go on from 5a", "rows 6..12"])
    assert.deepStrictEqual(lines(5).slice(4), ["ask again"])
  })

  it("ask again where everything is replaced: the first range of a connection decides on that", () => {
    assert.deepStrictEqual(hear(amp, data(0, 5), watermark(5), reorg(0, 6)).lines.at(-1), "ask again")
  })

  it("can be replaced twice in a row", () => {
    const { lines } = hear(
      amp,
      data(0, 9),
      watermark(9),
      reorg(8, 10),
      watermark(10),
      reorg(9, 11, "c", "b"),
      watermark(11)
    )
    assert.deepStrictEqual(lines.slice(2), [
      "delete from 8",
      "go on from 7a",
      "rows 8..10",
      "complete up to 10b",
      "delete from 9",
      "go on from 8b",
      "rows 9..11",
      "complete up to 11c"
    ])
  })

  it("are a breach where one begins before the last is complete, leaves blocks out, or goes back to its own parent", () => {
    assert.match(hear(amp, data(0, 5), data(6, 7)).lines.at(-1)!, /began the range 6\.\.7 before completing 0\.\.5/)
    assert.match(hear(amp, data(0, 5), watermark(5), data(7, 8)).lines.at(-1)!, /blocks 6 to 6 are missing/)
    assert.match(hear(amp, data(0, 5), watermark(5), data(6, 8, "b")).lines.at(-1)!, /block 6 does not name block 5/)
    assert.match(hear(amp, data(0, 5), watermark(5), data(0, 5)).lines.at(-1)!, /rows of the range 0\.\.5 after/)
  })
})

describe("ranges of a nozzle server, one after the other", () => {
  it("are complete when their plain successor arrives, and the last one is not", () => {
    const { lines, state } = hear(nozzle, schema, data(0, 5), data(0, 5), data(6, 6), data(7, 7))
    assert.deepStrictEqual(lines, [
      "rows 0..5",
      "rows 0..5",
      "complete up to 5a",
      "rows 6..6",
      "complete up to 6a",
      "rows 7..7"
    ])
    assert.deepStrictEqual(state.history, history("5a", "6a"))
  })

  it("are not completed by one that replaces them", () => {
    const { lines, state } = hear(nozzle, data(0, 5), data(6, 7), reorg(6, 8))
    assert.deepStrictEqual(lines.slice(3), ["delete from 6", "go on from 5a", "rows 6..8"])
    assert.deepStrictEqual(state.history, history("5a"))
  })

  it("I2 rewind below the watermark only to a stored block that is named as the parent", () => {
    const lines = (from: number) =>
      hear(nozzle, data(0, 5), data(6, 8), data(9, 9), data(10, 10), reorg(from, 12)).lines.slice(7)
    assert.deepStrictEqual(lines(9), ["delete from 9", "go on from 8a", "rows 9..12"])
    assert.deepStrictEqual(lines(6), ["delete from 6", "go on from 5a", "rows 6..12"])
    assert.deepStrictEqual(lines(7), ["ask again"])
    assert.deepStrictEqual(lines(3), ["ask again"])
  })

  it("I2 leave nothing of a pending range that is replaced in part: what of it is still canonical cannot be told", () => {
    assert.deepStrictEqual(hear(nozzle, data(0, 5), data(6, 9), reorg(8, 10)).lines.at(-1), "ask again")
    assert.deepStrictEqual(hear(nozzle, data(0, 10), reorg(9, 13)).lines.at(-1), "ask again")
  })

  it("ask again where a successor names another parent", () => {
    assert.deepStrictEqual(hear(nozzle, data(0, 5), data(6, 7, "b")).lines.at(-1), "ask again")
  })

  it("I2 cross a gap only when the block before it was looked up", () => {
    for (const gap of [data(8, 9), data(6, 9, "a", "")]) {
      assert.deepStrictEqual(hear(nozzle, data(0, 5), gap).lines.at(-1), "look up 5a")
      assert.deepStrictEqual(hear({ ...nozzle, verdict: "orphaned" }, data(0, 5), gap).lines.at(-1), "ask again")
      const { lines, state } = hear({ ...nozzle, verdict: "canonical" }, data(0, 5), gap)
      assert.deepStrictEqual([lines[1], state.unverifiedFrom], ["complete up to 5a", undefined])
      assert.strictEqual(hear({ ...nozzle, verdict: "unknown" }, data(0, 5), gap).state.unverifiedFrom, 5n)
    }
  })
})
