import { assert, describe, it } from "@effect/vitest"
import { data, history, keepAlive, reorg, run, type Scenario, schema, watermark } from "../../support/scenario.ts"

const amp: Scenario = { dialect: "amp" }
const nozzle: Scenario = { dialect: "nozzle" }

describe("ranges of an amp server, one after the other", () => {
  it("are complete when the server declares it, and never before", () => {
    const { lines, state } = run(amp, schema, keepAlive(0, 5), data(0, 5), keepAlive(0, 5), data(0, 5))
    assert.deepStrictEqual(lines, ["rows 0..5", "rows 0..5"])
    assert.deepStrictEqual(state.history, [])
    assert.deepStrictEqual(run(amp, data(0, 5), watermark(5)).lines, ["rows 0..5", "complete up to 5a"])
  })

  it("are complete without any row too", () => {
    assert.deepStrictEqual(run(amp, keepAlive(0, 5), watermark(5), keepAlive(6, 9), watermark(9)).lines, [
      "complete up to 5a",
      "complete up to 9a"
    ])
  })

  it("are complete once, whatever is repeated afterwards", () => {
    const { lines } = run(amp, data(0, 5), watermark(5), keepAlive(0, 5), watermark(5), data(6, 6), watermark(6))
    assert.deepStrictEqual(lines, ["rows 0..5", "complete up to 5a", "rows 6..6", "complete up to 6a"])
  })

  it("I2 split the stored range where a reorg of this connection begins", () => {
    const { lines, state } = run(
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
      run({ ...amp, stored }, data(11, 12), watermark(12), reorg(5, 14, "b", "b")).lines.at(-1),
      "reconnect"
    )
  })

  it("I2 do not split one at whose end a range begins: the server may have lost that block, and did not compare those below", () => {
    const received = [data(0, 9), watermark(9), data(10, 20), watermark(20)]
    assert.strictEqual(run(amp, ...received, reorg(20, 22, "b", "b")).lines.at(-1), "reconnect")
    assert.strictEqual(run(amp, ...received, reorg(19, 22, "b", "b")).lines.at(-3), "delete from 19")
  })

  it("I2 do not split where rows carry only the end of their range", () => {
    const options = { rangeMode: true }
    const lines = (from: number) =>
      run({ ...amp, options }, data(0, 5), watermark(5), data(6, 9), watermark(9), reorg(from, 12)).lines
    assert.deepStrictEqual(lines(6).slice(4), ["delete from 6", "go on from 5a", "rows 6..12"])
    assert.deepStrictEqual(lines(5).slice(4), ["reconnect"])
  })

  it("violate the protocol where they name no parent although blocks before them are known", () => {
    const lines = run(amp, data(1, 5, "a", ""), watermark(5), data(6, 7, "a", "")).lines
    assert.match(lines.at(-1)!, /the range 6\.\.7 without the hash of the block before/)
  })

  it("reconnect where the chain is replaced from its first block, numbered 1", () => {
    const lines = run(amp, data(1, 5, "a", ""), watermark(5), data(1, 6, "b", "")).lines
    assert.deepStrictEqual(lines.at(-1), "reconnect")
  })

  it("reconnect where all blocks are replaced: the first range of a connection decides on that", () => {
    assert.deepStrictEqual(run(amp, data(0, 5), watermark(5), reorg(0, 6)).lines.at(-1), "reconnect")
  })

  it("can be replaced twice in a row", () => {
    const { lines } = run(
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

  it("violate the protocol where one begins before the last is complete, leaves blocks out, or goes back to its own parent", () => {
    assert.match(run(amp, data(0, 5), data(6, 7)).lines.at(-1)!, /began the range 6\.\.7 before completing 0\.\.5/)
    assert.match(run(amp, data(0, 5), watermark(5), data(7, 8)).lines.at(-1)!, /blocks 6 to 6 are missing/)
    assert.match(run(amp, data(0, 5), watermark(5), data(6, 8, "b")).lines.at(-1)!, /block 6 does not name block 5/)
    assert.match(run(amp, data(0, 5), watermark(5), data(0, 5)).lines.at(-1)!, /rows of the range 0\.\.5 after/)
  })
})

describe("ranges of a nozzle server, one after the other", () => {
  it("are complete when their plain successor arrives, and the last one is not", () => {
    const { lines, state } = run(nozzle, schema, data(0, 5), data(0, 5), data(6, 6), data(7, 7))
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
    const { lines, state } = run(nozzle, data(0, 5), data(6, 7), reorg(6, 8))
    assert.deepStrictEqual(lines.slice(3), ["delete from 6", "go on from 5a", "rows 6..8"])
    assert.deepStrictEqual(state.history, history("5a"))
  })

  it("I2 rewind below the watermark only to a stored block that is named as the parent", () => {
    const lines = (from: number) =>
      run(nozzle, data(0, 5), data(6, 8), data(9, 9), data(10, 10), reorg(from, 12)).lines.slice(7)
    assert.deepStrictEqual(lines(9), ["delete from 9", "go on from 8a", "rows 9..12"])
    assert.deepStrictEqual(lines(6), ["delete from 6", "go on from 5a", "rows 6..12"])
    assert.deepStrictEqual(lines(7), ["reconnect"])
    assert.deepStrictEqual(lines(3), ["reconnect"])
  })

  it("I2 leave nothing of a pending range that is replaced in part: which of its blocks are still canonical is unknown", () => {
    assert.deepStrictEqual(run(nozzle, data(0, 5), data(6, 9), reorg(8, 10)).lines.at(-1), "reconnect")
    assert.deepStrictEqual(run(nozzle, data(0, 10), reorg(9, 13)).lines.at(-1), "reconnect")
  })

  it("reconnect where a successor names another parent", () => {
    assert.deepStrictEqual(run(nozzle, data(0, 5), data(6, 7, "b")).lines.at(-1), "reconnect")
  })

  it("I2 cross a gap only when the block before it was verified", () => {
    for (const gap of [data(8, 9), data(6, 9, "a", "")]) {
      assert.deepStrictEqual(run(nozzle, data(0, 5), gap).lines.at(-1), "verify 5a")
      assert.deepStrictEqual(run({ ...nozzle, verdict: "orphaned" }, data(0, 5), gap).lines.at(-1), "reconnect")
      const { lines, state } = run({ ...nozzle, verdict: "canonical" }, data(0, 5), gap)
      assert.deepStrictEqual([lines[1], state.unverifiedFrom], ["complete up to 5a", undefined])
      assert.strictEqual(run({ ...nozzle, verdict: "unknown" }, data(0, 5), gap).state.unverifiedFrom, 5n)
    }
  })
})
