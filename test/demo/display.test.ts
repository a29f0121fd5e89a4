import { assert, describe, it } from "@effect/vitest"
import { comparisonTable, connection, isEqual } from "../../src/demo/display/demoText.ts"
import { fit, paint, plain } from "../../src/demo/display/Line.ts"
import { progressSentence, progressTable, type TableProgress } from "../../src/demo/display/progress.ts"
import { noSpeed, perSecond, sample } from "../../src/demo/display/Speed.ts"

const logs: TableProgress = {
  table: "logs",
  rows: 1_234_567n,
  blocks: 5000n,
  rowsPerSecond: 45_678.4,
  watermark: 4999n,
  reorgs: 1,
  state: "caught up",
  reason: undefined
}

describe("the progress of a table", () => {
  it("is a line of figures under headings", () => {
    assert.deepStrictEqual(progressTable([logs]).map(plain), [
      "  table       rows   blocks   rows/s  watermark  reorgs  state    ",
      "  logs   1,234,567    5,000   45,678      4,999       1  caught up"
    ])
  })

  it("is a sentence in a log", () => {
    assert.strictEqual(
      progressSentence({ ...logs, watermark: undefined, state: "retrying", reason: "no server" }),
      "logs: 1,234,567 rows, 5,000 blocks, 45,678 rows/s, watermark none yet, 1 reorg, retrying: no server"
    )
  })

  it("stays on its line whatever a message contains", () => {
    const [, line] = progressTable([{ ...logs, state: "parked", reason: "first\nsecond\u001b[2J" }])
    // oxlint-disable-next-line eslint/no-control-regex
    assert.notMatch(plain(line!), /[\u0000-\u001f]/)
  })
})

describe("a line", () => {
  const line = ["ab", { text: "cd", style: "red" }] as const

  it("is cut without losing its style", () => {
    assert.deepStrictEqual(fit(line, 3), ["ab", { text: "c", style: "red" }])
    assert.deepStrictEqual(fit(line, 2), ["ab"])
    assert.deepStrictEqual(fit(line, 80), [...line])
  })

  it("ends every style where it began", () => {
    assert.strictEqual(paint(line), "ab\u001b[31mcd\u001b[39m")
  })
})

describe("speed", () => {
  it("is that of the last three seconds", () => {
    let speed = noSpeed
    assert.strictEqual(perSecond(speed), 0)
    for (let second = 0; second <= 10; second += 1) {
      speed = sample(speed, second * 1000, second < 5 ? second * 1000 : 5000 + (second - 5) * 10)
    }
    assert.strictEqual(perSecond(speed), 10)
    assert.isAtMost(speed.length, 4)
  })
})

describe("the text of the demo", () => {
  it("fits a terminal of 80 columns", () => {
    const url = `postgresql://ampsync:${"x".repeat(32)}@127.0.0.1:65535/postgres`
    const side = { rows: 123_456_789, hash: "a".repeat(64) }
    const lines = [...connection(url), ...comparisonTable([{ table: "transactions", postgres: side, chain: side }])]
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
