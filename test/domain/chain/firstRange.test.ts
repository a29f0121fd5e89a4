import { assert, describe, it } from "@effect/vitest"
import { restart, resume } from "../../../src/domain/chain/approach.ts"
import {
  block,
  data,
  hear,
  history,
  keepAlive,
  odd,
  range,
  reorg,
  schema,
  type Teller,
  watermark
} from "../../support/scenario.ts"

const amp: Teller = { dialect: "amp", stored: ["4a", "9a", "10a"] }
const nozzle: Teller = { ...amp, dialect: "nozzle" }
const confirmed = { ...resume, resets: 1 }

describe("the first range of a connection", () => {
  it("continues where the cursor is the parent it names", () => {
    for (const teller of [amp, nozzle]) {
      assert.deepStrictEqual(hear(teller, schema, data(11, 12)).lines, ["rows 11..12"])
    }
  })

  it("is the first one ever where nothing is stored, wherever the chain starts", () => {
    const outcome = hear({ dialect: "amp" }, schema, keepAlive(100, 105), data(100, 105), watermark(105))
    assert.deepStrictEqual(outcome.lines, ["rows 100..105", "complete up to 105a"])
    assert.deepStrictEqual([outcome.state.origin, outcome.state.history], [100n, history("105a")])
  })

  it("may leave out numbers in amp, where the hashes line up: those are skipped slots", () => {
    const skipping = { ...range(13, 14), prevHash: block("10a").hash }
    assert.deepStrictEqual(hear(amp, odd({ says: "range", ranges: [skipping], rows: 1 })).lines, ["rows 13..14"])
  })

  it("is a breach in amp where the hashes do not line up", () => {
    assert.match(hear(amp, data(13, 14)).lines[0]!, /blocks 11 to 12 are missing/)
    assert.match(hear(amp, data(11, 14, "b")).lines[0]!, /block 11 does not name block 10 as its parent/)
    assert.match(hear(amp, data(11, 14, "a", "")).lines[0]!, /without the hash of the block before/)
  })

  it("I2 a stored hash that it names as its parent proves the rewind to there", () => {
    for (const teller of [amp, nozzle]) {
      assert.deepStrictEqual(hear(teller, reorg(10, 12)).lines, ["delete from 10", "go on from 9a", "rows 10..12"])
      assert.deepStrictEqual(hear(teller, reorg(5, 12)).lines, ["delete from 5", "go on from 4a", "rows 5..12"])
    }
  })

  it("I2 a cursor the server has lost proves nothing: an older block is asked", () => {
    for (const teller of [amp, nozzle]) {
      assert.deepStrictEqual(hear(teller, reorg(10, 12, "b", "b")).lines, ["ask from 4a"])
    }
  })

  it("I2 a walk that ends inside of a stored range may have met a lost orphan: the block below is asked", () => {
    for (const teller of [amp, nozzle]) {
      assert.deepStrictEqual(hear(teller, reorg(7, 12, "b", "b")).lines, ["ask from 4a"])
    }
  })

  it("I2 a stored hash that contradicts is older than the fork: what lies below it is asked", () => {
    const stored = ["2a", "3a", "4a", "9a", "10a"]
    assert.deepStrictEqual(hear({ ...amp, stored }, reorg(5, 12, "b", "b")).lines, ["ask from 2a"])
  })

  it("asks for the whole first range where an amp server replaces a part of it", () => {
    assert.deepStrictEqual(hear(amp, reorg(3, 12, "b", "b")).lines, ["ask for everything"])
  })

  it("splits the first range of a nozzle server and marks the table, for nothing older can be asked", () => {
    const { lines, state } = hear(nozzle, reorg(3, 12, "b", "b"))
    assert.deepStrictEqual(lines, ["delete from 3", "go on from 2b", "rows 3..12"])
    assert.strictEqual(state.unverifiedFrom, 2n)
  })

  it("does not split a range whose rows say only its end", () => {
    const options = { rangeMode: true }
    assert.deepStrictEqual(hear({ ...nozzle, options }, reorg(7, 12, "b", "b")).lines, ["ask from 4a"])
    assert.deepStrictEqual(hear({ ...nozzle, options }, reorg(3, 12, "b", "b")).lines, ["ask again, to be sure"])
  })

  it("takes a wrong parent of a nozzle server for the sign of a reorg", () => {
    assert.deepStrictEqual(hear(nozzle, data(11, 12, "b")).lines, ["ask from 9a"])
  })

  it("I2 a gap of a nozzle server may hide a reorg: the cursor is looked up before it is crossed", () => {
    for (const gap of [data(13, 14), data(11, 14, "a", "")]) {
      assert.deepStrictEqual(hear(nozzle, gap).lines, ["look up 10a"])
      assert.deepStrictEqual(hear({ ...nozzle, verdict: "orphaned" }, gap).lines, ["ask from 9a"])
      const canonical = hear({ ...nozzle, verdict: "canonical" }, gap)
      assert.strictEqual(canonical.lines.length, 1)
      assert.strictEqual(canonical.state.unverifiedFrom, undefined)
    }
  })

  it("goes on across a gap that nobody can judge, and marks the table", () => {
    const { lines, state } = hear({ ...nozzle, verdict: "unknown" }, data(13, 14))
    assert.deepStrictEqual([lines, state.unverifiedFrom], [["rows 13..14"], 10n])
    const before = hear({ ...nozzle, verdict: "unknown", unverifiedFrom: 4 }, data(13, 14))
    assert.strictEqual(before.state.unverifiedFrom, 4n)
  })
})

describe("a server that begins again although a cursor was sent", () => {
  it("is asked a second time, then the table starts again if it is young", () => {
    for (const teller of [amp, nozzle]) {
      assert.deepStrictEqual(hear(teller, data(0, 12)).lines, ["ask again, to be sure"])
      assert.deepStrictEqual(hear({ ...teller, asking: confirmed }, data(0, 12)).lines, ["ask for everything"])
    }
  })

  it("I2 is believed to have another chain where the table is old, and nothing is deleted", () => {
    const old: Teller = { ...amp, stored: ["4a", "127a", "128a"], asking: confirmed }
    assert.deepStrictEqual(hear(old, data(0, 12)).lines, ["another chain"])
    assert.deepStrictEqual(hear({ ...old, stored: ["4a", "127a"] }, data(0, 12)).lines, ["ask for everything"])
    assert.deepStrictEqual(hear({ ...old, options: { onChainReset: "resync" } }, data(0, 12)).lines, [
      "ask for everything"
    ])
  })

  it("is measured from the first block received, not from block 0", () => {
    const above: Teller = { ...amp, origin: 1_000, stored: ["1004a", "1127a"], asking: confirmed }
    assert.deepStrictEqual(hear(above, data(1_000, 1_012)).lines, ["ask for everything"])
    assert.deepStrictEqual(hear({ ...above, stored: ["1004a", "1128a"] }, data(1_000, 1_012)).lines, ["another chain"])
  })

  it("is recognised where the cursor is the first block itself", () => {
    const first: Teller = { ...amp, origin: 100, stored: ["100a"] }
    assert.deepStrictEqual(hear(first, reorg(100, 101)).lines, ["ask again, to be sure"])
    assert.deepStrictEqual(hear({ ...first, asking: confirmed }, reorg(100, 101)).lines, ["ask for everything"])
  })

  it("replaces everything once everything was asked for, and not before its first range is in hand", () => {
    const asking = restart(history(...amp.stored!))
    const { lines, state } = hear({ ...amp, asking, unverifiedFrom: 4 }, schema, data(0, 3, "b"), watermark(3))
    assert.deepStrictEqual(lines, ["delete everything", "rows 0..3", "complete up to 3b"])
    assert.deepStrictEqual([state.history, state.unverifiedFrom], [history("3b"), undefined])
  })

  it("I2 is not given everything on a decision made for another history", () => {
    const asking = restart(history("4a", "9a"))
    assert.deepStrictEqual(hear({ ...amp, asking }, data(11, 12)).lines, ["rows 11..12"])
  })
})
