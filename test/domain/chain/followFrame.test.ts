import { assert, describe, it } from "@effect/vitest"
import { data, noData, odd, range, run, type Scenario, schema, watermark } from "../../support/scenario.ts"

const amp: Scenario = { dialect: "amp" }
const nozzle: Scenario = { dialect: "nozzle" }

describe("followFrame", () => {
  it("makes no event of a schema, and no watermark of a table without data files", () => {
    const { lines, state } = run({ ...amp, stored: ["4a"] }, schema, noData)
    assert.deepStrictEqual(lines, [])
    assert.strictEqual(state.history.length, 1)
    assert.strictEqual(state.current, undefined)
  })

  it("goes on after a message without a range", () => {
    assert.deepStrictEqual(run(amp, noData, data(0, 2), watermark(2)).lines, ["rows 0..2", "complete up to 2a"])
  })

  it("rejects rows without a block range", () => {
    assert.match(run(amp, odd({ kind: "nothing", rows: 3 })).lines[0]!, /rows without metadata/)
    assert.match(run(nozzle, odd({ kind: "range", rows: 3 })).lines[0]!, /rows without a block range/)
  })

  it("rejects ranges of two networks at once, and of another network than before", () => {
    const polygon = { ...range(6, 7), network: "polygon" }
    assert.match(
      run(nozzle, odd({ kind: "range", ranges: [range(0, 5), polygon] })).lines[0]!,
      /several ranges at once: 0\.\.5 of network anvil and 6\.\.7 of network polygon/
    )
    assert.match(
      run({ ...nozzle, stored: ["5a"] }, odd({ kind: "range", ranges: [polygon] })).lines[0]!,
      /network polygon, this table is on anvil/
    )
    assert.match(
      run(nozzle, data(0, 5), odd({ kind: "range", ranges: [polygon] })).lines.at(-1)!,
      /this table is on anvil/
    )
  })

  it("forgets how a connection was opened once its first range is accepted", () => {
    const { state } = run({ ...amp, stored: ["4a"], strategy: { kind: "resume", resets: 1 } }, data(5, 6))
    assert.deepStrictEqual(state.strategy, { kind: "resume", resets: 0 })
  })

  it("keeps a mark of unverified blocks through a reorg above them, and drops it with them", () => {
    const marked: Scenario = { ...amp, stored: ["4a", "9a", "10a"], unverifiedFrom: 9 }
    assert.strictEqual(run(marked, data(10, 12, "b", "a")).state.unverifiedFrom, 9n)
    assert.strictEqual(run(marked, data(5, 12, "b", "a")).state.unverifiedFrom, undefined)
  })
})
