/** What the command line prints of itself: help, version, and what is wrong with its arguments. */
import { Console, Effect } from "effect"
import { CliOutput } from "effect/cli"

/** Errors alone, and how to read the help: with it they would be below what nobody asked for. */
export const presenter = CliOutput.layerPresenter({
  present: (event) =>
    event._tag === "InvalidInvocation"
      ? Effect.gen(function*() {
        const formatter = yield* CliOutput.Formatter
        const [, ...verb] = event.commandPath
        yield* Console.error(formatter.formatErrors(event.errors).trim())
        yield* Console.error(`\nWhat there is: ${["node dist/main.js", ...verb].join(" ")} --help`)
      })
      : CliOutput.defaultPresenter.present(event)
})
