import { Config, Effect, Layer, Logger, Option, References, Semaphore, Stdio, Terminal } from "effect"
import type { Line } from "./display/Line.ts"
import { fit, paint, plain } from "./display/Line.ts"

/** Where the demo is seen: a terminal that is redrawn in place, or lines one after the other. */
export interface Screen {
  readonly interactive: boolean
  /** Adds lines that stay. */
  readonly print: (...lines: ReadonlyArray<Line>) => Effect.Effect<void>
  /** Replaces the lines at the bottom of a terminal; elsewhere it does nothing. */
  readonly show: (lines: ReadonlyArray<Line>) => Effect.Effect<void>
  /** Leaves what is shown where it is, for good: others write below it from now on. */
  readonly leave: Effect.Effect<void>
  /** Takes the warnings of whatever runs, to be printed between two redraws. */
  readonly logging: Layer.Layer<never>
}

/** To the start of the line `rows` above, and clear from there on. Source: ECMA-48, CUU and ED. */
const clearAbove = (rows: number): string => rows === 0 ? "" : `\u001b[${rows}A\r\u001b[J`

/** A terminal that does not tell how wide it is says 0. */
const USUAL_COLUMNS = 80

const text = (name: string) => Effect.orElseSucceed(Config.option(Config.String(name)), () => Option.none<string>())

/** Prints what was logged until its scope closes. */
export const makeScreen = Effect.gen(function*() {
  const terminal = yield* Terminal.Terminal
  const stdio = yield* Stdio.Stdio
  const dumb = Option.getOrElse(yield* text("TERM"), () => "") === "dumb"
  const interactive = !dumb && (yield* stdio.stdoutIsTerminal)
  const coloured = interactive && Option.isNone(yield* text("NO_COLOR"))
  const turn = yield* Semaphore.make(1)
  let bottom: ReadonlyArray<Line> = []
  let drawn = 0
  let left = false

  const render = coloured ? paint : plain
  // A reader of our output that went away is no reason to fail.
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
    const said = (Array.isArray(message) ? message : [message]).map(String).join(" ")
    const style = logLevel === "Error" || logLevel === "Fatal" ? "red" : "yellow"
    logged.push([
      { text: date.toISOString().slice(11, 19), style: "dim" },
      " ",
      { text: logLevel.toUpperCase(), style },
      ` ${said}`
    ])
  })
  const logging = Layer.merge(Logger.layer([logger]), Layer.succeed(References.MinimumLogLevel, "Warn"))

  const screen: Screen = { interactive, print, show, leave, logging }
  return screen
})
