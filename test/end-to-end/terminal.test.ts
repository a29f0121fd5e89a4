/** What the program writes to a terminal and elsewhere. The terminal is that of `script` from util-linux. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import { spawn, spawnSync } from "node:child_process"
import { tmpdir } from "node:os"
import { FakeTerminal } from "../doubles/Terminal.ts"
import { MAIN, startAmpsync } from "../support/ampsyncProcess.ts"
import { eventually } from "../support/eventually.ts"
import { awaitWatermark } from "../support/snapshots.ts"
import { makeWorld } from "../support/world.ts"

const found = spawnSync("script", ["--version"], { encoding: "utf8" })
const hasPty = found.status === 0 && found.stdout.includes("util-linux")
const needsPty = hasPty ? "" : " (skipped: needs the program `script` of util-linux, which gives it a terminal)"

interface OnTerminal {
  readonly output: () => string
  /** Takes nothing more of what the program writes, or goes on. */
  readonly signalTerminal: (signal: "SIGSTOP" | "SIGCONT") => void
  /** Of the program itself. */
  readonly pid: () => number
  readonly ended: Effect.Effect<void>
}

const COLUMNS = 90

/** Runs the program on a terminal of 90 columns and 24 rows. */
const startOnTerminal = (
  environment: Readonly<Record<string, string>>
): Effect.Effect<OnTerminal, never, Scope.Scope> =>
  Effect.gen(function*() {
    let output = ""
    const command = `stty cols ${COLUMNS} rows 24; echo "pid $$"; exec ${process.execPath} ${MAIN}`
    const child = yield* Effect.acquireRelease(
      Effect.sync(() => {
        const child = spawn("script", ["-qec", command, "/dev/null"], {
          cwd: tmpdir(),
          env: { PATH: process.env["PATH"], SHELL: "/bin/sh", TERM: "xterm", ...environment },
          stdio: ["ignore", "pipe", "inherit"]
        })
        child.stdout.setEncoding("utf8").on("data", (text: string) => output += text)
        return child
      }),
      // The program loses its terminal, which stops it.
      (child) => Effect.sync(() => void child.kill("SIGKILL"))
    )
    const closed = new Promise<void>((resolve) => child.once("close", () => resolve()))
    return {
      output: () => output,
      signalTerminal: (signal) => void child.kill(signal),
      pid: () => Number(/^pid (\d+)/.exec(output)?.[1]),
      ended: Effect.promise(() => closed)
    }
  })

/** The lines that a terminal shows after the first one, which the test made. */
const shown = (output: string): ReadonlyArray<string> => {
  const terminal = new FakeTerminal({ columns: COLUMNS, rows: 24 })
  terminal.write(output)
  return terminal.lines.slice(1)
}

const shows = (process: OnTerminal, pattern: RegExp) =>
  eventually(
    () => `the terminal shows ${pattern}; it shows:\n${shown(process.output()).join("\n")}`,
    Effect.sync(() => shown(process.output()).some((line) => pattern.test(line)))
  )

const world = makeWorld({ dialect: "amp", blocks: 60, queries: { blocks: "SELECT * FROM anvil.blocks" } })

describe("a sync on a terminal", () => {
  for (const signal of ["SIGTERM", "SIGINT", "SIGKILL"] as const) {
    it.live.runIf(hasPty)(
      `shows its tables below whole log lines, and leaves a usable terminal after ${signal}${needsPty}`,
      () =>
        Effect.gen(function*() {
          const { environment } = yield* world
          const process_ = yield* startOnTerminal(environment)
          yield* shows(process_, /^ {2}blocks +60 +\d+ +59 +0 +- +0 {2}caught up$/)
          process.kill(process_.pid(), signal)
          yield* process_.ended
          const output = process_.output()
          assert.isAbove(output.lastIndexOf("\u001b[?25h"), output.lastIndexOf("\u001b[?25l"))
          assert.isAbove(output.lastIndexOf("\u001b[?7h"), output.lastIndexOf("\u001b[?7l"))
          const lines = shown(output)
          const rule = lines.findIndex((line) => line.startsWith("───"))
          for (const line of lines.slice(0, rule)) assert.match(line, /^(?:\d\d:\d\d:\d\d\.\d{3} [A-Z]+ |    \S)/)
          assert.lengthOf(lines.filter((line) => line.startsWith("───")), 1, "one view is left")
          assert.match(lines[rule + 1]!, /^_\/example@0\.1\.0 {2}1 table: 1 caught up {2}up \d+ s$/)
          if (signal === "SIGKILL") return
          assert.include(lines.at(-2), "Shutdown complete")
          assert.isTrue(
            lines.slice(0, rule).some((line) => line.endsWith(`Received ${signal}, shutting down gracefully...`))
          )
        })
    )
  }

  it.live.runIf(hasPty)(
    `goes on while its terminal takes nothing, and then shows how it is${needsPty}`,
    () =>
      Effect.gen(function*() {
        const it = yield* world
        const process_ = yield* startOnTerminal(it.environment)
        yield* shows(process_, /^ {2}blocks .* caught up$/)
        process_.signalTerminal("SIGSTOP")
        // The log of these is more than the kernel keeps for a terminal.
        for (let i = 0; i < 400; i += 1) {
          it.simulator.reorg(1 + i % 3)
          yield* Effect.sleep("10 millis")
        }
        yield* awaitWatermark(it, "blocks", it.simulator.chain.tip, 20_000)
        process_.signalTerminal("SIGCONT")
        yield* shows(process_, new RegExp(`^ {2}blocks +${it.simulator.chain.tip + 1n} .* caught up$`))
      }),
    60_000
  )

  it.live.runIf(hasPty)(
    `writes nothing but lines where LOG_FORMAT or TERM asks for that${needsPty}`,
    () =>
      Effect.gen(function*() {
        const { environment } = yield* world
        for (const asked of [{ LOG_FORMAT: "logfmt" }, { TERM: "dumb" }]) {
          yield* Effect.scoped(Effect.gen(function*() {
            const process_ = yield* startOnTerminal({ ...environment, ...asked })
            yield* eventually(
              "it has caught up",
              Effect.sync(() => process_.output().includes("has caught up with the source"))
            )
            process.kill(process_.pid(), "SIGTERM")
            yield* process_.ended
            assert.notInclude(process_.output(), "\u001b")
          }))
        }
      })
  )
})

describe("a sync without a terminal", () => {
  it.live("writes no control sequence", () =>
    Effect.gen(function*() {
      const { environment } = yield* world
      const sync = yield* startAmpsync({ ...environment, TERM: "xterm-256color", COLORTERM: "truecolor" })
      yield* sync.prints("has caught up with the source")
      yield* sync.kill("SIGTERM")
      yield* sync.exited
      assert.notInclude(sync.output(), "\u001b")
      assert.include(sync.output(), "Shutdown complete")
    }))
})
