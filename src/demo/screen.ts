/** The terminal output of the demo. */
import { Config, Effect, Layer, Logger, Option, References, Semaphore, Stdio, Terminal } from "effect"
import type { Line } from "./display/Line.ts"
import { fit, paint, plain } from "./display/Line.ts"

/** A terminal whose bottom is redrawn in place, or lines one after the other. */
export interface Screen {
  readonly interactive: boolean
  /** Adds lines that stay. */
  readonly print: (...lines: ReadonlyArray<Line>) => Effect.Effect<void>
  /** Replaces the lines at the bottom of a terminal; elsewhere it does nothing. */
  readonly show: (lines: ReadonlyArray<Line>) => Effect.Effect<void>
  /** Leaves what is shown where it is, for good: others write below it from now on. */
  readonly leave: Effect.Effect<void>
  /** Prints warnings and errors that are logged, between two redraws. */
  readonly logging: Layer.Layer<never>
}

/** To the start of the line `rows` above, and clear from there on. Source: ECMA-48, CUU and ED. */
const clearAbove = (rows: number): string => rows === 0 ? "" : `\u001b[${rows}A\r\u001b[J`

/** For a terminal of unknown width, which reports 0. */
const USUAL_COLUMNS = 80

const variable = (name: string) => Effect.orElseSucceed(Config.option(Config.String(name)), () => Option.none<string>())

/** The screen on standard output. Log lines are printed until its scope closes. */
export const makeScreen = Effect.gen(function*() {
  const terminal = yield* Terminal.Terminal
  const stdio = yield* Stdio.Stdio
  const dumb = Option.getOrElse(yield* variable("TERM"), () => "") === "dumb"
  const interactive = !dumb && (yield* stdio.stdoutIsTerminal)
  const coloured = interactive && Option.isNone(yield* variable("NO_COLOR"))
  const turn = yield* Semaphore.make(1)
  let bottom: ReadonlyArray<Line> = []
  let drawn = 0
  let left = false

  const render = coloured ? paint : plain
  // A closed pipe is no reason to fail.
  const write = (output: string) => Effect.ignore(terminal.display(output))
  const draw = Effect.fnUntraced(function*(above: ReadonlyArray<Line>) {
    const width = (yield* terminal.columns) || USUAL_COLUMNS
    const status = bottom.map((line) => fit(line, Math.max(1, width - 1)))
    const output = clearAbove(drawn) + [...above, ...status].map((line) => `${render(line)}\n`).join("")
    drawn = status.length
    if (output !== "") yield* write(output)
  }, turn.withPermit)

  const print: Screen["print"] = (...lines) => draw(lines)
  const show: Screen["show"] = (lines) => {
    if (!interactive || left) return Effect.void
    bottom = lines
    return draw([])
  }

  const leave = Effect.sync(() => {
    left = true
    bottom = []
    drawn = 0
  })

  const logged: Array<Line> = []
  const flush = Effect.suspend(() => logged.length === 0 ? Effect.void : print(...logged.splice(0)))
  yield* Effect.addFinalizer(() => flush)
  yield* flush.pipe(Effect.andThen(Effect.sleep("100 millis")), Effect.forever, Effect.forkScoped)
  const logger = Logger.make<unknown, void>(({ date, logLevel, message }) => {
    const text = (Array.isArray(message) ? message : [message]).map(String).join(" ")
    const style = logLevel === "Error" || logLevel === "Fatal" ? "red" : "yellow"
    logged.push([
      { text: date.toISOString().slice(11, 19), style: "dim" },
      " ",
      { text: logLevel.toUpperCase(), style },
      ` ${text}`
    ])
  })
  const logging = Layer.merge(Logger.layer([logger]), Layer.succeed(References.MinimumLogLevel, "Warn"))

  const screen: Screen = { interactive, print, show, leave, logging }
  return screen
})
