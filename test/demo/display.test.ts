import { assert, describe, it } from "@effect/vitest"
import { comparisonTable, connection, heading, isEqual } from "../../src/demo/display/demoText.ts"
import { progressSentence } from "../../src/demo/display/progressSentence.ts"
import { plain } from "../../src/domain/display/Line.ts"

describe("the progress of a table", () => {
  it("is a sentence where there is no terminal", () => {
    const status = { table: "logs", rows: 1_234_567n, lastBlock: 4999n, watermark: 4999n, reorgs: 1 } as const
    assert.strictEqual(
      progressSentence({ status: { ...status, phase: "caught up", reason: undefined }, rowsPerSecond: 45_678.4 }),
      "logs: 1,234,567 rows, 5,000 blocks, 45,678 rows/s, watermark 4,999, 1 reorg, caught up"
    )
    assert.strictEqual(
      progressSentence({
        status: { ...status, watermark: undefined, phase: "retrying", reason: "no\nserver" },
        rowsPerSecond: 0
      }),
      "logs: 1,234,567 rows, 5,000 blocks, 0 rows/s, watermark none yet, 1 reorg, retrying: no server"
    )
  })
})

describe("the text of the demo", () => {
  it("fits a terminal of 80 columns", () => {
    const url = `postgresql://ampsync:${"x".repeat(20)}@127.0.0.1:65535/postgres`
    const status = "http://127.0.0.1:65535/"
    const side = { rows: 123_456_789, hash: "a".repeat(64) }
    const lines = [
      ...connection(url, status),
      ...heading(url, status, 10_000_000n, 1000),
      ...comparisonTable([{ table: "transactions", postgres: side, chain: side }])
    ]
    for (const line of lines) assert.isAtMost(plain(line).length, 80, plain(line))
  })

  it("reports tables as equal only when both the count and the whole hash are", () => {
    const side = { rows: 1, hash: `${"a".repeat(63)}b` }
    const comparison = { table: "logs", postgres: side, chain: side }
    assert.isTrue(isEqual(comparison))
    assert.isFalse(isEqual({ ...comparison, chain: { ...side, rows: 2 } }))
    assert.isFalse(isEqual({ ...comparison, chain: { ...side, hash: "a".repeat(64) } }))
  })
})
