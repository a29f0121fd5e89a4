import { assert, describe, it } from "@effect/vitest"
import { data, hear, noData, odd, range, schema, type Teller, watermark } from "../../support/scenario.ts"

const amp: Teller = { dialect: "amp" }
const nozzle: Teller = { dialect: "nozzle" }

describe("follow", () => {
  it("makes nothing of a schema, and no watermark of a table without data files", () => {
    const { lines, state } = hear({ ...amp, stored: ["4a"] }, schema, noData)
    assert.deepStrictEqual(lines, [])
    assert.strictEqual(state.history.length, 1)
    assert.strictEqual(state.current, undefined)
  })

  it("goes on after a promise of nothing", () => {
    assert.deepStrictEqual(hear(amp, noData, data(0, 2), watermark(2)).lines, ["rows 0..2", "complete up to 2a"])
  })

  it("refuses rows that do not say where they belong", () => {
    assert.match(hear(amp, odd({ says: "nothing", rows: 3 })).lines[0]!, /rows without saying which blocks/)
    assert.match(hear(nozzle, odd({ says: "range", rows: 3 })).lines[0]!, /rows without a block range/)
  })

  it("refuses ranges of two networks at once, and of another network than before", () => {
    const polygon = { ...range(6, 7), network: "polygon" }
    assert.match(
      hear(nozzle, odd({ says: "range", ranges: [range(0, 5), polygon] })).lines[0]!,
      /several ranges at once: 0\.\.5 of network anvil and 6\.\.7 of network polygon/
    )
    assert.match(
      hear({ ...nozzle, stored: ["5a"] }, odd({ says: "range", ranges: [polygon] })).lines[0]!,
      /network polygon, this table is on anvil/
    )
    assert.match(
      hear(nozzle, data(0, 5), odd({ says: "range", ranges: [polygon] })).lines.at(-1)!,
      /this table is on anvil/
    )
  })

  it("forgets how a connection was opened once its first range is accepted", () => {
    const { state } = hear({ ...amp, stored: ["4a"], asking: { kind: "resume", resets: 1 } }, data(5, 6))
    assert.deepStrictEqual(state.approach, { kind: "resume", resets: 0 })
  })

  it("keeps a mark of unverified blocks through a rewind above them, and drops it with them", () => {
    const marked: Teller = { ...amp, stored: ["4a", "9a", "10a"], unverifiedFrom: 9 }
    assert.strictEqual(hear(marked, data(10, 12, "b", "a")).state.unverifiedFrom, 9n)
    assert.strictEqual(hear(marked, data(5, 12, "b", "a")).state.unverifiedFrom, undefined)
  })
})
