import { assert, describe, it } from "@effect/vitest"
import { restart, resume } from "../../../src/domain/chain/resumeStrategy.ts"
import {
  block,
  data,
  history,
  keepAlive,
  odd,
  range,
  reorg,
  run,
  type Scenario,
  schema,
  watermark
} from "../../support/scenario.ts"

const amp: Scenario = { dialect: "amp", stored: ["4a", "9a", "10a"] }
const nozzle: Scenario = { ...amp, dialect: "nozzle" }
const ampAnew: Scenario = { dialect: "amp" }
const confirmed = { ...resume, resets: 1 }

describe("the first range of a connection", () => {
  it("continues where the cursor is the parent it names", () => {
    for (const scenario of [amp, nozzle]) {
      assert.deepStrictEqual(run(scenario, schema, data(11, 12)).lines, ["rows 11..12"])
    }
  })

  it("is the first one ever where nothing is stored, wherever the chain starts", () => {
    const outcome = run({ dialect: "amp" }, schema, keepAlive(100, 105), data(100, 105), watermark(105))
    assert.deepStrictEqual(outcome.lines, ["rows 100..105", "complete up to 105a"])
    assert.deepStrictEqual([outcome.state.origin, outcome.state.history], [100n, history("105a")])
  })

  it("names no parent where the chain begins with it, whatever number its first block has", () => {
    const genesis = data(1, 5, "a", "")
    const first = run(ampAnew, genesis, watermark(5), data(6, 7), watermark(7))
    assert.deepStrictEqual(first.lines, ["rows 1..5", "complete up to 5a", "rows 6..7", "complete up to 7a"])
    assert.strictEqual(first.state.origin, 1n)
    const stored: Scenario = { ...ampAnew, origin: 1, stored: ["5a", "7a"] }
    assert.deepStrictEqual(run(stored, genesis).lines, ["reconnect, to be sure"])
    const again = run({ ...stored, strategy: restart(history("5a", "7a")) }, genesis, watermark(5))
    assert.deepStrictEqual(again.lines, ["delete everything", "rows 1..5", "complete up to 5a"])
  })

  it("may leave out numbers in amp, where the hashes line up: those are skipped slots", () => {
    const skipping = { ...range(13, 14), prevHash: block("10a").hash }
    assert.deepStrictEqual(run(amp, odd({ kind: "range", ranges: [skipping], rows: 1 })).lines, ["rows 13..14"])
  })

  it("is a protocol violation in amp where the hashes do not line up", () => {
    assert.match(run(amp, data(13, 14)).lines[0]!, /blocks 11 to 12 are missing/)
    assert.match(run(amp, data(11, 14, "b")).lines[0]!, /block 11 does not name block 10 as its parent/)
    assert.match(run(amp, data(11, 14, "a", "")).lines[0]!, /without the hash of the block before/)
  })

  it("I2 a stored hash that it names as its parent proves the rewind to there", () => {
    for (const scenario of [amp, nozzle]) {
      assert.deepStrictEqual(run(scenario, reorg(10, 12)).lines, ["delete from 10", "go on from 9a", "rows 10..12"])
      assert.deepStrictEqual(run(scenario, reorg(5, 12)).lines, ["delete from 5", "go on from 4a", "rows 5..12"])
    }
  })

  it("I2 a cursor the server has lost proves nothing: an older block is tried", () => {
    for (const scenario of [amp, nozzle]) {
      assert.deepStrictEqual(run(scenario, reorg(10, 12, "b", "b")).lines, ["reconnect from 4a"])
    }
  })

  it("I2 a walk that ends inside of a stored range may have met a lost orphan: the block below is tried", () => {
    for (const scenario of [amp, nozzle]) {
      assert.deepStrictEqual(run(scenario, reorg(7, 12, "b", "b")).lines, ["reconnect from 4a"])
    }
  })

  it("I2 a stored hash that contradicts is newer than the fork: a block below it is tried", () => {
    const stored = ["2a", "3a", "4a", "9a", "10a"]
    assert.deepStrictEqual(run({ ...amp, stored }, reorg(5, 12, "b", "b")).lines, ["reconnect from 2a"])
  })

  it("I2 is requested as a whole where a part of the first stored range is replaced: blocks before it may be orphaned too", () => {
    for (const scenario of [amp, nozzle]) {
      assert.deepStrictEqual(run(scenario, reorg(3, 12, "b", "b")).lines, ["reconnect from the first block"])
    }
  })

  it("reads the only range again where its last block was replaced, and parks nothing for it", () => {
    for (const dialect of ["amp", "nozzle"] as const) {
      const only: Scenario = { dialect, origin: 1_306, stored: ["1606a"] }
      assert.deepStrictEqual(run(only, reorg(1_606, 1_607, "b", "b")).lines, ["reconnect, to be sure"])
      const again = run({ ...only, strategy: confirmed }, reorg(1_606, 1_607, "b", "b"))
      assert.deepStrictEqual(again.lines, ["reconnect from the first block"])
    }
  })

  it("does not split a range whose rows have no position", () => {
    const options = { rangeMode: true }
    assert.deepStrictEqual(run({ ...nozzle, options }, reorg(7, 12, "b", "b")).lines, ["reconnect from 4a"])
    assert.deepStrictEqual(run({ ...nozzle, options }, reorg(3, 12, "b", "b")).lines, [
      "reconnect from the first block"
    ])
  })

  it("treats a wrong parent of a nozzle server as a reorg", () => {
    assert.deepStrictEqual(run(nozzle, data(11, 12, "b")).lines, ["reconnect from 9a"])
  })

  it("I2 a gap of a nozzle server may hide a reorg: the cursor is verified before it is crossed", () => {
    for (const gap of [data(13, 14), data(11, 14, "a", "")]) {
      assert.deepStrictEqual(run(nozzle, gap).lines, ["verify 10a"])
      assert.deepStrictEqual(run({ ...nozzle, verdict: "orphaned" }, gap).lines, ["reconnect from 9a"])
      const canonical = run({ ...nozzle, verdict: "canonical" }, gap)
      assert.strictEqual(canonical.lines.length, 1)
      assert.strictEqual(canonical.state.unverifiedFrom, undefined)
    }
  })

  it("goes on across a gap where the cursor cannot be verified, and marks the table", () => {
    const { lines, state } = run({ ...nozzle, verdict: "unknown" }, data(13, 14))
    assert.deepStrictEqual([lines, state.unverifiedFrom], [["rows 13..14"], 10n])
    const before = run({ ...nozzle, verdict: "unknown", unverifiedFrom: 4 }, data(13, 14))
    assert.strictEqual(before.state.unverifiedFrom, 4n)
  })
})

describe("a server that begins again although a cursor was sent", () => {
  it("gets a second connection, then the table starts again if it is young", () => {
    for (const scenario of [amp, nozzle]) {
      assert.deepStrictEqual(run(scenario, data(0, 12)).lines, ["reconnect, to be sure"])
      assert.deepStrictEqual(run({ ...scenario, strategy: confirmed }, data(0, 12)).lines, [
        "reconnect from the first block"
      ])
    }
  })

  it("I2 is taken to have another chain where the table is old, and nothing is deleted", () => {
    const old: Scenario = { ...amp, stored: ["4a", "127a", "128a"], strategy: confirmed }
    assert.deepStrictEqual(run(old, data(0, 12)).lines, ["chain mismatch"])
    assert.deepStrictEqual(run({ ...old, stored: ["4a", "127a"] }, data(0, 12)).lines, [
      "reconnect from the first block"
    ])
    assert.deepStrictEqual(run({ ...old, options: { onChainReset: "resync" } }, data(0, 12)).lines, [
      "reconnect from the first block"
    ])
  })

  it("is measured from the first block received, not from block 0", () => {
    const above: Scenario = { ...amp, origin: 1_000, stored: ["1004a", "1127a"], strategy: confirmed }
    assert.deepStrictEqual(run(above, data(1_000, 1_012)).lines, ["reconnect from the first block"])
    assert.deepStrictEqual(run({ ...above, stored: ["1004a", "1128a"] }, data(1_000, 1_012)).lines, ["chain mismatch"])
  })

  it("is recognised where the cursor is the first block itself", () => {
    const first: Scenario = { ...amp, origin: 100, stored: ["100a"] }
    assert.deepStrictEqual(run(first, reorg(100, 101)).lines, ["reconnect, to be sure"])
    assert.deepStrictEqual(run({ ...first, strategy: confirmed }, reorg(100, 101)).lines, [
      "reconnect from the first block"
    ])
  })

  it("replaces all rows once the first block was requested, and not before its first range came", () => {
    const strategy = restart(history(...amp.stored!))
    const { lines, state } = run({ ...amp, strategy, unverifiedFrom: 4 }, schema, data(0, 3, "b"), watermark(3))
    assert.deepStrictEqual(lines, ["delete everything", "rows 0..3", "complete up to 3b"])
    assert.deepStrictEqual([state.history, state.unverifiedFrom], [history("3b"), undefined])
  })

  it("I2 deletes no block that the server no longer has, unless ON_CHAIN_RESET=resync allows it", () => {
    const strategy = restart(history(...amp.stored!))
    assert.deepStrictEqual(run({ ...amp, strategy }, data(3, 12, "b")).lines, ["chain mismatch"])
    const options = { onChainReset: "resync" } as const
    assert.deepStrictEqual(run({ ...amp, options, strategy }, data(3, 12, "b")).lines, [
      "delete everything",
      "rows 3..12"
    ])
    // Its first blocks may have no rows.
    assert.deepStrictEqual(run({ ...nozzle, strategy }, data(3, 12, "b")).lines, ["delete everything", "rows 3..12"])
  })

  it("I2 does not replace all rows by a decision made for another history", () => {
    const strategy = restart(history("4a", "9a"))
    assert.deepStrictEqual(run({ ...amp, strategy }, data(11, 12)).lines, ["rows 11..12"])
  })
})
