/** `Screen` on standard output: a view where it is a terminal, plain lines where it is not. */
import { Effect, Layer, type Scope } from "effect"
import { isColored } from "../domain/display/isColored.ts"
import { paint, plain } from "../domain/display/Line.ts"
import { wrapWords } from "../domain/display/wrapWords.ts"
import { Screen, type ScreenShape } from "../services/Screen.ts"
import { LiveView } from "./screen/LiveView.ts"
import type { OutputStream } from "./screen/TerminalWriter.ts"

export interface ScreenOptions {
  readonly stdout: OutputStream
  readonly stderr: OutputStream
  readonly environment: Readonly<Record<string, string | undefined>>
  /** False keeps to plain lines on a terminal too. */
  readonly isWanted: boolean
}

/** A screen on given streams; both are given back when the scope closes. */
export const makeScreen = (
  { environment, isWanted, stderr, stdout }: ScreenOptions
): Effect.Effect<ScreenShape, never, Scope.Scope> =>
  Effect.gen(function*() {
    const isTerminal = stdout.isTTY === true
    const isInteractive = isWanted && isTerminal && environment["TERM"] !== "dumb"
    const render = isColored(environment, isTerminal) ? paint : plain
    let live: LiveView | undefined
    let isLeft = false

    /** Only while there is something to show are the streams taken over. */
    const view = (): LiveView => {
      if (live !== undefined) return live
      const begun = new LiveView(stdout, stderr, render)
      process.on("SIGTSTP", suspend)
      process.on("SIGCONT", begun.redraw)
      process.on("exit", begun.leave)
      return live = begun
    }
    /** A shell writes below the view before the process goes on. */
    const suspend = (): void => {
      live?.forget()
      process.kill(process.pid, "SIGSTOP")
    }
    const leave = Effect.sync(() => {
      isLeft = true
      if (live === undefined) return
      live.leave()
      process.off("SIGTSTP", suspend)
      process.off("SIGCONT", live.redraw)
      process.off("exit", live.leave)
    })
    yield* Effect.addFinalizer(() => leave)

    return {
      isInteractive,
      print: (...lines) =>
        Effect.sync(() => {
          const texts = lines.map(render)
          const broken = isTerminal ? texts.flatMap((text) => wrapWords(text, stdout.columns || Infinity)) : texts
          if (broken.length > 0) stdout.write(broken.map((text) => `${text}\n`).join(""))
        }),
      show: (lines) => isInteractive ? Effect.sync(() => isLeft || view().show(lines)) : Effect.void,
      leave
    }
  })

/** The screen of this process; without a view where it is not wanted. */
export const layer = (isWanted: boolean): Layer.Layer<never> =>
  Layer.effect(
    Screen,
    makeScreen({ stdout: process.stdout, stderr: process.stderr, environment: process.env, isWanted })
  )
