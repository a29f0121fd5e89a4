/** A person at a terminal, for the questions of verbs. */
import { type Cause, Effect, Layer, Option, Queue, Stdio, Terminal } from "effect"

/** A user at a terminal who presses one key, or Ctrl-C where there is none; `displayed` is given what they see. */
export const terminal = (key: string | undefined, displayed: (text: string) => void = () => {}) =>
  Layer.merge(
    Stdio.layerTest({ stdinIsTerminal: Effect.succeed(true) }),
    Layer.effect(
      Terminal.Terminal,
      Effect.gen(function*() {
        const keys = yield* Queue.make<Terminal.UserInput, Cause.Done>()
        if (key === undefined) yield* Queue.end(keys)
        else {
          const input = Option.some(key).pipe(Option.filter(({ length }) => length === 1))
          yield* Queue.offer(keys, { input, key: { name: key, ctrl: false, meta: false, shift: false } })
        }
        return Terminal.make({
          columns: Effect.succeed(80),
          rows: Effect.succeed(24),
          size: Effect.never,
          display: (text) => Effect.sync(() => displayed(text)),
          readInput: Effect.succeed(keys),
          readLine: Effect.never
        })
      })
    )
  )
