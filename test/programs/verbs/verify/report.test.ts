import { assert, describe, it } from "@effect/vitest"
import { BlockComparison } from "../../../../src/domain/verify/BlockComparison.ts"
import {
  formatReport,
  isEqual,
  isPartial,
  jsonReport,
  type VerifyReport
} from "../../../../src/programs/verbs/verify/report.ts"
import { withoutDropped } from "../../../../src/programs/verbs/verify/withoutDropped.ts"

const WRONG = "the table has 46 rows, and the counter \"rows\" is 86"

/** Blocks 40 to 85, all equal, of a table whose counter is wrong. */
const counterAlone: VerifyReport = {
  table: "blocks",
  blocks: { from: 40n, to: 85n },
  comparison: new BlockComparison(85n, false),
  serverEnd: undefined,
  bookkeeping: [WRONG],
  counter: "wrong",
  notes: []
}

const counted = (rows: bigint, isPartitioned = true) => ({
  isPartitioned,
  rows: 86n,
  found: { rows, belowOrigin: 0n, aboveWatermark: 0n }
})

describe("verify of a table whose counter of rows alone does not fit", () => {
  it("is a difference, for which no resync is advised", () => {
    const text = formatReport(counterAlone)
    assert.isFalse(isEqual(counterAlone))
    assert.include(text, WRONG)
    assert.include(text, "they need no resync")
    assert.notInclude(text, "main.js resync")
    const other = { ...counterAlone, bookkeeping: ["another problem", WRONG] }
    assert.include(formatReport(other), "main.js resync --online --table blocks")
  })

  it("is partial where the rest of a partitioned table is equal with --from, and the counter a note", () => {
    const report = withoutDropped(counterAlone, counted(46n), 40n)
    assert.isTrue(isEqual(report) && isPartial(report))
    assert.strictEqual(JSON.parse(jsonReport(report)).outcome, "partial")
    const text = formatReport(report)
    assert.include(
      text,
      `Note: ${WRONG}, which counts rows of dropped partitions still; blocks before 40 are not compared.`
    )
    assert.include(text, "Bookkeeping: its watermarks fit the table.")
    assert.notInclude(text, "resync")
  })

  it("stays a difference where dropped partitions do not explain it", () => {
    const differing: VerifyReport = {
      ...counterAlone,
      comparison: Object.assign(new BlockComparison(85n, false), { differing: 1, named: [] })
    }
    for (
      const report of [
        withoutDropped(counterAlone, counted(46n, false), 40n),
        withoutDropped(counterAlone, counted(46n), undefined),
        withoutDropped(counterAlone, counted(87n), 40n),
        withoutDropped(differing, counted(46n), 40n),
        withoutDropped({ ...counterAlone, bookkeeping: ["another problem", WRONG] }, counted(46n), 40n)
      ]
    ) assert.isFalse(isEqual(report))
  })
})
