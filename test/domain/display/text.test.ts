import { assert, describe, it } from "@effect/vitest"
import { columns } from "../../../src/domain/display/columns.ts"
import { fit, lineWidth, paint, plain } from "../../../src/domain/display/Line.ts"
import { sparkline } from "../../../src/domain/display/sparkline.ts"
import { oneLine, pad, textWidth, truncate, truncateMiddle } from "../../../src/domain/display/textWidth.ts"
import { wrapWords } from "../../../src/domain/display/wrapWords.ts"

describe("the width of a text", () => {
  it("counts columns: two for wide characters and emoji, none for marks", () => {
    const texts = ["logs", "转账事件", "テスト", "이벤트", "ｌｏｇｓ", "🚀", "e\u0301", "Überweisung", "…"]
    assert.deepStrictEqual(texts.map(textWidth), [4, 8, 6, 6, 8, 2, 1, 11, 1])
  })

  it("is cut with an ellipsis, and no character in two", () => {
    assert.deepStrictEqual([5, 4, 3, 2, 1, 0].map((width) => truncate("转账事", width)), [
      "转账…",
      "转…",
      "转…",
      "…",
      "…",
      ""
    ])
    assert.strictEqual(truncate("transfers", 9), "transfers")
    assert.strictEqual(truncate("transfers", 8), "transfe…")
  })

  it("keeps its end as well where it is a name", () => {
    assert.strictEqual(truncateMiddle("transfers_by_day", 13), "transfer…_day")
    assert.strictEqual(truncateMiddle("transfers_by_day", 16), "transfers_by_day")
    assert.deepStrictEqual([4, 3, 2, 1, 0].map((width) => truncateMiddle("转账事件", width)), [
      "转…",
      "转…",
      "…",
      "…",
      ""
    ])
  })

  it("is filled up with spaces", () => {
    assert.deepStrictEqual([pad("转", 4, "left"), pad("转", 4, "right"), pad("logs", 2, "left")], [
      "转  ",
      "  转",
      "logs"
    ])
  })

  it("has no line breaks and control characters in it", () => {
    assert.strictEqual(oneLine("first\r\n  second\u001b[2J\u0007"), "first   second [2J")
  })
})

describe("a line", () => {
  const line = ["ab", { text: "cd", style: "red" }] as const

  it("is cut with an ellipsis, without losing its style", () => {
    assert.deepStrictEqual(fit(line, 3), ["ab", { text: "…", style: "red" }])
    assert.deepStrictEqual(fit(line, 2), ["a…"])
    assert.deepStrictEqual(fit(line, 4), [...line])
    assert.strictEqual(lineWidth(fit(["转账", "事件"], 6)), 5)
  })

  it("ends every style where it began", () => {
    assert.strictEqual(paint(line), "ab\u001b[31mcd\u001b[39m")
  })
})

describe("columns", () => {
  it("are as wide as their widest cell, and end where their text does", () => {
    const lines = columns(
      [{ text: "table", alignment: "left" }, { text: "rows", alignment: "right" }, {
        text: "state",
        alignment: "left"
      }],
      [[{ text: "转账事件" }, { text: "12,345" }, { text: "caught up" }], [{ text: "b" }, { text: "1" }, { text: "" }]]
    )
    assert.deepStrictEqual(lines.map(plain), [
      "  table       rows  state",
      "  转账事件  12,345  caught up",
      "  b              1"
    ])
  })
})

describe("words", () => {
  it("stay whole, in lines that are indented under their first one", () => {
    assert.deepStrictEqual(wrapWords("  one two three four", 14), ["  one two", "      three", "      four"])
    assert.deepStrictEqual(wrapWords("short", 14), ["short"])
    assert.deepStrictEqual(wrapWords("", 14), [""])
  })

  it("stay whole where they are wider than the line", () => {
    assert.deepStrictEqual(wrapWords("see http://127.0.0.1:8080/status", 10), [
      "see",
      "    http://127.0.0.1:8080/status"
    ])
  })

  it("are measured without their colors, and lines that move the cursor are left alone", () => {
    assert.deepStrictEqual(wrapWords("\u001b[33mone\u001b[0m two", 7), ["\u001b[33mone\u001b[0m two"])
    assert.deepStrictEqual(wrapWords("\u001b[33mone\u001b[0m two", 6), ["\u001b[33mone\u001b[0m", "    two"])
    assert.deepStrictEqual(wrapWords("\u001b[2Kone two three", 6), ["\u001b[2Kone two three"])
  })
})

describe("a sparkline", () => {
  it("has a bar for each figure, a space for nothing, and sums where there is less room", () => {
    assert.strictEqual(sparkline([0, 1, 4, 8], 4), " ▁▄█")
    assert.strictEqual(sparkline([0, 0, 4, 4, 2, 2], 3), " █▄")
    assert.strictEqual(sparkline([0, 0], 2), "  ")
    assert.strictEqual(sparkline([], 2), "")
  })
})
