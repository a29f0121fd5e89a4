import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Layer, Queue, Sink, Stdio, Stream, Terminal } from "effect"
import { TestClock } from "effect/testing"
import { makeScreen } from "../../src/demo/screen.ts"

/** The lines of a terminal after `output`, which may hold new lines, carriage returns, CUU, ED and SGR. */
const displayed = (output: string): ReadonlyArray<string> => {
  const lines = [""]
  let row = 0
  // oxlint-disable-next-line eslint/no-control-regex
  for (const [token] of output.matchAll(/\u001b\[\d*[AJm]|\n|\r|[^\u001b\n\r]+/g)) {
    if (token === "\n") {
      row += 1
      if (row === lines.length) lines.push("")
    } else if (token.endsWith("A") && token.startsWith("\u001b")) row -= Number(token.slice(2, -1))
    else if (token === "\u001b[J") {
      lines.length = row + 1
      lines[row] = ""
    } else if (token !== "\r" && !token.startsWith("\u001b")) lines[row] += token
  }
  return lines
}

const screenOn = Effect.fnUntraced(function*(options: { readonly terminal: boolean; readonly columns?: number }) {
  let output = ""
  const terminal = Terminal.make({
    columns: Effect.succeed(options.columns ?? 80),
    rows: Effect.succeed(24),
    size: Effect.never,
    readInput: Queue.unbounded<Terminal.UserInput>(),
    readLine: Effect.never,
    display: (text) => Effect.sync(() => void (output += text))
  })
  const stdio = Stdio.make({
    args: Effect.succeed([]),
    stdinIsTerminal: Effect.succeed(false),
    stdoutIsTerminal: Effect.succeed(options.terminal),
    stderrIsTerminal: Effect.succeed(false),
    stdout: () => Sink.drain,
    stderr: () => Sink.drain,
    stdin: Stream.empty
  })
  const screen = yield* makeScreen.pipe(
    Effect.provide(Layer.merge(Layer.succeed(Terminal.Terminal, terminal), Layer.succeed(Stdio.Stdio, stdio))),
    Effect.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({ TERM: "xterm" })))
  )
  return { screen, output: () => output }
})

describe("the screen of the demo", () => {
  it.effect("redraws the status in place and keeps what is printed above it", () =>
    Effect.gen(function*() {
      const { output, screen } = yield* screenOn({ terminal: true })
      yield* screen.print(["hello"])
      yield* screen.show([["blocks 1"], ["logs 10"]])
      yield* screen.show([["blocks 2"], ["logs 20"]])
      yield* screen.print([{ text: "a reorg", style: "yellow" }])
      yield* screen.show([["blocks 3"]])
      assert.deepStrictEqual(displayed(output()), ["hello", "a reorg", "blocks 3", ""])
    }))

  it.effect("prints warnings of the sync between two redraws, and no lines of level INFO", () =>
    Effect.gen(function*() {
      const { output, screen } = yield* screenOn({ terminal: true })
      yield* screen.show([["blocks 1"]])
      yield* Effect.logWarning("a warning").pipe(
        Effect.andThen(Effect.logInfo("information")),
        Effect.provide(screen.logging)
      )
      yield* TestClock.adjust("1 second")
      yield* screen.show([["blocks 2"]])
      assert.deepStrictEqual(displayed(output()), ["00:00:00 WARN a warning", "blocks 2", ""])
    }))

  it.effect("truncates status lines that would wrap, which a redraw would not erase whole", () =>
    Effect.gen(function*() {
      const { output, screen } = yield* screenOn({ terminal: true, columns: 10 })
      yield* screen.show([["0123456789", { text: "abc", style: "red" }]])
      assert.deepStrictEqual(displayed(output()), ["012345678", ""])
    }))

  it.effect("writes plain lines without control sequences where there is no terminal", () =>
    Effect.gen(function*() {
      const { output, screen } = yield* screenOn({ terminal: false })
      yield* screen.print([{ text: "title", style: "bold" }])
      yield* screen.show([["blocks 1"]])
      yield* screen.print(["more"])
      assert.strictEqual(output(), "title\nmore\n")
    }))

  it.effect("keeps the last status when others write below it", () =>
    Effect.gen(function*() {
      const { output, screen } = yield* screenOn({ terminal: true })
      yield* screen.show([["blocks 1"]])
      yield* screen.leave
      yield* screen.show([["blocks 2"]])
      yield* screen.print(["bye"])
      assert.deepStrictEqual(displayed(output()), ["blocks 1", "bye", ""])
    }))
})
