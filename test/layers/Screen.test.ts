import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { makeScreen } from "../../src/layers/Screen.ts"
import { FakeTerminal } from "../doubles/Terminal.ts"

const screenOn = (
  stdout: FakeTerminal,
  environment: Readonly<Record<string, string>> = { TERM: "xterm", NO_COLOR: "1" },
  stderr = stdout,
  isWanted = true
) => makeScreen({ stdout, stderr, environment, isWanted })

/** Text that was written is drawn at the end of the current task. */
const drawn = Effect.promise(() => Promise.resolve())

describe("a screen on a terminal", () => {
  it.effect("redraws the view in place and keeps what is printed above it", () =>
    Effect.gen(function*() {
      const terminal = new FakeTerminal()
      const screen = yield* screenOn(terminal)
      yield* screen.print(["hello"])
      yield* screen.show(() => [["blocks 1"], ["logs 10"]])
      yield* screen.show(() => [["blocks 2"], ["logs 20"]])
      yield* screen.print([{ text: "a reorg", style: "yellow" }])
      yield* screen.show(() => [["blocks 3"]])
      assert.deepStrictEqual(terminal.lines, ["hello", "a reorg", "blocks 3", ""])
    }))

  it.effect("writes every line of either stream above the view, no matter who writes it, and none is torn", () =>
    Effect.gen(function*() {
      const terminal = new FakeTerminal()
      // Another object for the same terminal, as process.stderr is.
      const stderr = new FakeTerminal()
      stderr.write = terminal.write
      const screen = yield* screenOn(terminal, undefined, stderr)
      yield* screen.show(() => [["blocks 1"]])
      terminal.write("from a worker, in two ")
      stderr.write("a warning of Node\n")
      terminal.write("pieces\nand the next\n")
      terminal.write(Buffer.from("bytes\n"))
      yield* drawn
      assert.deepStrictEqual(terminal.lines, [
        "a warning of Node",
        "from a worker, in two pieces",
        "and the next",
        "bytes",
        "blocks 1",
        ""
      ])
    }))

  it.effect("breaks long lines between words, and no word", () =>
    Effect.gen(function*() {
      const terminal = new FakeTerminal({ columns: 20 })
      const screen = yield* screenOn(terminal, { TERM: "xterm", FORCE_COLOR: "1" })
      yield* screen.print(["before there is a view"])
      yield* screen.show(() => [["blocks 1"]])
      terminal.write("12:00:00 \u001b[33mWARN\u001b[0m a reorg of three blocks\n")
      yield* drawn
      assert.deepStrictEqual(terminal.lines, [
        "before there is a",
        "    view",
        "12:00:00 WARN a",
        "    reorg of three",
        "    blocks",
        "blocks 1",
        ""
      ])
    }))

  it.effect("redraws at once when its size changes, whole also where the terminal has wrapped the old lines", () =>
    Effect.gen(function*() {
      const terminal = new FakeTerminal({ columns: 30 })
      const screen = yield* screenOn(terminal)
      yield* screen.print(["a log line"])
      yield* screen.show(({ columns, rows }) => [["x".repeat(columns - 1)], [`${columns} x ${rows}`]])
      terminal.resize(12)
      assert.deepStrictEqual(terminal.lines, ["a log line", "x".repeat(11), "12 x 24", ""])
      terminal.resize(40, 10)
      assert.deepStrictEqual(terminal.lines, ["a log line", "x".repeat(39), "40 x 10", ""])
    }))

  it.effect("is never higher than the terminal, whatever is shown", () =>
    Effect.gen(function*() {
      const terminal = new FakeTerminal({ rows: 4 })
      const screen = yield* screenOn(terminal)
      const view = (n: number) => () => Array.from({ length: 9 }, (_, i) => [`${n} ${i}`])
      yield* screen.show(view(1))
      yield* screen.show(view(2))
      assert.deepStrictEqual(terminal.lines, ["2 0", "2 1", "2 2", ""])
    }))

  it.effect("leaves alone what has not changed: what is selected in it stays selected", () =>
    Effect.gen(function*() {
      const terminal = new FakeTerminal()
      const screen = yield* screenOn(terminal)
      yield* screen.show(() => [["address"], ["blocks 1"], ["logs 1"]])
      const before = terminal.written.length
      yield* screen.show(() => [["address"], ["blocks 1"], ["logs 1"]])
      assert.lengthOf(terminal.written, before)
      yield* screen.show(() => [["address"], ["blocks 2"], ["logs 1"]])
      assert.notInclude(terminal.written.slice(before).join(""), "address")
      assert.notInclude(terminal.written.slice(before).join(""), "logs")
      assert.deepStrictEqual(terminal.lines, ["address", "blocks 2", "logs 1", ""])
    }))

  it.effect("has a visible cursor and wraps lines after every write: nothing has to be restored, however it ends", () =>
    Effect.gen(function*() {
      const terminal = new FakeTerminal()
      const screen = yield* screenOn(terminal)
      yield* screen.show(() => [["blocks 1"]])
      terminal.write("a line\n")
      yield* drawn
      yield* screen.show(() => [["blocks 2"]])
      assert.isAbove(terminal.written.length, 2)
      for (const text of terminal.written) {
        assert.isTrue(text.lastIndexOf("\u001b[?25h") >= text.lastIndexOf("\u001b[?25l"), JSON.stringify(text))
        assert.isTrue(text.lastIndexOf("\u001b[?7h") >= text.lastIndexOf("\u001b[?7l"), JSON.stringify(text))
      }
    }))

  it.effect("is not drawn while the terminal takes nothing, and then only as it is at last, with the newest lines", () =>
    Effect.gen(function*() {
      const terminal = new FakeTerminal()
      const screen = yield* screenOn(terminal)
      yield* screen.show(() => [["blocks 1"]])
      terminal.hold()
      for (let i = 2; i < 100; i += 1) yield* screen.show(() => [[`blocks ${i}`]])
      const waiting = terminal.writableLength
      assert.isBelow(waiting, 100, "one frame waits")
      for (let i = 1; i <= 1_500; i += 1) {
        terminal.write(`line ${i}\n`)
        yield* drawn
      }
      assert.strictEqual(terminal.writableLength, waiting)
      terminal.resume()
      assert.deepStrictEqual(terminal.lines.slice(0, 2), [
        "500 lines are left out here, because the terminal took none",
        "line 501"
      ])
      assert.deepStrictEqual(terminal.lines.slice(-3), ["line 1500", "blocks 99", ""])
      yield* screen.show(() => [["blocks 100"]])
      assert.strictEqual(terminal.lines.at(-2), "blocks 100")
    }))

  it.effect("keeps the last view when it is left, and gives both streams and its listeners back", () =>
    Effect.gen(function*() {
      const terminal = new FakeTerminal()
      const { write } = terminal
      const listeners = () => ["exit", "SIGCONT", "SIGTSTP"].map((event) => process.listenerCount(event))
      const before = listeners()
      yield* Effect.scoped(Effect.gen(function*() {
        const screen = yield* screenOn(terminal)
        yield* screen.show(() => [["blocks 1"]])
        terminal.write("the last line\nand a rest")
        yield* screen.leave
        yield* screen.show(() => [["blocks 2"]])
        yield* screen.print([], ["bye"])
      }))
      assert.deepStrictEqual(terminal.lines, ["the last line", "blocks 1", "and a rest", "bye", ""])
      assert.strictEqual(terminal.write, write)
      assert.strictEqual(terminal.listeners, 0)
      assert.deepStrictEqual(listeners(), before)
    }))

  it.effect("shows that a view cannot be drawn, and goes on", () =>
    Effect.gen(function*() {
      const terminal = new FakeTerminal({ columns: 60 })
      const screen = yield* screenOn(terminal)
      yield* screen.show(() => {
        throw new Error("a mistake")
      })
      terminal.resize(50)
      yield* screen.print(["a log line"])
      yield* drawn
      assert.deepStrictEqual(terminal.lines, ["a log line", "The view cannot be drawn (please report it): Err…", ""])
    }))

  it.effect("has no colors with NO_COLOR, and colors without it", () =>
    Effect.gen(function*() {
      const colored = function*(environment: Readonly<Record<string, string>>) {
        const terminal = new FakeTerminal()
        const screen = yield* screenOn(terminal, environment)
        yield* screen.show(() => [[{ text: "caught up", style: "green" }]])
        return terminal.written.join("").includes("\u001b[32m")
      }
      assert.isTrue(yield* Effect.gen(() => colored({ TERM: "xterm" })))
      assert.isFalse(yield* Effect.gen(() => colored({ TERM: "xterm", NO_COLOR: "1" })))
      assert.isTrue(yield* Effect.gen(() => colored({ TERM: "xterm", NO_COLOR: "1", FORCE_COLOR: "1" })))
    }))
})

describe("a screen that is no terminal to draw on", () => {
  const plainLines = Effect.fnUntraced(function*(
    terminal: FakeTerminal,
    environment: Readonly<Record<string, string>> = { TERM: "xterm" },
    isWanted = true
  ) {
    const screen = yield* screenOn(terminal, environment, terminal, isWanted)
    assert.isFalse(screen.isInteractive)
    yield* screen.print([{ text: "title", style: "bold" }])
    yield* screen.show(() => [["blocks 1"]])
    yield* screen.print(["more"])
    return terminal.written.join("")
  })

  it.effect("writes plain lines without control sequences", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* plainLines(new FakeTerminal({ isTTY: false })), "title\nmore\n")
    }))

  it.effect("writes no control sequence to a dumb terminal", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* plainLines(new FakeTerminal(), { TERM: "dumb" }), "title\nmore\n")
    }))

  it.effect("shows no view where the log is made for machines", () =>
    Effect.gen(function*() {
      const text = yield* plainLines(new FakeTerminal(), { TERM: "xterm", NO_COLOR: "1" }, false)
      assert.strictEqual(text, "title\nmore\n")
    }))

  it.effect("is colored where FORCE_COLOR asks for it", () =>
    Effect.gen(function*() {
      const text = yield* plainLines(new FakeTerminal({ isTTY: false }), { FORCE_COLOR: "1" })
      assert.strictEqual(text, "\u001b[1mtitle\u001b[22m\nmore\n")
    }))
})
